"""The data of the deep linear network: ``y = A x`` with Gaussian ``x`` (paper, appendix A)."""

import hashlib

import torch
from torch import Tensor

from normscape.data.dataset import Dataset, Split
from normscape.errors import UserError, suggest
from normscape.seeds import generator

ENTRIES = ("uniform", "normal")


def gaussian_linear(
    seed: int, samples: int = 1000, features: int = 10, entries: str = "uniform", target_scale: float = 1.0
) -> Dataset:
    """Return ``samples`` pairs of ``x ~ N(0, I)`` and ``y = A x``, float32 ``(samples, features)``; no test set.

    Parameters
    ----------
    seed
        The run's seed; A does not depend on ``samples``.
    samples, features
        The paper's values are the defaults: 1000 pairs, A is 10 x 10.
    entries
        What A's independent entries are drawn from: ``uniform`` on [0, 1) or ``normal``, N(0, 1). The paper says
        "Gaussian", its curves say otherwise (inferred, see Notes).
    target_scale
        A factor on A.

    Raises
    ------
    UserError
        If an option is not positive, or ``entries`` is unknown.

    Notes
    -----
    Two facts of the plotted curves of fig. 5b tell what A was. A standard net that starts near zero has the loss
    ``samples * ||A||_F^2`` = 3.5e4 at step 0: 1000 * 100 / 3 if uniform, 1000 * 100 if N(0, 1). And 28 % of it is left
    when the first direction has been learned (standard, step 50), as with the mean 0.5 of uniform entries, which alone
    holds three quarters of ``||A||_F^2``; without a mean about 65 % would be. Over ten seeds the curves of all
    normalisations up to step 1000 lie within the range of ``uniform``, and below that of ``normal`` at any scale.
    """
    for option, value in (("samples", samples), ("features", features), ("target_scale", target_scale)):
        if not value > 0:
            raise UserError(f"{option}={value}: expected a positive number")
    A = target_scale * _entries(entries, features, generator(seed, "data", "gaussian_linear", "A"))
    x = torch.randn(samples, features, generator=generator(seed, "data", "gaussian_linear", "x"))
    y = (x.double() @ A.double().T).float()  # in double, so that the rounded result does not depend on the machine
    checksum = hashlib.md5(x.numpy().tobytes() + y.numpy().tobytes()).hexdigest()
    return Dataset(name="gaussian_linear", checksum=checksum, train=Split(x, y))


def _entries(entries: str, features: int, stream: torch.Generator) -> Tensor:
    if entries not in ENTRIES:
        raise UserError(f"entries={entries}: no such distribution{suggest(entries, ENTRIES)}")
    draw = torch.rand if entries == "uniform" else torch.randn
    return draw(features, features, generator=stream)
