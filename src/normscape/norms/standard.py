"""No normalisation: the paper's "standard" network."""

from torch import Tensor, nn

from normscape.norms.options import check_features


class Standard(nn.Module):
    """The identity, without parameters or buffers, so that every variant has a module at the same place.

    Parameters
    ----------
    num_features
        Number of features F or channels C; taken because every normalisation takes it, and not used.

    Raises
    ------
    UserError
        If it is not a whole number of at least 1.
    """

    def __init__(self, num_features: int) -> None:
        check_features(num_features)
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` itself, ``(N, F)`` or ``(N, C, H, W)``."""
        return x
