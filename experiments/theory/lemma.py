"""Lemma 4.5 from the weights of runs: how far the nearest of the optima is that BatchNorm makes equally good."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from normscape.evidence.finished import FinishedRun
from normscape.evidence.table import gather
from normscape.theory import lemma_4_5

NAME = "unit_weights/layer"


def lemma_rows(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return what the lemma says of each run's weights, W* being the weights at its last step, which is measured.

    Training with a constant rate and weight decay does not end at an optimum: W* stands for the one it is near to.
    Rows over all layers and drawn units, at each earlier measured step t with W(t) in the place of W0; at step 0 W0 is
    the initial weights, as in the lemma.

    - ``lemma_4_5_positive``: the share of units with <W(t), W*> > 0;
    - ``lemma_4_5_positive_other``: the same with W* of the next seed's run, an optimum that this run did not go to;
    - ``lemma_4_5_taken``: the median over units of 1 - ||W(t) - What*||^2 / ||W(t) - W*||^2;
    - ``lemma_4_5_residual``: the largest over units; a W* of 0 has no direction, and counts only as not positive.
    """
    groups: dict[tuple[str, str], list[FinishedRun]] = {}
    for run in sorted(runs, key=lambda run: run.config.seed):
        groups.setdefault((run.config.net, run.config.series), []).append(run)
    parts = []
    for group in groups.values():
        for place, run in enumerate(group):
            parts += [run.labelled(rows) for rows in _of_run(run, group[(place + 1) % len(group)])]
    return gather(parts)


def _of_run(run: FinishedRun, other: FinishedRun) -> Iterator[pd.DataFrame]:
    steps, weights = _weights(run)
    theirs = [layer[-1] for layer in _weights(other)[1]] if other is not run else None
    for time, step in enumerate(steps[:-1]):
        found = [lemma_4_5(layer[time], layer[-1]) for layer in weights]
        joined = {name: torch.cat([getattr(each, name) for each in found]) for name in ("left", "residual")}
        known = torch.cat([layer[-1].square().sum(1) > 0 for layer in weights])
        distance = torch.cat([(layer[time] - layer[-1]).square().sum(1) for layer in weights])
        positive = torch.cat([each.conditions["positive"] for each in found])
        values = {
            "lemma_4_5_positive": positive.double().mean(),
            "lemma_4_5_taken": (1 - joined["left"] / distance).nanquantile(0.5),
            "lemma_4_5_residual": joined["residual"][known].max() if known.any() else torch.tensor(math.nan),
        }
        if theirs is not None:
            across = [lemma_4_5(layer[time], end) for layer, end in zip(weights, theirs, strict=True)]
            values["lemma_4_5_positive_other"] = torch.cat([e.conditions["positive"] for e in across]).double().mean()
        names, numbers = [*values], [value.item() for value in values.values()]
        yield pd.DataFrame({"step": step, "quantity": names, "value": numbers})


def _weights(run: FinishedRun) -> tuple[NDArray[np.int64], list[torch.Tensor]]:
    """Return the measured steps, and of each layer the weights of its drawn units, ``(T, units, d)``, in float64."""
    arrays = run.measurements.arrays()
    names = sorted(name for name in arrays if name.startswith(NAME) and not name.endswith("/steps"))
    steps: NDArray[np.int64] = arrays[f"{names[0]}/steps"]
    return steps, [torch.from_numpy(arrays[name].astype(np.float64)) for name in names]
