"""The data of the deep linear network: ``y = A x`` with Gaussian ``x`` and ``A`` (PAPER.md, section 1)."""

import hashlib

import torch

from normscape.data.dataset import Dataset, Split
from normscape.errors import UserError
from normscape.seeds import generator


def gaussian_linear(seed: int, samples: int = 1000, features: int = 10, target_std: float = 1.0) -> Dataset:
    """Return ``samples`` pairs of ``x ~ N(0, I)`` and ``y = A x``, float32 ``(samples, features)``; no test set.

    Parameters
    ----------
    seed
        The run's seed; A does not depend on ``samples``.
    samples, features
        The paper's values are the defaults: 1000 pairs, A is 10 x 10.
    target_std
        Standard deviation of A's independent entries. The paper says "Gaussian" only.

    Raises
    ------
    UserError
        If an option is not positive.
    """
    for option, value in (("samples", samples), ("features", features), ("target_std", target_std)):
        if not value > 0:
            raise UserError(f"{option}={value}: expected a positive number")
    A = target_std * torch.randn(features, features, generator=generator(seed, "data", "gaussian_linear", "A"))
    x = torch.randn(samples, features, generator=generator(seed, "data", "gaussian_linear", "x"))
    y = (x.double() @ A.double().T).float()  # in double, so that the rounded result does not depend on the machine
    checksum = hashlib.md5(x.numpy().tobytes() + y.numpy().tobytes()).hexdigest()
    return Dataset(name="gaussian_linear", checksum=checksum, train=Split(x, y))
