"""Which runs are trained as one."""

from collections.abc import Sequence
from dataclasses import replace

from normscape.reduced.eligible import arithmetic_of
from normscape.schema import RunConfig

LANES = 20
"""How many runs are trained as one at most: with more, their samples no longer fit a core's cache."""


def groups(configs: Sequence[RunConfig]) -> list[list[int]]:
    """Return the positions of runs that are trained as one, in the order of the first of each; most are by themselves.

    Runs on reduced batches are, if only their seeds, their learning rates and what they are called differ.
    """
    found: list[list[int]] = []
    open_groups: dict[str, list[int]] = {}
    for position, config in enumerate(configs):
        kind = _kind(config) if arithmetic_of(config) == "reduced" else None
        group = open_groups.get(kind) if kind else None
        if group is None or len(group) == LANES:
            group = []
            found.append(group)
            if kind:
                open_groups[kind] = group
        group.append(position)
    return found


def _kind(config: RunConfig) -> str:
    data = {key: value for key, value in config.data.items() if key != "seed"}
    optimizer = {key: value for key, value in config.optimizer.items() if key != "lr"}
    unnamed = replace(config, name="", net="", series="", group=None)
    return repr(replace(unnamed, seed=0, data=data, optimizer=optimizer))
