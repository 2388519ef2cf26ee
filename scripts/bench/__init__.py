"""What the suite costs beside the least that the same arithmetic costs: `scripts/benchmark.py` runs it.

`floor` and `naive` are the twins that it is compared with, and oracles of the tests too; every other module asks one
question.
"""
