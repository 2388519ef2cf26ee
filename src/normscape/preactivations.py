"""What enters the nonlinearity of a layer, in any network, by hooks that are removed afterwards."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch import Tensor, nn

from normscape.errors import UserError
from normscape.models.layered import LayeredModel
from normscape.network import WEIGHTY, WeightLayer

_NORMALISATIONS = (
    nn.modules.batchnorm._NormBase,
    nn.GroupNorm,
    nn.LayerNorm,
    nn.RMSNorm,
    nn.LocalResponseNorm,
)


@contextmanager
def recorded_preactivations(model: nn.Module, layers: Iterable[WeightLayer]) -> Iterator[dict[WeightLayer, Tensor]]:
    """Record, in forward passes of the block, what enters the nonlinearity of each layer.

    That is the output of the layer, or of the normalisation that takes exactly this output. It is copied as soon as it
    exists, so that a nonlinearity may work in place.

    Raises
    ------
    UserError
        If a layer does not run in the block's pass.
    """
    recorded: dict[WeightLayer, Tensor] = {}
    waiting: dict[WeightLayer, Tensor] = {}

    def after_layer(layer: WeightLayer, _: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        waiting[layer], recorded[layer] = output, _only(layer, output).detach().clone()

    def after_norm(_: nn.Module, inputs: tuple[Any, ...], options: dict[str, Any], output: Any) -> None:
        for layer, value in list(waiting.items()):
            if _first(inputs, options) is value:
                recorded[layer] = _only(layer, output).detach().clone()
                del waiting[layer]

    handles = [model.get_submodule(layer.path).register_forward_hook(partial(after_layer, layer)) for layer in layers]
    handles += [module.register_forward_hook(after_norm, with_kwargs=True) for module in _norm_modules(model)]
    try:
        yield recorded
    finally:
        for handle in handles:
            handle.remove()
    for layer in layers:
        if layer not in recorded:
            raise UserError(f"probe layer {layer.path}: it does not run in this step's forward pass")


@contextmanager
def norms_behind(model: nn.Module, layers: Iterable[WeightLayer]) -> Iterator[dict[WeightLayer, str]]:
    """Note, in forward passes of the block, the path of the normalisation that takes exactly a layer's output."""
    found: dict[WeightLayer, str] = {}
    outputs: dict[WeightLayer, Tensor] = {}

    def after_layer(layer: WeightLayer, _: nn.Module, inputs: object, output: Tensor) -> None:
        outputs[layer] = output

    def before_norm(path: str, _: nn.Module, inputs: tuple[Any, ...], options: dict[str, Any]) -> None:
        found.update({layer: path for layer, output in outputs.items() if _first(inputs, options) is output})

    norms = set(_norm_modules(model))
    handles = [model.get_submodule(layer.path).register_forward_hook(partial(after_layer, layer)) for layer in layers]
    handles += [
        module.register_forward_pre_hook(partial(before_norm, path), with_kwargs=True)
        for path, module in model.named_modules()
        if module in norms
    ]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _first(inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Return the first of what a module is called with, by place or by name."""
    return next(iter((*inputs, *options.values())), None)


def _only(layer: WeightLayer, output: Any) -> Tensor:
    if not isinstance(output, Tensor):
        kind = type(output).__name__
        raise UserError(f"probe layer {layer.path}: it, or the normalisation behind it, gives a {kind}, not a tensor")
    return output


def _is_norm(module: nn.Module) -> bool:
    """Whether a module is a normalisation of the suite or of torch, or its class is called one."""
    ours = type(module).__module__.startswith("normscape.norms.")
    return ours or isinstance(module, _NORMALISATIONS) or "norm" in type(module).__name__.lower()


def _norm_modules(model: nn.Module) -> list[nn.Module]:
    """Return the normalisations: of a `LayeredModel` its layers' own, elsewhere the suite's, torch's, and by name.

    A module that contains a weight layer is not a normalisation, whatever its name; of a norm within a norm, the outer
    one counts.
    """
    if isinstance(model, LayeredModel):
        return list(dict.fromkeys(layer.get_submodule("norm") for layer in model.layers.values()))
    found: list[nn.Module] = []
    inner: set[nn.Module] = set()
    for module in model.modules():
        if _is_norm(module) and module not in inner and not any(isinstance(part, WEIGHTY) for part in module.modules()):
            found.append(module)
            inner.update(module.modules())
    return found
