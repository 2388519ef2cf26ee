"""No normalisation: the paper's "standard" network."""

from torch import Tensor, nn


class Standard(nn.Module):
    """The identity, without parameters or buffers, so that every variant has a module at the same place.

    Parameters
    ----------
    num_features
        Number of features F or channels C; taken because every normalisation takes it, and not used.
    """

    def __init__(self, num_features: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` itself, ``(N, F)`` or ``(N, C, H, W)``."""
        return x
