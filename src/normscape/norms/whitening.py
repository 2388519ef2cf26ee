"""Whitening: full decorrelation of a layer's features, which batch normalisation replaces by a cheaper step."""

from typing import Any

import torch
from torch import Tensor, nn

from normscape.errors import UserError, check_count
from normscape.norms.half import widened
from normscape.norms.options import check_eps, check_features, check_momentum


class Whitening(nn.Module):
    """``weight * S (x - mean) + bias`` with ``S = (covariance + eps I)^(-1/2)``, over the batch and all positions.

    S is the symmetric root (ZCA): of all maps that decorrelate, the one that moves the features least. Up to eps, the
    output before ``weight`` and ``bias`` has zero mean and the identity as its covariance. The gradient goes through
    mean and covariance. Source: Ioffe & Szegedy 2015, section 2, who name this normalisation and judge it too costly;
    with ``num_groups`` above 1, which whitens groups of neighbouring features each by itself, Huang et al. 2018,
    "Decorrelated Batch Normalization", section 3.2. With one feature per group it is BatchNorm.

    A batch is whitened by its biased covariance; ``running_covariance`` follows the unbiased one, m / (m - 1) times as
    large for m values per feature, and evaluation uses its root, as in `BatchNorm`.

    Covariance, root and the gradient through both are computed in float64, whatever the input: features may depend on
    each other (a first convolution with more maps than its kernels have entries has a singular covariance), and the
    gradient has products of eigenvalues of the root that float32 would round away.

    Parameters
    ----------
    num_features
        F of ``(N, F)`` or C of ``(N, C, H, W)``.
    num_groups
        A divisor of ``num_features``; 1 whitens all features together.
    eps
        Added to the variances; above 0.
    momentum
        Weight of the newest batch in the running buffers, from 0 to 1.

    Raises
    ------
    UserError
        If an option is not such a number.
    """

    running_mean: Tensor
    running_covariance: Tensor

    def __init__(self, num_features: int, num_groups: int = 1, eps: float = 1e-5, momentum: float = 0.1) -> None:
        check_features(num_features)
        check_count("num_groups", num_groups)
        check_eps(eps)
        check_momentum(momentum)
        if num_features % num_groups:
            raise UserError(f"num_groups={num_groups}: expected a divisor of the {num_features} features of a layer")
        super().__init__()
        self.num_groups = num_groups
        self.eps = eps
        self.momentum = momentum
        size = num_features // num_groups
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_covariance", torch.eye(size).repeat(num_groups, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the whitened ``x``, of its shape.

        Raises
        ------
        UserError
            In training mode unless there are more values per feature than features in a group: the covariance of fewer
            is singular, so that no map makes it the identity.
        """
        with torch.autocast(x.device.type, enabled=False):
            return self._whitened(widened(x))

    def _whitened(self, x: Tensor) -> Tensor:
        values = x.movedim(1, -1)
        rows = values.reshape(-1, values.shape[-1])
        if self.training:
            mean = rows.mean(0)
            centred = rows - mean
            covariance = self._covariance(centred)
            self._follow(mean, covariance, len(rows))
        else:
            centred, covariance = rows - self.running_mean, self.running_covariance
        scaled = inverse_root(covariance, self.eps).to(rows.dtype) * self.weight.view(self.num_groups, 1, -1)
        mapped = torch.addmm(self.bias, centred, torch.block_diag(*scaled))  # type: ignore[no-untyped-call]
        return mapped.view(values.shape).movedim(-1, 1)

    def extra_repr(self) -> str:
        """Show the number of groups."""
        return f"num_groups={self.num_groups}"

    def _covariance(self, centred: Tensor) -> Tensor:
        """Return the biased covariance ``(groups, size, size)`` of ``(m, F)``, in float64."""
        count, size = len(centred), self.running_covariance.shape[-1]
        if count <= size:
            cure = "take larger batches, more groups (norm.num_groups) or norm=batch"
            raise UserError(f"Whitening of {size} features together: {count} values each, expected more; {cure}")
        grouped = centred.double().view(count, self.num_groups, size).transpose(0, 1)
        return grouped.mT @ grouped / count

    @torch.no_grad()
    def _follow(self, mean: Tensor, covariance: Tensor, count: int) -> None:
        self.running_mean.lerp_(mean, self.momentum)
        unbiased = covariance * (count / (count - 1))
        self.running_covariance.lerp_(unbiased.to(self.running_covariance.dtype), self.momentum)


def inverse_root(covariance: Tensor, eps: float) -> Tensor:
    """Return the symmetric ``(covariance + eps I)^(-1/2)`` of symmetric ``(..., n, n)``, in float64, differentiably.

    The gradient of an eigendecomposition divides by differences of eigenvalues, so that equal ones give NaN. That of
    the root has no such differences: from S S = A^(-1), with A the shifted covariance, dS solves
    S dS + dS S = - S S dA S S. Gradients of gradients are supported, forward-mode differentiation is not.
    """
    shifted = covariance.double()
    shifted = shifted + eps * torch.eye(shifted.shape[-1], dtype=shifted.dtype, device=shifted.device)
    root: Tensor = _InverseRoot.apply(shifted, eps)
    return root


class _InverseRoot(torch.autograd.Function):
    """A^(-1/2) of symmetric A in float64 whose eigenvalues are at least ``least``, but for rounding."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, least: float) -> Tensor:
        values, vectors = torch.linalg.eigh(matrix)
        root: Tensor = (vectors * values.clamp(min=least).rsqrt().unsqueeze(-2)) @ vectors.mT
        ctx.save_for_backward(root)
        return root

    @staticmethod
    def backward(ctx: Any, towards: Tensor) -> tuple[Tensor, None]:
        (root,) = ctx.saved_tensors
        inverse = root @ root
        solved: Tensor = _Sylvester.apply(root, (towards + towards.mT) / 2)
        return -inverse @ solved @ inverse, None


class _Sylvester(torch.autograd.Function):
    """The symmetric X with S X + X S = G, for symmetric positive definite S and symmetric G."""

    @staticmethod
    def forward(ctx: Any, root: Tensor, right: Tensor) -> Tensor:
        values, vectors = torch.linalg.eigh(root)
        inner = vectors.mT @ right @ vectors / (values.unsqueeze(-1) + values.unsqueeze(-2))
        solved: Tensor = vectors @ inner @ vectors.mT
        ctx.save_for_backward(root, solved)
        return solved

    @staticmethod
    def backward(ctx: Any, towards: Tensor) -> tuple[Tensor, Tensor]:
        root, solved = ctx.saved_tensors
        right: Tensor = _Sylvester.apply(root, (towards + towards.mT) / 2)
        product = right @ solved
        return -(product + product.mT), right
