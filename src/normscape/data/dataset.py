"""A data set as four arrays, held entirely on the training device."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Split:
    """Inputs ``(N, ...)``, uint8 images or float vectors, and targets: ``(N,)`` int64 classes or ``(N, D)`` floats."""

    inputs: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True)
class Dataset:
    """Training and test split, and what turns stored inputs into network inputs.

    Attributes
    ----------
    name, checksum
        For manifests; the checksum is over the arrays that were loaded, not over a download.
    train, test
        ``test`` is None where the paper has no test set (the deep linear net).
    mean, std
        Per channel, in the unit of the stored inputs (0 to 255 for images); None leaves inputs unchanged.
    """

    name: str
    checksum: str
    train: Split
    test: Split | None = None
    mean: Tensor | None = None
    std: Tensor | None = None

    def to(self, device: torch.device) -> "Dataset":
        """Return the data set with every array on ``device``."""

        def moved(split: Split) -> Split:
            return Split(split.inputs.to(device), split.targets.to(device))

        return replace(
            self,
            train=moved(self.train),
            test=moved(self.test) if self.test else None,
            mean=self.mean.to(device) if self.mean is not None else None,
            std=self.std.to(device) if self.std is not None else None,
        )

    def network_inputs(self, stored: Tensor) -> Tensor:
        """Turn stored inputs ``(N, C, H, W)`` or ``(N, D)`` into float32, standardised per channel if so declared."""
        if self.mean is None or self.std is None:
            return stored.float()
        shape = (1, -1) + (1,) * (stored.dim() - 2)
        standardised = (stored.float() - self.mean.view(shape)) / self.std.view(shape)
        if stored.dim() == 4:
            return standardised.contiguous(memory_format=torch.channels_last)
        return standardised
