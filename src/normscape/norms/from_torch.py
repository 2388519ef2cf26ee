"""Torch's own normalisations, constructed as every norm here is: ``Cls(num_features, **options)``."""

from torch import Tensor, nn

from normscape.errors import UserError, check_count
from normscape.norms.options import check_eps, check_features, check_momentum

MOST_GROUPS = 32
"""The number of groups in Wu & He 2018."""
FEWEST_FEATURES = 4
"""In a group, unless it is the only one: two values alone would be normalised to 1 and -1 whatever they are."""


class GroupNorm(nn.GroupNorm):
    """``weight * (x - mean) / sqrt(var + eps) + bias``, mean and variance over a group of features of one sample.

    Features are divided into groups of neighbours; for images a group holds all positions of its channels, and
    ``weight`` and ``bias`` are per channel. The variance is the biased one. There are no running statistics: training
    and evaluation mode are the same. Source: Wu & He 2018, section 3.1.

    Parameters
    ----------
    num_features
        F of ``(N, F)`` or C of ``(N, C, H, W)``.
    num_groups
        A divisor of ``num_features``. None takes for each layer the largest of at most 32 (Wu & He's number) that
        leaves at least 4 features to a group, or 1: of 512, 64, 10 and 2 features it makes 32, 16, 2 and 1 groups.
    eps
        Added to the variance; above 0.

    Raises
    ------
    UserError
        If an option is not such a number.
    """

    def __init__(self, num_features: int, num_groups: int | None = None, eps: float = 1e-5) -> None:
        check_features(num_features)
        check_eps(eps)
        super().__init__(_groups(num_features, num_groups), num_features, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised ``x``, of its shape.

        Raises
        ------
        UserError
            If a group has one value, ``(N, F)`` in F groups: it is its own mean, and only the bias would be left of it.
        """
        if x.shape[1:].numel() == self.num_groups:
            expected = "expected more than 1 value per group; take fewer groups or another norm"
            raise UserError(f"{type(self).__name__} of {tuple(x.shape)}: {expected}")
        return super().forward(x)


class LayerNorm(GroupNorm):
    """``weight * (x - mean) / sqrt(var + eps) + bias``, mean and variance over all features of one sample.

    For images over channels and positions together, with a scale and shift per channel: GroupNorm with one group, as in
    Wu & He 2018 (section 3.1) and their comparisons. ``torch.nn.LayerNorm`` on ``(C, H, W)`` would have them per
    channel and position; on ``(N, F)`` the two are the same. Source: Ba, Kiros & Hinton 2016, section 3.

    Parameters
    ----------
    num_features, eps
        See `GroupNorm`, as for errors.
    """

    def __init__(self, num_features: int, eps: float = 1e-5) -> None:
        super().__init__(num_features, 1, eps)


class InstanceNorm(nn.InstanceNorm2d):
    """``weight * (x - mean) / sqrt(var + eps) + bias``, mean and variance over the positions of a sample's channel.

    The variance is the biased one. There are no running statistics: training and evaluation mode are the same. Unlike
    torch's default it has a scale and shift, as every norm here. Source: Ulyanov, Vedaldi & Lempitsky 2016, section 2.

    Parameters
    ----------
    num_features
        C of ``(N, C, H, W)``.
    eps
        Added to the variance; above 0.

    Raises
    ------
    UserError
        If an option is not such a number.
    """

    def __init__(self, num_features: int, eps: float = 1e-5) -> None:
        check_features(num_features)
        check_eps(eps)
        super().__init__(num_features, eps=eps, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised ``x``, of its shape.

        Raises
        ------
        UserError
            If ``x`` is ``(N, F)`` or has one position: a single value is its own mean.
        """
        if x.dim() != 4 or x.shape[2:].numel() == 1:
            instead = "take norm=layer or norm=group, or a VGG with model.head=[]"
            raise UserError(
                f"InstanceNorm of {tuple(x.shape)}: expected (N, C, H, W) with more than 1 position; {instead}"
            )
        return super().forward(x)


class TorchBatchNorm(nn.BatchNorm2d):
    """``torch.nn.BatchNorm1d`` and ``2d`` in one: `BatchNorm` with torch's third buffer ``num_batches_tracked``.

    Source: Ioffe & Szegedy 2015, Algorithms 1 and 2, as torch has them.

    Parameters
    ----------
    num_features, eps
        See `BatchNorm`.
    momentum
        Weight of the newest batch in the running buffers, from 0 to 1; with None they are the average of all batches.

    Raises
    ------
    UserError
        If an option is not such a number.
    """

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1) -> None:
        check_features(num_features)
        check_eps(eps)
        if momentum is not None:
            check_momentum(momentum)
        super().__init__(num_features, eps=eps, momentum=momentum)

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() not in (2, 4):
            raise ValueError(f"expected (N, F) or (N, C, H, W), not {tuple(input.shape)}")


def _groups(num_features: int, num_groups: int | None) -> int:
    divisors = [number for number in range(1, num_features + 1) if num_features % number == 0]
    largest = max(n for n in divisors if n == 1 or (n <= MOST_GROUPS and num_features // n >= FEWEST_FEATURES))
    if num_groups is None:
        return largest
    check_count("num_groups", num_groups, ", or null")
    if num_groups not in divisors:
        known = ", ".join(map(str, divisors))
        raise UserError(
            f"num_groups={num_groups}: expected a divisor of the {num_features} features of a layer ({known}); "
            f"null takes the one that suits each layer, here {largest}"
        )
    return num_groups
