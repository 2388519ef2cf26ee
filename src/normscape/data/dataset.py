"""A data set as four arrays, held entirely on the training device."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from normscape.errors import UserError

WHOLE_IN_FLOAT32 = 2**24
"""Up to here float32, as which networks get their inputs, holds every whole number."""


@dataclass(frozen=True)
class Split:
    """Inputs ``(N, ...)``, uint8 images or float vectors, and targets: ``(N,)`` int64 classes or ``(N, D)`` floats."""

    inputs: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def has_classes(self) -> bool:
        """Whether the targets are classes, of which accuracies are taken."""
        return not self.targets.is_floating_point()

    def fault(self) -> str | None:
        """Return what is wrong with it, in words; None if nothing is."""
        inputs, targets = self.inputs, self.targets
        if not all(isinstance(each, Tensor) for each in (inputs, targets)):
            return f"a {type(inputs).__name__} and a {type(targets).__name__}, expected tensors"
        if not targets.dim() or not len(targets) or len(inputs) != len(targets):
            counts = f"{len(inputs)} inputs and {len(targets) if targets.dim() else 'no'} targets"
            return f"{counts}, expected as many of both, and at least one"
        if self.has_classes and (targets.dtype is not torch.int64 or targets.dim() != 1):
            found = f"targets {tuple(targets.shape)} of {str(targets.dtype).removeprefix('torch.')}"
            return f"{found}, expected classes (N,) of int64, or floats (N, D)"
        if self.has_classes and int(targets.min()) < 0:
            return f"the class {int(targets.min())}, expected 0 or more"
        if inputs.is_complex() or targets.is_complex():
            return "complex numbers, expected real ones"
        for name, values in (("an input", inputs), ("a target", targets)):
            if values.is_floating_point() and not bool(torch.isfinite(values).all()):
                return f"{name} that is no finite number"
        whole = inputs.dtype.itemsize >= 4 and not inputs.is_floating_point() and inputs.numel() > 0
        if whole and (largest := int(inputs.abs().max())) > WHOLE_IN_FLOAT32:
            return f"the input {largest}, which float32 does not hold; expected at most 2^24"
        return None


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

    def require_sound(self) -> None:
        """Raise `UserError` if its arrays are not what `Split` says: accuracies of others would be no accuracies."""
        kinds = {"name": str, "checksum": str, "train": Split, "test": Split | None}
        for field, kind in kinds.items():
            if not isinstance(found := getattr(self, field), kind):
                given = type(found).__name__
                raise UserError(f"data: {field} is a {given}; expected Dataset(name, checksum, Split(inputs, targets))")
        for name, split in (("training", self.train), ("test", self.test)):
            if split is not None and (fault := split.fault()):
                raise UserError(f"data: the {name} set of {self.name} has {fault}")
        if self.test is not None and self.test.has_classes != self.train.has_classes:
            raise UserError(
                f"data: the targets of {self.name} are classes in one of training and test set, not in both"
            )

        if fault := self._fault_of_scale():
            raise UserError(f"data: {self.name} has {fault}")

    def _fault_of_scale(self) -> str | None:
        """Return what is wrong with mean and deviation, in words; None if nothing is."""
        if self.mean is None and self.std is None:
            return None
        if not isinstance(self.mean, Tensor) or not isinstance(self.std, Tensor):
            kinds = f"mean a {type(self.mean).__name__} and std a {type(self.std).__name__}"
            return f"{kinds}; expected tensors (C,) as both, or None as both"
        channels = self.train.inputs.shape[1] if self.train.inputs.dim() > 1 else 1
        if self.mean.shape != (channels,) or self.std.shape != (channels,):
            found = f"mean {tuple(self.mean.shape)} and std {tuple(self.std.shape)}"
            return (
                f"{found}; expected ({channels},), a number per channel of the inputs {tuple(self.train.inputs.shape)}"
            )
        if not bool(torch.isfinite(self.mean).all() and torch.isfinite(self.std).all() and (self.std > 0).all()):
            return "a mean that is no finite number, or a std that is not above 0"
        return None

    def network_inputs(self, stored: Tensor) -> Tensor:
        """Turn stored inputs ``(N, C, H, W)`` or ``(N, D)`` into float32, standardised per channel if so declared."""
        if self.mean is None or self.std is None:
            return stored.float()
        shape = (1, -1) + (1,) * (stored.dim() - 2)
        standardised = (stored.float() - self.mean.view(shape)) / self.std.view(shape)
        if stored.dim() == 4:
            return standardised.contiguous(memory_format=torch.channels_last)
        return standardised
