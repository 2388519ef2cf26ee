r"""A full batch of a linear network, reduced to as many rows as it has dimensions.

Let X ``(N, D)`` be the inputs, Y ``(N, K)`` the targets, 1 a column of N ones, and [1 X Y] = Q R with orthonormal
columns in Q and R upper triangular (Householder, in float64). Every activation of a network of linear maps and of
normalisations that scale and shift whole features is H = [1 X] B for some matrix B, that is H = Q H' with
H' = R[:, :1+D] B: the network that runs on the rows of R instead of the samples has activations H', of which only the
first 1 + D rows are not zero. Since Q keeps inner products, what training needs of H is exactly there in H':

- the summed squared error: ||H - Y||^2 = ||H' - Y'||^2, where the rows of Y' below the first 1 + D give a constant;
- the mean of a feature: the first column of Q is 1/sqrt(N), so mean(H) = H'[0] / sqrt(N);
- its mean square, ||H'||^2 / N, and its biased variance, ||H'[1:]||^2 / N, with no difference of large numbers;
- a shift of all samples by b: sqrt(N) b is added to H'[0], and to nothing else.

What is not a sum of squares, such as mean abs(H) or max abs(H), needs the samples: H = Q H', one product of matrices.
The gradient is that of the same function of the same weights. In exact arithmetic nothing changes. In floating point R
is that of inputs and targets changed by float64's rounding, which does not show, and is then rounded to their own type:
what is trained on is a data set that differs from theirs in the last digit, in float32 by 6e-8 of it. Sums over N
samples become sums over 1 + D rows, which round less. At the end of training, where a gradient is a small difference of
large numbers, its error in float32 is a third of that on the samples with BatchNorm, and ten times that without.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ReducedBatch:
    """The full batches of several runs, the lanes.

    Attributes
    ----------
    inputs, targets
        X' ``(lanes, rows, D)`` and Y' ``(lanes, rows, K)``.
    rest
        What the targets' other rows add to the loss, ``(lanes,)``.
    basis
        Q transposed, ``(lanes, rows, N)``.
    """

    inputs: Tensor
    targets: Tensor
    rest: Tensor
    basis: Tensor

    @property
    def samples(self) -> int:
        """N."""
        return self.basis.shape[2]

    @classmethod
    def of(cls, batches: Sequence[tuple[Tensor, Tensor]]) -> "ReducedBatch":
        """Reduce batches of equal shapes, each inputs ``(N, D)`` and targets ``(N, K)``."""
        return cls(*map(torch.stack, zip(*(_reduced(*batch) for batch in batches), strict=True)))

    def double(self) -> "ReducedBatch":
        """Return the same numbers in float64."""
        return ReducedBatch(*(part.double() for part in (self.inputs, self.targets, self.rest, self.basis)))

    def repeated(self, times: int) -> "ReducedBatch":
        """Return each lane so many times, one after the other."""
        parts = (self.inputs, self.targets, self.rest, self.basis)
        return ReducedBatch(*(part.repeat_interleave(times, 0) for part in parts))

    def samples_of(self, rows: Tensor) -> Tensor:
        """Return activations by feature and sample, ``(lanes, F, N)``, from their rows ``(lanes, rows, F)``."""
        return torch.bmm(rows.transpose(1, 2), self.basis)


def _reduced(inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    ones = inputs.new_ones(len(inputs), 1)
    q, r = torch.linalg.qr(torch.cat([ones, inputs, targets], dim=1).double())
    signs = torch.where(r.diagonal() < 0, -1.0, 1.0)  # so that the mean is positive in the first row
    q, r = q * signs, r * signs[:, None]
    behind = 1 + inputs.shape[1]  # the first column of the targets
    x, y = r[:behind, 1:behind], r[:behind, behind:]
    rest = r[behind:, behind:].square().sum()
    made = (x, y, rest, q[:, :behind].T)
    return tuple(part.to(inputs.dtype).contiguous() for part in made)
