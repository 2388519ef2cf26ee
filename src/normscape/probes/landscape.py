"""Loss landscape, gradient predictiveness, effective Lipschitzness and beta-smoothness: all from one walk from W(t)."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from normscape.errors import UserError, suggest
from normscape.network import Network
from normscape.probes.probe import Moment, Probe
from normscape.storage.records import Row, Snapshot
from normscape.twin.replica import Parameters
from normscape.view import StepView

DIRECTIONS = ("gradient", "random")
LR_MULTIPLES = (0.5, 1.0, 2.0, 4.0)
MOST_LOST = 0.05
"""The share of a step that may be lost in the rounding of the weights."""


class Landscape(Probe):
    r"""Loss and gradient at points W(t) - s d, for step sizes s along a direction d.

    With the objective J(W) = L(W) + lambda/2 ||W||^2, L the loss of the step's mini-batch, and g = grad J(W(t)):

    - loss landscape: J(W - s d) over the step sizes; figures draw the band from its minimum to its maximum over s;
    - effective Lipschitzness: the maximum over s of abs(J(W - s d) - J(W)) / (s ||d||), a lower bound of the
      Lipschitz constant of J near W, as effective beta is one of its gradient's;
    - gradient predictiveness: ||grad J(W - s d) - g|| over the step sizes, likewise drawn as a band;
    - effective beta-smoothness: the maximum over s of ||grad J(W - s d) - g|| / (s ||d||).

    d is g (the paper's choice), or a random direction of the same norm ||g||, uniform on the sphere and drawn afresh at
    each step; parameters that do not train stay where they are. Source: paper, section 3.2, figs. 4 and 10 to 13;
    random directions: its text; effective Lipschitzness: ours, for its claim that the loss becomes more Lipschitz. The
    penalty is part of the objective since the plotted loss includes it (inferred). With plain SGD s = lr is then the
    optimiser's own step. With any other optimiser it is not: what is measured is the landscape along the gradient, at
    multiples of the optimiser's learning rate, whatever the update makes of both.
    Forward mode: the step's own (training), with the step's layer noise.

    Parameters
    ----------
    lr_multiples
        The step sizes s as multiples of the step's learning rate, read before its update; finite and above 0. None,
        unless there are ``step_sizes``, is 0.5, 1, 2 and 4.
    every
        Measure every so many steps.
    weight_decay
        lambda: None takes the optimiser's own for each parameter, be it part of the gradient (SGD, Adam) or decoupled
        from it (AdamW); 0 makes J the loss alone; any other number must be the optimiser's own for all parameters that
        it decays.
    direction
        ``gradient`` or ``random``.
    step_sizes
        The step sizes s themselves, instead of ``lr_multiples``. Needed where parameter groups have different learning
        rates.
    float64
        Measure in float64 (`StepView.in_float64`), for one pass more and memory for the network in float64. Near a
        plateau of a large loss, short steps change J by less than float32 resolves: so the deep linear net is measured.
        Layer noise is drawn anew in that format, the same at all points of a step.

    Notes
    -----
    Rows, all with the name of the direction at the end when it is ``random`` (``loss_landscape_random``):

    - ``loss_landscape`` per step size;
    - ``gradient_difference`` per step size, Euclidean norm over all parameters;
    - ``gradient_difference_tensor_sum`` per step size, the norms of the parameter tensors added up, which is what the
      paper seems to have plotted (inferred, see `normscape.evidence.original.NAMES`);
    - ``effective_lipschitz``, Euclidean;
    - ``effective_beta``, Euclidean, and ``effective_beta_tensor_sum``, the ratio of the sums of tensor norms; NaN at a
      step whose gradient is zero;
    - ``objective`` and ``gradient_norm`` at W(t).

    ``step_size`` in a row is s, not a multiple. Cost: one forward-backward pass per step size; the base point is the
    training step's own.

    Raises
    ------
    UserError
        If a step size is not above 0 and finite, there is none, or one twice; if the weights' format cannot hold a step
        of the first measurement to 5 %; if both ``lr_multiples`` and
        ``step_sizes`` are given; if the direction is unknown; at a step whose learning rate is 0 or differs between
        parameters, unless ``step_sizes`` are given; if ``weight_decay`` is neither 0 nor the optimiser's own.
    """

    def __init__(
        self,
        lr_multiples: Sequence[float] | None = None,
        every: int = 1,
        weight_decay: float | None = None,
        direction: Literal["gradient", "random"] = "gradient",
        step_sizes: Sequence[float] | None = None,
        float64: bool = False,
    ) -> None:
        super().__init__(every)
        if lr_multiples is not None and step_sizes is not None:
            raise UserError(
                f"probe lr_multiples={[*lr_multiples]} and step_sizes={[*step_sizes]}: expected one of them; "
                "lr_multiples=None (null) takes the step sizes as they are"
            )
        self.step_sizes = None if step_sizes is None else _checked("step_sizes", step_sizes)
        self.lr_multiples = _checked("lr_multiples", LR_MULTIPLES if lr_multiples is None else lr_multiples)
        if weight_decay is not None and not (weight_decay >= 0 and math.isfinite(weight_decay)):
            raise UserError(f"probe weight_decay={weight_decay}: expected a finite number, 0 or more")
        if direction not in DIRECTIONS:
            raise UserError(f"probe direction={direction}: no such direction{suggest(direction, DIRECTIONS)}")
        self.weight_decay = weight_decay
        self.direction, self.float64 = direction, float64
        self.suffix = "" if direction == "gradient" else f"_{direction}"

    def outline(self, network: Network, learning_rate: float) -> Iterator[Row | Snapshot]:
        """Yield the rows of one step, without their values."""
        names = ["loss_landscape", "gradient_difference", "gradient_difference_tensor_sum"]
        sizes = self.step_sizes or [multiple * learning_rate for multiple in self.lr_multiples]
        rows: list[tuple[str, float | None]] = [(name, size) for size in sizes for name in names]
        rows += [(name, None) for name in ("objective", "gradient_norm", "effective_lipschitz")]
        rows += [(name, None) for name in ("effective_beta", "effective_beta_tensor_sum")]
        for name, size in rows:
            yield Row(0, name + self.suffix, None, size, math.nan)

    def measure(self, view: StepView) -> Iterator[Row | Snapshot]:
        """Yield the rows of one step; their values are asked for at the end, for which a GPU has to be waited for."""
        for quantity, size, value in list(self._measured(view.in_float64() if self.float64 else view)):
            yield Row(view.step, quantity + self.suffix, None, size, value.item())

    def _measured(self, view: StepView) -> Iterator[tuple[str, float | None, Tensor]]:
        decays, start = self._weight_decays(view), view.parameters
        base = _with_penalty(view.gradient, start, decays)
        direction = base if self.direction == "gradient" else self._random_direction(view, base)
        length, length_sum = norms(direction)
        objective = view.loss + _penalty(start, decays)
        yield "objective", None, objective
        yield "gradient_norm", None, length if direction is base else norms(base)[0]
        slopes, betas, betas_sum = [], [], []
        for s in self.sizes_of(view):
            steps = torch._foreach_mul([*direction.values()], s)
            point = {**start, **minus(start, dict(zip(direction, steps, strict=True)))}
            if view.first:
                require_resolved(start, point, direction, s)
            loss, gradient = view.loss_and_gradient_at(point)
            found = _with_penalty(gradient, point, decays)
            difference, difference_sum = norms(minus(found, base))
            there = loss + _penalty(point, decays)
            slopes.append((there - objective).abs() / (s * length))
            betas.append(difference / (s * length))
            betas_sum.append(difference_sum / (s * length_sum))
            yield "loss_landscape", s, there
            yield "gradient_difference", s, difference
            yield "gradient_difference_tensor_sum", s, difference_sum
        yield "effective_lipschitz", None, torch.stack(slopes).max()
        yield "effective_beta", None, torch.stack(betas).max()
        yield "effective_beta_tensor_sum", None, torch.stack(betas_sum).max()

    def sizes_of(self, at: Moment) -> Sequence[float]:
        """Return the step sizes of a step."""
        if self.step_sizes is not None:
            return self.step_sizes
        rate = at.learning_rate
        return [multiple * rate for multiple in self.lr_multiples]

    def _weight_decays(self, view: StepView) -> dict[str, float]:
        """Return lambda of each parameter that trains."""
        own, given = view.rule.weight_decays, self.weight_decay
        if given == 0:
            return dict.fromkeys(own, 0.0)
        for name, decay in own.items() if given is not None else ():
            if decay not in (0, given) or given not in own.values():
                raise UserError(
                    f"probe weight_decay={given}: {view.rule.name} has {decay:g} for {name}; "
                    "null takes the optimiser's own, 0 the loss alone"
                )
        return own

    def _random_direction(self, view: StepView, like: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return a direction uniform on the sphere of radius ||like||."""
        stream = direction_stream(view)
        drawn = {name: torch.randn(g.shape, generator=stream).to(g) for name, g in like.items()}
        scale = norms(like)[0] / norms(drawn)[0]
        return {name: scale * d for name, d in drawn.items()}


def require_resolved(start: Parameters, point: Parameters, direction: Mapping[str, Tensor], s: float) -> None:
    """Refuse a step size whose steps the weights cannot hold: what would be measured is their rounding.

    Parameters
    ----------
    start, point
        W and W - s d, by parameter name; ``point`` may have parameters that ``direction`` does not have.
    direction, s
        d and the step size.

    Raises
    ------
    UserError
        If more than 5 % of the step's length is lost.
    """
    wanted = {name: s * d.double() for name, d in direction.items()}
    lost = {name: start[name].double() - point[name].double() - step for name, step in wanted.items()}
    length, off = norms(wanted)[0].item(), norms(lost)[0].item()
    if off > MOST_LOST * length:
        dtype = str(next(iter(start.values())).dtype).removeprefix("torch.")
        raise UserError(
            f"probe: step size {s:g}: {off / length:.0%} of such a step is lost in the rounding of {dtype} weights; "
            "take larger lr_multiples or step_sizes, or float64: measure.float64=true, Landscape(float64=True)"
        )


def direction_stream(at: Moment) -> torch.Generator:
    """Return what the random direction of a step is drawn from, parameter after parameter."""
    return at.generator("landscape", "direction", at.step)


def _checked(name: str, sizes: Sequence[float]) -> tuple[float, ...]:
    if not sizes or not all(size > 0 and math.isfinite(size) for size in sizes) or len({*sizes}) < len(sizes):
        raise UserError(f"probe {name}={[*sizes]}: expected different finite numbers above 0")
    return tuple(sizes)


def _with_penalty(gradient: Parameters, point: Parameters, decays: Mapping[str, float]) -> dict[str, Tensor]:
    """Return grad J = grad L + lambda W; a lambda of 0 adds nothing, not even where W is infinite."""
    return {name: g + decays[name] * point[name] if decays[name] else g for name, g in gradient.items()}


def _penalty(point: Parameters, decays: Mapping[str, float]) -> Tensor | float:
    """Return lambda/2 ||W||^2 over the parameters that train, lambda being each parameter's own."""
    by_decay: dict[float, dict[str, Tensor]] = {}
    for name, decay in decays.items():
        if decay:
            by_decay.setdefault(decay, {})[name] = point[name]
    return sum(0.5 * decay * norms(part)[0].square() for decay, part in by_decay.items())


def minus(from_these: Parameters, these: Parameters) -> dict[str, Tensor]:
    """Return the differences of tensors of the same names, those of ``these``."""
    return dict(zip(these, torch._foreach_sub([from_these[name] for name in these], [*these.values()]), strict=True))


def _wide(dtype: torch.dtype) -> torch.dtype | None:
    """Return the type in which norms are taken, None for the tensor's: sums of squares overflow in 16 bits."""
    return torch.float32 if dtype.itemsize < 4 else None


def norms(tensors: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Return the Euclidean norm of all entries of all tensors together, and the sum of the tensors' own norms."""
    each = torch.stack([torch.linalg.vector_norm(t, dtype=_wide(t.dtype)) for t in tensors.values()])
    return torch.linalg.vector_norm(each), each.sum()
