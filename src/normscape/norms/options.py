"""Checks of the options of a normalisation: a mistake is reported in one line that names the option and its value."""

import math
from typing import TypeGuard

from normscape.errors import UserError, as_written, check_count


def check_features(num_features: object) -> None:
    """Raise `UserError` unless ``num_features`` is a whole number of at least 1."""
    check_count("num_features", num_features)


def check_number(name: str, value: object, least: float, most: float = math.inf, hint: str = "") -> None:
    """Raise `UserError`, with ``hint`` at its end, unless ``value`` is a finite number from ``least`` to ``most``."""
    if not _is_finite(value) or not least <= value <= most:
        bounds = f"of at least {least:g}" if math.isinf(most) else f"from {least:g} to {most:g}"
        raise UserError(f"{name}={as_written(value)}: expected a number {bounds}{hint}")


def check_eps(eps: object) -> None:
    """Raise `UserError` unless ``eps`` is finite and above 0: without it, equal values would be divided by zero."""
    if not _is_finite(eps) or not eps > 0.0:
        raise UserError(f"eps={as_written(eps)}: expected a number above 0, e.g. 1e-5")


def check_momentum(momentum: object) -> None:
    """Raise `UserError` unless ``momentum`` is a number from 0 to 1."""
    hint = "; only norm=torch_batch takes null, the average of all batches" if momentum is None else ", e.g. 0.1"
    check_number("momentum", momentum, 0.0, 1.0, hint)


def _is_finite(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
