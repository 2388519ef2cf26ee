"""Where the loss of a deep linear net rests while it trains: on the least losses of maps of rank 0, 1, 2 and so on.

A deep linear net that starts small learns one singular direction after the other (Saxe, McClelland & Ganguli 2014,
section 1), and its loss stays for a while at the least loss of a map of that rank. With y = A x exactly, the least
squared error of a map of rank r is the sum of the squared singular values of the targets from the (r + 1)-th on
(Eckart & Young 1936), about the number of samples times those of A.
"""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from normscape.evidence.finished import FinishedRun
from normscape.evidence.table import gather

if TYPE_CHECKING:
    from torch import Tensor


def plateau_levels(targets: "Tensor") -> NDArray[np.float64]:
    """Return the least summed squared error of a linear map of rank 0, 1, ... to ``(samples, features)``.

    The last one, of full rank, is left out: it is 0.
    """
    import torch

    energies = torch.linalg.svdvals(targets.double()).square()
    rest: NDArray[np.float64] = energies.flip(0).cumsum(0).flip(0).numpy()
    return rest


def plateau_rows(run: FinishedRun) -> pd.DataFrame:
    """Return, at each logged step, on which plateau a deep linear net is.

    ``directions_fitted`` is the rank whose least loss is nearest, as a ratio, and ``loss_over_plateau`` that ratio.
    """
    from normscape.components import build_data  # with torch, which redrawing a figure does without

    losses = run.rows("train_loss")
    targets = build_data(run.config).train.targets
    scale = 1 if run.config.loss.get("reduction") == "sum" else targets.numel()
    levels = plateau_levels(targets) / scale
    with np.errstate(divide="ignore", invalid="ignore"):  # a loss of 0, or one that has diverged
        ratios = losses["value"].to_numpy(float)[:, None] / levels
        nearest = np.abs(np.log(ratios)).argmin(axis=1)
    ratio = ratios[np.arange(len(ratios)), nearest]
    fitted = np.where(np.isfinite(ratio), nearest, np.nan)
    return gather(
        losses.assign(quantity=name, value=value)
        for name, value in (("directions_fitted", fitted), ("loss_over_plateau", ratio))
    )
