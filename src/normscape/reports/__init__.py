"""How what was found is told: lists of claims, the README's blocks, files of a figure, nearness to the paper, W&B."""
