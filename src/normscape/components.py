"""The components that a config names, built one by one; what cannot be built or is of the wrong kind is named."""

import inspect
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from hydra.utils import get_object, instantiate
from torch import nn
from torch.nn.parameter import is_lazy
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from normscape.config import RunConfig, accepts
from normscape.data.dataset import Dataset
from normscape.errors import UserError, first_line
from normscape.models.layered import LayeredModel, NormFactory, initialise
from normscape.network import is_chain, network_of
from normscape.norms.standard import Standard
from normscape.probes.landscape import Landscape
from normscape.probes.probe import Probe
from normscape.process.own_files import is_known
from normscape.seeds import kept_streams, seed_streams
from normscape.twin.copies import attributes
from normscape.twin.fingerprint import digest
from normscape.twin.replay import LossFunction


def build_component(path: str, node: Mapping[str, Any], **more: Any) -> Any:
    """Instantiate a config node, naming the node if what it asks for cannot be built."""
    try:
        return instantiate(dict(node), **more, _convert_="all")
    except Exception as error:
        raise _refusal(path, node, error) from error


def _refusal(path: str, node: Mapping[str, Any], error: Exception, hint: str = "") -> UserError:
    cause = error.__cause__ or error
    if isinstance(cause, UserError):
        return UserError(f"{path}: {cause}")
    if path == "model" and "unexpected keyword argument" in str(cause):
        hint = f"; model=own model._target_={node['_target_']} leaves the settings of other networks out"
    given = {key: "null" if value is None else value for key, value in node.items() if not key.startswith("_")}
    values = ", ".join(f"{key}={value}" for key, value in given.items()) or "no settings"
    reason = next(iter(str(cause).splitlines()), type(cause).__name__)
    return UserError(f"{path}: {node['_target_']} cannot be built from {values}: {reason}{hint}")


@contextmanager
def seeded(config: RunConfig, path: str) -> Iterator[None]:
    """Seed the global random streams for the construction of one component, and restore them afterwards.

    What a constructor draws is then a function of the config, and not of what was built before.
    """
    with kept_streams(torch.device("cpu")):
        seed_streams(config.seed, "construction", path)
        yield


def _build_norm(node: Mapping[str, Any]) -> NormFactory:
    """Return what makes the normalisation of a layer; make one first, so that it is named if that fails."""
    target = node["_target_"]
    try:
        factory: NormFactory = build_component("norm", node)
    except UserError as error:
        if node.get("_partial_"):
            raise
        raise UserError(f"{error}; a norm is called with a number of features: is _partial_: true missing?") from error
    try:
        made = factory(64)
    except Exception as error:
        hint = f"; {OWN_NORMS}" if target.startswith("torch.") else ""
        raise _refusal("norm", node, error, hint) from error
    if not isinstance(made, nn.Module):
        raise UserError(f"norm: {target}(64) is a {type(made).__name__}; expected a torch.nn.Module for 64 features")
    if type(made).__module__.startswith("torch.nn") and not _takes_features(made):
        raise UserError(f"norm: {target} is not constructed from a number of features; {OWN_NORMS}")
    if any(map(is_lazy, (*made.parameters(), *made.buffers()))):
        raise UserError(f"norm: {target}(64): its lazy modules have no weights yet; give their sizes")
    return factory


OWN_NORMS = "expected one of configs/norm, e.g. norm=group, or a class of yours called as MyNorm(num_features)"


def _takes_features(made: nn.Module) -> bool:
    """Whether a module of torch's, made from one number, took it for its features, as a normalisation does."""
    taken = [getattr(made, name, None) for name in ("num_features", "num_channels", "normalized_shape")]
    return 64 in taken or (64,) in taken or isinstance(made, nn.Identity)


