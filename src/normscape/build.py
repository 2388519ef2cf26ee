"""From a checked configuration to the objects that it names."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from hydra.utils import instantiate

from normscape.config import RunConfig
from normscape.errors import UserError
from normscape.loop import Plan, State
from normscape.models.layered import LayeredModel, NormFactory, glorot_
from normscape.probes.probe import Probe
from normscape.trackers import Tracker


@dataclass
class Components:
    """What a config names, built."""

    plan: Plan
    state: State
    tracker: Tracker


def device_of(config: RunConfig) -> torch.device:
    """Return the device that the config asks for; ``auto`` is a GPU where there is one."""
    name = config.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device={config.device}: not usable here ({str(error).splitlines()[0]}); try auto") from error
    return device


def build_component(path: str, node: Mapping[str, Any], **more: Any) -> Any:
    """Instantiate a config node, naming the node if what it asks for cannot be built."""
    try:
        return instantiate(dict(node), **more, _convert_="all")
    except Exception as error:
        raise _refusal(path, node, error) from error


def _refusal(path: str, node: Mapping[str, Any], error: Exception) -> UserError:
    cause = error.__cause__ or error
    if isinstance(cause, UserError):
        return UserError(f"{path}: {cause}")
    given = {key: "null" if value is None else value for key, value in node.items() if not key.startswith("_")}
    values = ", ".join(f"{key}={value}" for key, value in given.items()) or "no settings"
    reason = next(iter(str(cause).splitlines()), type(cause).__name__)
    return UserError(f"{path}: {node['_target_']} cannot be built from {values}: {reason}")


def _build_norm(node: Mapping[str, Any]) -> NormFactory:
    """Return what makes the normalisation of a layer; make one first, so that it is named if that fails."""
    factory: NormFactory = build_component("norm", node)
    try:
        factory(64)
    except Exception as error:
        raise _refusal("norm", node, error) from error
    return factory


def build_model(config: RunConfig) -> LayeredModel:
    """Build the network with its normalisation, with Glorot's initial weights."""
    model = build_component("model", config.model, norm=_build_norm(config.norm))
    if not isinstance(model, LayeredModel):
        raise UserError(f"model._target_={config.model['_target_']}: expected a normscape.models.LayeredModel")
    glorot_(model, config.seed)
    return model


def build_optimizer(config: RunConfig, model: LayeredModel) -> torch.optim.Optimizer:
    """Build the optimiser of a network's parameters."""
    parameters = [*model.parameters()]
    optimizer: torch.optim.Optimizer = build_component(
        "optimizer", config.optimizer, params=parameters, _partial_=False
    )
    return optimizer


def _build_probe(name: str, node: Mapping[str, Any], model: LayeredModel) -> Probe:
    probe: Probe = build_component(f"probe.{name}", node)
    try:
        probe.check(model)
    except UserError as error:
        raise UserError(f"probe.{name}: {error}") from error
    return probe


def dry_build(config: RunConfig) -> None:
    """Build everything but the data, to find mistakes before any training; holds no memory for the weights."""
    device_of(config)
    with torch.device("meta"):
        model = build_component("model", config.model, norm=_build_norm(config.norm))
    build_optimizer(config, model)
    build_component("loss", config.loss)
    build_component("tracker", config.tracker)
    for name, node in config.probe.items():
        _build_probe(name, node, model)


def build(config: RunConfig, device: torch.device) -> Components:
    """Build data, network, optimiser, probes and tracker, and set the process's numerical switches."""
    torch.set_num_threads(config.threads)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.allow_tf32 = config.tf32
    torch.backends.cuda.matmul.allow_tf32 = config.tf32
    model = build_model(config).to(device)
    probes = [_build_probe(name, node, model) for name, node in config.probe.items()]
    plan = Plan(
        dataset=build_component("data", config.data).to(device),
        loss_function=build_component("loss", config.loss),
        probes=probes,
        seed=config.seed,
        steps=config.steps,
        batch_size=config.batch_size,
        augmented=config.augment,
        log_every=config.log_every,
        eval_every=config.eval_every,
    )
    optimizer = build_optimizer(config, model)
    return Components(plan, State(model, optimizer), build_component("tracker", config.tracker))
