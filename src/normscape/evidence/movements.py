"""How far the distributions of a layer's units move between snapshots: medians over the units, in the unit's own scale.

All of it is of whole mini-batches but the noise floor, which is between the halves of one (see
`normscape.probes.Activations`): what samples contribute to it is sqrt(2) times what they contribute to a movement.
"""

import warnings

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

QUARTERS = {"lower": 0.25, "upper": 0.75}
"""Which quantiles over the units tell how far they differ."""


def movements(quantiles: Floats, moments: Floats, noise: Floats | None) -> dict[str, Floats]:
    """Return how far distributions moved since the snapshot before, each ``(T - 1,)``, NaN where no unit has one.

    Distances are Wasserstein-1: the mean absolute difference of quantile functions. The deviation of the time is the
    root of the mean of a unit's variances at the two snapshots.

    Parameters
    ----------
    quantiles
        ``(T, units, Q)``, at equally spaced levels.
    moments
        ``(T, units, 2)``: mean and biased variance.
    noise
        ``(T, units, 3)``: distance, and absolute differences of mean and variance, between halves of a mini-batch;
        None if not measured.

    Returns
    -------
    dict
        Medians over units of the distance: ``activation_distance``; ``activation_change``, the same in deviations of
        the time, with ``_lower`` and ``_upper`` its quarters over the units; with ``noise`` also ``activation_noise``,
        the noise floor in deviations of the time.
    """
    variances = moments[..., 1]
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):  # diverged, or a unit that does not vary: NaN
        distance = np.abs(np.diff(quantiles, axis=0)).mean(axis=2)
        change = distance / np.sqrt((variances[1:] + variances[:-1]) / 2)
        found = {"activation_distance": _median(distance), "activation_change": _median(change)}
        found |= {f"activation_change_{name}": _median(change, level) for name, level in QUARTERS.items()}
        if noise is not None:
            found["activation_noise"] = _median(noise[1:, :, 0] / np.sqrt(variances[1:]))
    return found


def moment_movements(moments: Floats, noise: Floats | None) -> dict[str, Floats]:
    """Return how far means and variances moved, each ``(T - 1,)``: medians over units of absolute differences.

    Parameters and NaN as in `movements`.

    Returns
    -------
    dict
        ``mean_change`` and ``variance_change`` since the snapshot before, ``mean_drift`` and ``variance_drift`` since
        step 0; ``relative_mean_change`` and so on, means in deviations of the time, variances as a share of the mean of
        the two (at most 2); with ``noise`` also ``relative_mean_noise`` and ``relative_variance_noise``, the noise
        floor.
    """
    means, variances = moments[..., 0], moments[..., 1]
    found: dict[str, Floats] = {}
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        for kind, before in (("change", slice(None, -1)), ("drift", slice(1))):
            of_the_time = (variances[1:] + variances[before]) / 2
            mean, variance = np.abs(means[1:] - means[before]), np.abs(variances[1:] - variances[before])
            found |= {f"mean_{kind}": _median(mean), f"variance_{kind}": _median(variance)}
            found[f"relative_mean_{kind}"] = _median(mean / np.sqrt(of_the_time))
            found[f"relative_variance_{kind}"] = _median(variance / of_the_time)
        if noise is not None:
            found["relative_mean_noise"] = _median(noise[1:, :, 1] / np.sqrt(variances[1:]))
            found["relative_variance_noise"] = _median(noise[1:, :, 2] / variances[1:])
    return found


def _median(values: Floats, level: float = 0.5) -> Floats:
    """Return a quantile over the units ``(T, units)`` that have a finite value."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a step at which no unit has one
        found: Floats = np.nanquantile(np.where(np.isfinite(values), values, np.nan), level, axis=1)
    return found