def build_model(config: RunConfig) -> nn.Module:
    """Build the network with its normalisation; a `LayeredModel` gets weights of the seed, others keep their own.

    Raises
    ------
    UserError
        If it cannot be built, is no module, has parameters without shape, or takes no ``norm`` while one is asked for.
    """
    target = config.model["_target_"]
    with seeded(config, "norm"):
        norm = _build_norm(config.norm)
    model = _seeded_model(config, norm)
    if not isinstance(model, nn.Module):
        raise UserError(f"model._target_={target}: expected a torch.nn.Module, not a {type(model).__name__}")
    if any(map(is_lazy, (*model.parameters(), *model.buffers()))):
        raise UserError(f"model._target_={target}: its lazy modules have no weights yet; give their sizes")
    if not all(is_known(path) for path in (target, config.norm["_target_"])):
        _require_function(model, _seeded_model(config, norm), target)
        _require_norm(model, norm, config)
    if isinstance(model, LayeredModel):
        initialise(model, config.seed)
    return model


def _require_norm(model: nn.Module, norm: NormFactory, config: RunConfig) -> None:
    """Refuse a network that takes a normalisation and has none of it: its runs would all be the same."""
    kind = kind_of_norm(config, norm)
    if kind is not None and not any(type(module) is kind for module in model.modules()):
        target = config.model["_target_"]
        raise UserError(
            f"model._target_={target}: it takes 'norm' and has no {kind.__name__}; call norm(features) for its layers, "
            "or take no 'norm' and set norm=standard"
        )


def kind_of_norm(config: RunConfig, norm: NormFactory | None = None) -> type[nn.Module] | None:
    """Return the class of the normalisation that the network is to use; None if none is asked for."""
    if get_object(config.norm["_target_"]) is Standard or not accepts(get_object(config.model["_target_"]), "norm"):
        return None
    with seeded(config, "norm"):
        return type((norm or _build_norm(config.norm))(64))


def _seeded_model(config: RunConfig, norm: NormFactory) -> Any:
    target = config.model["_target_"]
    with seeded(config, "model"):
        if accepts(get_object(target), "norm"):
            return build_component("model", config.model, norm=norm)
        if get_object(config.norm["_target_"]) is Standard:
            return build_component("model", config.model)
    raise UserError(
        f"model._target_={target}: it takes no 'norm', so norm={config.norm['_target_']} would do nothing; add the "
        "argument, or set norm=standard to keep the network's own"
    )


def _require_function(model: nn.Module, again: nn.Module, target: str) -> None:
    """Refuse a network that differs when it is built a second time: the run would depend on what was built before."""
    for (path, one), other in zip(model.named_modules(), again.modules(), strict=False):
        for name, value in {**attributes(one), **one._buffers, **one._parameters}.items():
            if digest(value) != digest({**attributes(other), **other._buffers, **other._parameters}.get(name)):
                where = f"{path}.{name}".lstrip(".")
                raise UserError(
                    f"model._target_={target}: {where} differs when the network is built again; use no counters"
                )


def build_optimizer(config: RunConfig, model: nn.Module) -> torch.optim.Optimizer:
    """Build the optimiser of a network's parameters."""
    parameters: list[Any] = [*model.parameters()]
    if not any(p.requires_grad for p in parameters):
        raise UserError(f"model._target_={config.model['_target_']}: expected a parameter that trains")
    if config.decayed == "weights":
        decayed, others = [p for p in parameters if p.dim() > 1], [p for p in parameters if p.dim() <= 1]
        parameters = [{"params": decayed}, {"params": others, "weight_decay": 0.0}]
    with seeded(config, "optimizer"):
        try:
            made = build_component("optimizer", config.optimizer, params=parameters, _partial_=False)
        except UserError as error:
            if config.decayed == "all" or is_known(config.optimizer["_target_"]):
                raise
            raise UserError(f"{error}; with decayed=all it gets parameters instead of groups of them") from error
    if not isinstance(made, torch.optim.Optimizer):
        target = config.optimizer["_target_"]
        raise UserError(f"optimizer._target_={target}: expected a torch.optim.Optimizer, not a {type(made).__name__}")
    closure = inspect.signature(type(made).step).parameters.get("closure")
    if closure is not None and closure.default is inspect.Parameter.empty:
        target = config.optimizer["_target_"]
        raise UserError(f"optimizer._target_={target}: its step needs a closure; a step of the suite is one pass")
    if any(group.get("differentiable") for group in made.param_groups):
        raise UserError("optimizer.differentiable=true: nothing differentiates through a run's steps; leave it out")
    return made


