"""Where the weight layers of a network are, whatever its architecture: the only place that knows.

A weight layer is a convolution or a linear map. Layers are numbered from 1 in forward order. A
`normscape.LayeredModel` that is a chain says so itself; any other network is traced: one forward pass shows which
modules run, and in which order.

"Earlier than layer i" is meant as follows. Every parameter belongs to the block of the weight layer that was the last
to start when the module that owns the parameter first started to run: a convolution's weight and bias, and the scale
and shift of the normalisation after it, are one block. What runs before the first weight layer, as an embedding, is
block 0. Earlier than layer i are the blocks 0 to i - 1; in a residual network, this includes both branches of earlier
blocks.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from torch import nn

from normscape.errors import UserError, suggest
from normscape.models.layered import Layer, LayeredModel

Layers = Sequence[int | str] | Literal["all"]
"""Weight layers by their numbers or module paths, or all of them."""

WEIGHTY = (nn.Linear, nn.modules.conv._ConvNd)
"""What a weight layer is."""


@dataclass(frozen=True)
class WeightLayer:
    """One convolution or linear map.

    Attributes
    ----------
    number, path
        Its place in forward order, from 1, and its module path.
    weights
        Names of the parameters that make its weight: one, or those of its parametrisation (weight_norm has two).
    units, unit_axis
        How many units it has (channels or features), and the axis of its output that counts them: 1 of
        ``(N, C, H, W)``, the last of ``(N, ..., F)``.
    runs
        How often it runs in a forward pass: a layer that runs twice has no single pre-activation.
    """

    number: int
    path: str
    weights: tuple[str, ...]
    units: int
    unit_axis: int
    runs: int


@dataclass(frozen=True)
class Network:
    """The weight layers of a network and the blocks of its parameters.

    Attributes
    ----------
    kind
        Name of the network's class.
    layers
        In forward order.
    block
        For each parameter's name, the number of the layer whose block it is in; 0 before the first layer.
    chain
        Whether the network is the composition of ``layers.1``, ``layers.2`` and so on, and nothing else.
    numbered
        Whether rows name layers by number, as in the suite, or by module path.
    unplaced
        Parameters of modules that do not run, in a container of layers that run: if they take part in the pass
        nevertheless, nothing tells behind which layers.
    """

    kind: str
    layers: tuple[WeightLayer, ...]
    block: dict[str, int]
    chain: bool
    numbered: bool
    unplaced: frozenset[str] = frozenset()

    def find(self, asked: Layers) -> tuple[WeightLayer, ...]:
        """Return the layers that are asked for, by number or path.

        Raises
        ------
        UserError
            If there is no such layer, none is asked for, or one is asked for twice.
        """
        if isinstance(asked, str):
            if asked != "all":
                raise UserError(f"probe layers={asked}: expected a list of layers, or all")
            return self.layers
        found = tuple(map(self._one, asked))
        if not found:
            raise UserError("probe layers=[]: expected at least one layer, or all; without the probe none is measured")
        for layer in found:
            if found.count(layer) > 1:
                raise UserError(f"probe layers={list(asked)}: expected each layer once; {layer.path} is listed twice")
        return found

    def _one(self, asked: int | str) -> WeightLayer:
        for layer in self.layers:
            if asked in (layer.number, layer.path) and not isinstance(asked, bool):
                return layer
        if isinstance(asked, str):
            known = suggest(asked, [layer.path for layer in self.layers])
            raise UserError(f"probe layer {asked}: no convolution or linear map of the {self.kind} that runs{known}")
        last = self.layers[-1].number if self.layers else 0
        raise UserError(f"probe layer {asked}: the {self.kind} has layers 1 to {last}")

    def label(self, layer: WeightLayer) -> int | str:
        """Return what rows call the layer."""
        return layer.number if self.numbered else layer.path


def network_of(model: nn.Module, forward: Callable[[], object], *, numbered: bool) -> Network:
    """Describe a network; ``forward`` runs it once, and is called only if it has to be traced.

    Raises
    ------
    UserError
        If no convolution or linear map runs in it.
    """
    chain = is_chain(model)
    kind, names = type(model).__name__, {id(p): name for name, p in model.named_parameters()}
    weighty = _weight_modules(model)
    runs = dict.fromkeys(weighty, 1) if chain else _runs(model, forward)
    layers: list[WeightLayer] = []
    began: dict[str, int] = {}
    for path, times in runs.items():
        weights = _weights(weighty[path], names) if path in weighty else ()
        if weights:
            layers.append(WeightLayer(len(layers) + 1, path, weights, *_units(weighty[path]), times))
        began[path] = len(layers)
    if not layers:
        raise UserError(f"{kind}: expected a convolution or linear map that runs as a module of the network")
    if chain:
        block = {name: int(name.split(".")[1]) for name in names.values()}
        return Network(kind, tuple(layers), block, chain, numbered)
    ran = {parent for layer in layers for parent in _parents(layer.path)}
    unplaced = {
        names[id(p)]
        for path, module in model.named_modules()
        for p in module.parameters(recurse=False)
        if (nearest := _nearest(path, began)) != path and nearest in ran
    }
    block = _blocks(model, names, began, weighty)
    return Network(kind, tuple(layers), block, chain, numbered, frozenset(unplaced))


def is_chain(model: nn.Module) -> bool:
    """Whether a network is nothing but the composition of its layers, which share no module and no parameter."""
    if not isinstance(model, LayeredModel) or not _has_forward_of(model, LayeredModel):
        return False
    layers = list(model.layers.values())
    parts = [part for layer in layers for part in {*layer.modules(), *layer.parameters()}]
    return (
        all(isinstance(layer, Layer) and _has_forward_of(layer, Layer) for layer in layers)
        and len(set(parts)) == len(parts)
        and set(model.parameters()) == {part for part in parts if isinstance(part, nn.Parameter)}
        and not any((model._forward_hooks, model._forward_pre_hooks, model._backward_hooks, model._backward_pre_hooks))
    )


def _has_forward_of(module: nn.Module, kind: type[nn.Module]) -> bool:
    return type(module).forward is kind.forward and "forward" not in vars(module)


def _weight_modules(model: nn.Module) -> dict[str, nn.Module]:
    """Return the modules that may be weight layers, by path; of a `LayeredModel` its numbered layers alone."""
    if isinstance(model, LayeredModel):
        return {f"layers.{number}.linear": layer.get_submodule("linear") for number, layer in model.layers.items()}
    return {path: module for path, module in model.named_modules() if isinstance(module, WEIGHTY)}


def _runs(model: nn.Module, forward: Callable[[], object]) -> dict[str, int]:
    """Return how often each module runs, by path, in the order in which they first start."""
    runs: dict[str, int] = {}

    def begin(path: str, *_: object) -> None:
        runs[path] = runs.get(path, 0) + 1

    handles = [module.register_forward_pre_hook(partial(begin, path)) for path, module in model.named_modules()]
    try:
        forward()
    finally:
        for handle in handles:
            handle.remove()
    return runs


def _weights(module: nn.Module, names: dict[int, str]) -> tuple[str, ...]:
    """Return the names of the parameters that make a layer's weight, also if parametrised, by old-style hooks too."""
    parametrised = getattr(getattr(module, "parametrizations", None), "weight", None)
    if isinstance(parametrised, nn.Module):
        return tuple(names[id(p)] for p in parametrised.parameters(recurse=False))
    own = {name: p for name, p in module._parameters.items() if p is not None}
    known = ["weight"] if "weight" in own else ["weight_g", "weight_v", "weight_orig"]
    return tuple(names[id(own[name])] for name in known if name in own)


