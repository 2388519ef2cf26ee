"""What is checked of the first observed step of every run, before a row is written: no silently wrong number.

The suite measures networks, normalisations, losses and optimisers that it does not know. What the measurements assume
of them is tested on the step itself, at the cost of two forward-backward passes, once:

- repeated at the step's own point, the step gives the same loss and gradient: nothing that the pass depends on is
  missing from the copy, be it state, random numbers or modes;
- repeated without gradients, as where only activations are looked at, it gives the same loss;
- repeated once more it does so again: along the chain where the network is one, so that the chain's output is the
  network's, and G' of its first and its last layer, with no layer updated, is G;
- the network in training, with its buffers, attributes and gradients, the optimiser and the loss are unchanged;
- if the optimiser is plain gradient descent, its update is what the landscape assumes at s = lr.
"""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from normscape.errors import UserError
from normscape.probes.ics import along_the_chain, joined
from normscape.rounding import tolerance
from normscape.twin.fingerprint import digest
from normscape.update_rule import UpdateRule
from normscape.view import StepView


def self_check(view: StepView, given: Mapping[str, Tensor]) -> None:
    """Check what the measurements of a step assume.

    ``given`` is the gradient that the optimiser was given: the step's own, unless a user's loop has clipped it.

    Raises
    ------
    UserError
        If an assumption fails: names module, quantity and reason.
    """
    require_same_step(view)
    _require_same_loss(view, view.loss_at(view.parameters), " without gradients (torch.no_grad)")
    if view.network.chain:
        _require_chain(view)
    else:
        again, gradient = view.loss_and_gradient_at(view.parameters)
        _require_same_loss(view, again)
        require_same_gradient(view, gradient)
    _require_update(view, given)


def require_same_step(view: StepView) -> None:
    """Require that the step, repeated at W(t), gives its loss and gradient again. One forward-backward pass.

    Raises
    ------
    UserError
        If it does not, or if its forward pass moves a parameter: names the module or parameter.
    """
    loss, gradient = view.loss_and_gradient_at(view.parameters)
    require_still(view)
    _require_same_loss(view, loss)
    require_same_gradient(view, gradient)


def require_still(view: StepView) -> None:
    """Refuse a network whose forward pass, just repeated at W(t), has moved a parameter: each probed pass would."""
    for name, p in view.replay.replica.parameters.items():
        if not torch.equal(p, view.parameters[name]) and not bool(torch.isnan(p).any()):
            raise UserError(
                f"{name}: the forward pass moves this parameter, each time; keep what a pass updates in a buffer, "
                "which probes restore"
            )


def _require_same_loss(view: StepView, loss: Tensor, how: str = "") -> None:
    if loss.dim():
        raise UserError(f"loss: expected a scalar, not a tensor of shape {tuple(loss.shape)}; take its mean or sum")
    allowed = tolerance(view)
    if not torch.isclose(loss.double(), view.loss.double(), rtol=allowed, atol=allowed, equal_nan=True):
        raise UserError(
            f"{_culprit(view)}: repeated at W(t){how}, its loss is {loss.item():g}, not {view.loss.item():g}; "
            f"{_advice(view)}"
        )


ADVICE = (
    "a forward pass must be a function of weights, batch, state of the network's modules and the global random streams"
)
COMPILED = (
    "; compiled, it draws from other streams than uncompiled, unless torch._inductor.config.fallback_random is True"
)


def _advice(view: StepView) -> str:
    return ADVICE + (COMPILED if view.replay.replica.compiled else "")


def require_same_gradient(view: StepView, gradient: Mapping[str, Tensor]) -> None:
    """Compare tensor by tensor; a difference counts relative to the whole gradient, as rounding does."""
    length = _length(view.gradient)
    for name, value in gradient.items():
        difference = _norm(value - view.gradient[name])
        if difference > tolerance(view) * length:
            raise UserError(
                f"{_culprit(view)}: repeated at W(t), the gradient w.r.t. {name} differs from the step's by "
                f"{difference:.3g}, where the whole gradient has the norm {length:.3g}; what is trained on must be "
                f"the loss of the batch, its gradient neither accumulated, scaled nor hooked; and {_advice(view)}"
            )


def is_same_gradient(view: StepView, gradient: Mapping[str, Tensor]) -> bool:
    """Whether a gradient is the view's, to rounding."""
    allowed = tolerance(view) * _length(view.gradient)
    return not any(_norm(value - view.gradient[name]) > allowed for name, value in gradient.items())