def build_schedule(config: RunConfig, optimizer: torch.optim.Optimizer) -> LRScheduler | None:
    """Build the learning-rate schedule, which takes a step after each of the optimiser's; None for a constant rate."""
    if not config.schedule:
        return None
    made = build_component("schedule", config.schedule, optimizer=optimizer, _partial_=False)
    if not isinstance(made, LRScheduler) or isinstance(made, ReduceLROnPlateau):
        target = config.schedule["_target_"]
        raise UserError(f"schedule._target_={target}: expected a scheduler by steps alone, not a {type(made).__name__}")
    return made


def require_whole(schedule: LRScheduler, config: RunConfig, probes: Sequence[Probe]) -> None:
    """Raise `UserError` unless a schedule, which is used up by this, goes on until the last step of the run.

    It must not take the rate to 0 at a step at which a probe's step sizes are multiples of it.
    """
    walks = [probe for probe in probes if isinstance(probe, Landscape) and probe.step_sizes is None]
    for step in range(1, config.steps + 1):
        still = not any(group["lr"] > 0 for group in schedule.optimizer.param_groups)
        if still and any(probe.is_due(step - 1) for probe in walks):
            raise UserError(
                f"schedule: the learning rate is 0 at step {step - 1}, where the landscape is measured at multiples of "
                "it; let it stay above 0, or give step sizes: +probe.landscape.step_sizes=[0.1] "
                "probe.landscape.lr_multiples=null"
            )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the optimiser has taken no step
                schedule.step()
        except Exception as error:
            target, reason = config.schedule["_target_"], first_line(error)
            raise UserError(
                f"schedule: {target} fails after step {step} of {config.steps}: {reason}; let it reach to the last step"
            ) from error


def build_loss(config: RunConfig) -> LossFunction:
    """Build the loss, a function of outputs and targets without weights of its own."""
    with seeded(config, "loss"):
        loss: Any = build_component("loss", config.loss)
    if not callable(loss):
        target = config.loss["_target_"]
        raise UserError(
            f"loss._target_={target}: expected a function of outputs and targets; is _partial_: true missing?"
        )
    if isinstance(loss, nn.Module) and any(p.requires_grad for p in loss.parameters()):
        raise UserError(
            f"loss._target_={config.loss['_target_']}: it has weights of its own, which nothing would train"
        )
    checked: LossFunction = loss
    return checked


def build_probes(config: RunConfig, model: nn.Module) -> list[Probe]:
    """Build the probes, and check them against a network that need not be traced; others are checked when it runs."""
    network = network_of(model, lambda: None, numbered=True) if is_chain(model) else None
    probes = []
    for name, node in config.probe.items():
        with seeded(config, f"probe.{name}"):
            probe = build_component(f"probe.{name}", node)
        if not isinstance(probe, Probe):
            target = node["_target_"]
            raise UserError(
                f"probe.{name}._target_={target}: expected a normscape.probes.Probe, not a {type(probe).__name__}"
            )
        if network:
            try:
                probe.check(network)
            except UserError as error:
                raise UserError(f"probe.{name}: {error}") from error
        probes.append(probe)
    return probes


def build_data(config: RunConfig) -> Dataset:
    """Build the data, which must be images if they are to be augmented."""
    with seeded(config, "data"):
        dataset = build_component("data", config.data)
    if not isinstance(dataset, Dataset):
        target = config.data["_target_"]
        raise UserError(f"data._target_={target}: expected a normscape.data.Dataset, not a {type(dataset).__name__}")
    dataset.require_sound()
    shape = tuple(dataset.train.inputs.shape[1:])
    if config.augment and len(shape) != 3:
        raise UserError(f"augment=true: expected images (C, H, W), not the {dataset.name} data of shape {shape}")
    return dataset
