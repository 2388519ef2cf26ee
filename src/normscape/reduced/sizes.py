"""What each normalisation divides a feature by, from the rows of a reduced batch (`normscape.reduced.batch`)."""

import math
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from normscape.norms import BatchNorm, LpNorm
from normscape.reduced.batch import ReducedBatch


class Size(Protocol):
    """The size of features, by which a normalisation divides them, and what its running buffers follow."""

    def moment(self, rows: Tensor, batch: ReducedBatch) -> Tensor:
        """Return the moment of each feature, ``(lanes, F)``, from rows ``(lanes, rows, F)``."""

    def size(self, moment: Tensor) -> Tensor:
        """Return the size of each feature from its moment, of its shape."""

    def follow(self, buffers: dict[str, Tensor], mean: Tensor, moment: Tensor, samples: int) -> None:
        """Let running buffers ``(lanes, layers, F)``, by their names, follow the batch's statistics, in place."""


@dataclass(frozen=True)
class BatchSize:
    """sqrt(variance + eps), as in `BatchNorm`."""

    eps: float
    momentum: float

    def moment(self, rows: Tensor, batch: ReducedBatch) -> Tensor:
        """Return the biased variance."""
        return rows[:, 1:].square().sum(1) / batch.samples

    def size(self, moment: Tensor) -> Tensor:
        """Return the deviation."""
        return (moment + self.eps).sqrt()

    def follow(self, buffers: dict[str, Tensor], mean: Tensor, moment: Tensor, samples: int) -> None:
        """Follow the mean and the unbiased variance."""
        buffers["running_mean"].lerp_(mean, self.momentum)
        buffers["running_var"].lerp_(moment * (samples / (samples - 1)), self.momentum)


@dataclass(frozen=True)
class LpSize:
    """(mean abs(x)^p + eps)^(1/p), as in `LpNorm`."""

    p: float
    eps: float
    momentum: float

    def moment(self, rows: Tensor, batch: ReducedBatch) -> Tensor:
        """Return the mean of the p-th powers; for p = inf the maximum."""
        if self.p == 2.0:
            return rows.square().sum(1) / batch.samples
        if self.p == 1.0:
            moment: Tensor = _MeanAbs.apply(rows, batch.basis)
        elif math.isinf(self.p):
            moment = _MaxAbs.apply(rows, batch.basis)
        else:
            moment = batch.samples_of(rows).abs().pow(self.p).mean(2)
        return moment

    def size(self, moment: Tensor) -> Tensor:
        """Return the norm."""
        return moment + self.eps if self.p in (1.0, math.inf) else (moment + self.eps).pow(1.0 / self.p)

    def follow(self, buffers: dict[str, Tensor], mean: Tensor, moment: Tensor, samples: int) -> None:
        """Follow the mean and the moment."""
        for name, newest in (("running_mean", mean), ("running_moment", moment)):
            buffers[name].mul_(1.0 - self.momentum).add_(newest, alpha=self.momentum)


def size_of(norm: nn.Module) -> Size | None:
    """Return the size that a normalisation divides by; None for none, and for other classes than the suite's two."""
    if type(norm) is BatchNorm:
        return BatchSize(norm.eps, norm.momentum)
    return LpSize(norm.p, norm.eps, norm.momentum) if type(norm) is LpNorm else None


class _MeanAbs(torch.autograd.Function):
    """Mean over samples of abs(Q rows); autograd would keep and pass over the samples four times as often."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, basis: Tensor) -> Tensor:
        values = torch.bmm(rows.transpose(1, 2), basis)
        ctx.save_for_backward(values, basis)
        return values.abs().mean(2)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        values, basis = ctx.saved_tensors
        signs = torch.bmm(basis, values.sign().transpose(1, 2))
        return signs * (gradient / basis.shape[2])[:, None], None


class _MaxAbs(torch.autograd.Function):
    """Maximum over samples of abs(Q rows); its gradient is that of one sample where several are equally large."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, basis: Tensor) -> Tensor:
        values = torch.bmm(rows.transpose(1, 2), basis)
        largest, where = values.abs().max(2)
        signs = values.gather(2, where[:, :, None]).sign().transpose(1, 2)
        ctx.save_for_backward(basis.gather(2, where[:, None].expand(-1, basis.shape[1], -1)) * signs)
        return largest

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (samples,) = ctx.saved_tensors
        return samples * gradient[:, None], None