def is_unscaled_and_clipped(view: StepView, scaled: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> bool:
    """Whether a gradient is the view's times one factor, and what the optimiser was given lies between that and 0.

    So it is where a scaled loss was differentiated, its gradient unscaled and then clipped, by norm or by value.
    """
    factor = _product(scaled, view.gradient) / _product(view.gradient, view.gradient)
    if not (0 < factor < math.inf) or not is_same_gradient(view, {name: g / factor for name, g in scaled.items()}):
        return False
    longer = {}
    for name, value in given.items():
        whole = view.gradient[name]
        longer[name] = value - value.clamp(whole.clamp(max=0), whole.clamp(min=0))
    return _length(longer) <= tolerance(view) * _length(view.gradient)


def _product(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> float:
    return sum(float((a[name].double() * b[name].double()).sum()) for name in a) or math.nan


def _length(tensors: Mapping[str, Tensor]) -> float:
    return math.hypot(*map(_norm, tensors.values()))


def _norm(tensor: Tensor) -> float:
    return float(torch.linalg.vector_norm(tensor, dtype=torch.float64))


def _require_chain(view: StepView) -> None:
    """Walk the chain at W(t): the gradients of its first and its last layer are the step's own."""
    trained = [layer for layer in view.network.layers if set(layer.weights) <= view.gradient.keys()]
    ends = list(dict.fromkeys([*trained[:1], *trained[-1:]]))
    for layer, walked in along_the_chain(view, ends, view.parameters).items():
        difference = _norm(walked - joined([view.gradient[name] for name in layer.weights]))
        if difference > tolerance(view) * _length(view.gradient):
            raise UserError(
                f"{layer.path}: its gradient along the chain of layers differs from the step's by {difference:.3g}; "
                "without an update there must be no covariate shift; " + ADVICE
            )


def _require_update(view: StepView, given: Mapping[str, Tensor]) -> None:
    """Require of plain gradient descent that its update is -lr grad J."""
    rule = view.rule
    for name, g in given.items() if rule.plain else ():
        if not _is_step(view, name, g, rule.learning_rates[name]):
            raise UserError(
                f"{name}: the update of {rule.name} is not -lr times the gradient of the objective (lr "
                f"{rule.learning_rates[name]:g}, weight decay {rule.weight_decays[name]:g}), so s = lr is not its own "
                "step; is the gradient or the weight changed between backward and the end of the step?"
            )


def require_rate_of_the_update(view: StepView, optimizer: torch.optim.Optimizer, given: Mapping[str, Tensor]) -> None:
    """Refuse an optimiser that changes its learning rate within a step before it uses it; costs no pass.

    The step sizes of the step would be multiples of another rate than that of its update.
    """
    after = UpdateRule.of(optimizer, view.replay.replica.model).learning_rates
    for name, g in given.items():
        before, now = view.rule.learning_rates[name], after.get(name, view.rule.learning_rates[name])
        if now != before and _is_step(view, name, g, now) and not _is_step(view, name, g, before):
            raise UserError(
                f"optimizer: {view.rule.name} sets its learning rate to {now:g} and then steps with it; step sizes "
                f"would be multiples of {before:g}; let it change the rate after its update, or use a schedule"
            )


def _is_step(view: StepView, name: str, g: Tensor, rate: float) -> bool:
    """Whether a parameter was moved by -rate (g + lambda W); what is not finite is not judged."""
    p = view.parameters[name]
    step, direction = view.updated[name] - p, g + view.rule.weight_decays[name] * p
    spacing = torch.finfo(p.dtype).eps * torch.linalg.vector_norm(p)  # what rounding may move
    missed = torch.linalg.vector_norm(step + rate * direction)
    allowed = 1e-3 * abs(rate) * torch.linalg.vector_norm(direction) + 8 * spacing
    return not bool(torch.isfinite(missed)) or bool(missed <= allowed)


def _culprit(view: StepView) -> str:
    """Return the first module that gives two values in two equal passes, or else the step."""
    first, second = _outputs(view), _outputs(view)
    for (path, value), (_, other) in zip(first, second, strict=False):
        if value != other:
            kind = type(view.replay.replica.twin.get_submodule(path)).__name__
            return f"{path or 'the network'} ({kind}) keeps state or draws numbers out of reach"
    if len({digest(view.loss_at(view.parameters)) for _ in range(3)}) > 1:
        loss = view.loss_function
        return f"loss ({getattr(loss, '__name__', type(loss).__name__)}) keeps state or draws numbers out of reach"
    return f"step {view.step}"


@torch.no_grad()
def _outputs(view: StepView) -> list[tuple[str, str]]:
    """Return digests of what each module gives, in the order in which they end."""
    twin = view.replay.replica.twin
    found: list[tuple[str, str]] = []

    def note(path: str) -> Callable[..., None]:
        return lambda _module, _inputs, output: found.append((path, digest(output)))

    handles = [module.register_forward_hook(note(path)) for path, module in twin.named_modules()]
    try:
        view.loss_at(view.parameters)
    finally:
        for handle in handles:
            handle.remove()
    return found