def _units(module: nn.Module) -> tuple[int, int]:
    """Return the number of units and their axis; the spatial axes of a convolution's output are behind it."""
    if isinstance(module, nn.modules.conv._ConvNd):
        return module.out_channels, -1 - len(module.kernel_size)
    assert isinstance(module, nn.Linear)
    return module.out_features, -1


def _blocks(model: nn.Module, names: dict[int, str], began: dict[str, int], weighty: Iterable[str]) -> dict[str, int]:
    """Return the block of each parameter: that of its first owner to run, or of the nearest ancestor that runs.

    A container starts before the layers in it, and may use its own parameters behind them: it has no block before 1.
    """
    owners = [(path, p) for path, module in model.named_modules() for p in module.parameters(recurse=False)]
    containers = {parent for path in weighty for parent in _parents(path)}
    blocks: dict[str, int] = {}
    for path, p in owners:
        path = _nearest(path, began)
        name, number = names[id(p)], began.get(path, 1)
        number = max(number, 1) if path in containers else number
        blocks[name] = min(number, blocks.get(name, number))
    return blocks


def _nearest(path: str, began: Mapping[str, int]) -> str:
    """Return the path of a module if it ran, else that of the nearest one it is in that did."""
    while path and path not in began:
        path = path.rpartition(".")[0]
    return path


def _parents(path: str) -> list[str]:
    """Return the paths of the modules that a module is in, the network itself, which is called "", among them."""
    parts = path.split(".")
    return [".".join(parts[:length]) for length in range(len(parts))]
