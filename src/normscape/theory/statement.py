"""What a statement says of some tensors: its two sides, as printed and as derived here, and when it may be used."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

ROUNDING = 1e-9
"""Below this share of its terms, a difference of float64 numbers counts as rounding."""


@dataclass(frozen=True)
class Statement:
    """A statement about each unit; all tensors ``(units,)``.

    Attributes
    ----------
    left
        What the statement bounds.
    printed
        Its right side as the paper prints it.
    derived
        Its right side as derived in ``docs/theory.md``: what ``left`` is equal to, or its bound.
    size
        The sum of the sizes of the terms on the right: what differences are relative to.
    conditions
        By name, whether a side condition holds of the unit.
    """

    left: Tensor
    printed: Tensor
    derived: Tensor
    size: Tensor
    conditions: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def residual(self) -> Tensor:
        """How far ``left`` is from ``derived``, relative to ``size``: of an equality nothing but rounding."""
        return (self.left - self.derived).abs() / self.size

    @property
    def slack(self) -> Tensor:
        """How far ``left`` stays below ``printed``, relative to ``size``; below 0 where the inequality fails."""
        return (self.printed - self.left) / self.size

    @property
    def holds_as_printed(self) -> Tensor:
        """Whether ``left <= printed``, to rounding."""
        return self.slack >= -ROUNDING
