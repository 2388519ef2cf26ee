"""Sharpness: the largest eigenvalue of the Hessian of the training objective."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh
from torch import Tensor

from normscape.errors import UserError, check_count
from normscape.network import Network
from normscape.probes.probe import Probe
from normscape.rounding import tolerance
from normscape.storage.records import Row, Snapshot
from normscape.view import StepView

Floats = NDArray[np.float64]


class Sharpness(Probe):
    """The largest eigenvalue of the Hessian at W(t) of the objective J(W) = L(W) + lambda/2 ||W||^2.

    L is the loss of the step's mini-batch and lambda the optimiser's weight decay of each parameter, as for
    `Landscape`, whose effective beta is a lower bound of the largest absolute eigenvalue between its points. Gradient
    descent on a quadratic diverges where its curvature exceeds 2 / lr; networks are seen to train at that edge. Source:
    Cohen et al. 2021, "Gradient Descent on Neural Networks Typically Occurs at the Edge of Stability", who measure it
    on the whole training set: so here for a full batch; on a mini-batch it is that mini-batch's.

    Found by implicitly restarted Lanczos iteration (``scipy.sparse.linalg.eigsh``, largest algebraic) on products of
    the Hessian with vectors, from the same start vector at every step. Parameters that do not train are constants.
    Forward mode: the step's own (training: batch statistics, through which the Hessian goes), with its layer noise.

    Parameters
    ----------
    every
        Measure every so many steps.
    tolerance
        Relative accuracy at which the iteration stops, above 0; float32 has noise of some 1e-6.
    restarts
        The most restarts of the iteration, each of at most 19 products.

    Notes
    -----
    Row: ``sharpness``; NaN where a product is not finite or the iteration does not get there within ``restarts``. Cost:
    one forward-backward pass, and 20 to 60 products, each a backward pass through its graph, of some two passes.

    Raises
    ------
    UserError
        If an option is not such a number, or an operation of the network has no second derivative, or a wrong one: the
        Hessian must be symmetric.
    """

    def __init__(self, every: int = 1, tolerance: float = 1e-3, restarts: int = 50) -> None:
        super().__init__(every)
        if not 0 < tolerance < 1:
            raise UserError(f"probe tolerance={tolerance}: expected a number above 0 and below 1, e.g. 1e-3")
        check_count("probe restarts", restarts)
        self.tolerance = tolerance
        self.restarts = restarts

    def outline(self, network: Network, learning_rate: float) -> Iterator[Row | Snapshot]:
        """Yield the row of one step, without its value."""
        yield Row(0, "sharpness", None, None, math.nan)

    def measure(self, view: StepView) -> Iterator[Row | Snapshot]:
        """Yield the row of one step."""
        yield Row(view.step, "sharpness", None, None, self._largest_eigenvalue(view))

    def _largest_eigenvalue(self, view: StepView) -> float:
        with view.hessian_at(view.parameters) as hessian:
            product = _flat(view, hessian)
            size = sum(g.numel() for g in view.gradient.values())
            start = torch.randn(size, generator=view.generator("sharpness"), dtype=torch.float64).numpy()
            moved = product(start)
            if np.isfinite(moved).all():
                self._require_symmetric(view, product, start, moved)
            if size == 1 or not np.isfinite(moved).all() or not moved.any():
                return float(moved[0] / start[0]) if np.isfinite(moved).all() else math.nan
            operator = LinearOperator((size, size), matvec=product, dtype=np.float64)
            try:
                (value,) = eigsh(
                    operator, 1, which="LA", v0=start, tol=self.tolerance, maxiter=self.restarts,
                    return_eigenvectors=False,
                )  # fmt: skip
            except ArpackError:  # without convergence, or by what is not finite
                return math.nan
        return float(value)

    def _require_symmetric(
        self, view: StepView, product: Callable[[Floats], Floats], one: Floats, moved: Floats
    ) -> None:
        """Refuse second derivatives that are wrong: those of a scalar are symmetric, <u, H v> = <v, H u>."""
        other = torch.randn(len(one), generator=view.generator("sharpness", "other"), dtype=torch.float64).numpy()
        there = product(other)
        missed = abs(float(other @ moved - one @ there))
        if missed > 10 * tolerance(view) * float(np.linalg.norm(moved) + np.linalg.norm(there)):
            raise UserError(
                f"probe sharpness: step {view.step}: the Hessian is not symmetric (<u, Hv> and <v, Hu> differ by "
                f"{missed:.3g}), so an operation of the network has a wrong second derivative, as torch's weight_norm "
                "has; use norm=weight, or leave the probe out"
            )


def _flat(view: StepView, hessian: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> Callable[[Floats], Floats]:
    """Return the Hessian of J as a map of flat vectors."""
    like, decays = view.gradient, view.rule.weight_decays

    def product(vector: Floats) -> Floats:
        parts = torch.split(torch.from_numpy(vector.ravel()), [g.numel() for g in like.values()])
        direction = {name: part.view(g.shape).to(g) for (name, g), part in zip(like.items(), parts, strict=True)}
        curved = hessian(direction)
        flat = [(curved[name] + decays[name] * d).double().flatten().cpu() for name, d in direction.items()]
        return torch.cat(flat).numpy()

    return product
