"""From a checked configuration to the objects that it names."""

from dataclasses import dataclass

import torch
from torch import nn

from normscape.components import (
    build_component,
    build_data,
    build_loss,
    build_model,
    build_optimizer,
    build_probes,
    build_schedule,
    kind_of_norm,
    require_whole,
)
from normscape.config import RunConfig, check_threads
from normscape.errors import UserError
from normscape.forward import Forward, set_tf32
from normscape.loop import Plan, State
from normscape.process.kernels import check_device, require_kernels
from normscape.trackers import Tracker
from normscape.twin.replay import LossFunction


@dataclass
class Components:
    """What a config names, built; ``norm`` is the class of the normalisation, None if the network is to have none."""

    plan: Plan
    state: State
    tracker: Tracker
    norm: type[nn.Module] | None


def device_of(config: RunConfig) -> torch.device:
    """Return the device that the config asks for; ``auto`` is a GPU where there is one."""
    name = config.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UserError(
            f"device={name}: not usable here (no such device); expected auto, cpu, cuda, or one of several as cuda:1"
        ) from error
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device={name}: not usable here ({str(error).splitlines()[0]}); try auto") from error
    if device.type == "meta":
        raise UserError(f"device={config.device}: it holds no numbers; try auto")
    return device


def dry_model(config: RunConfig) -> nn.Module:
    """Build the network without memory for its weights.

    A class whose constructor needs real numbers, which torch's meta device does not have, is built with them.
    """
    try:
        with torch.device("meta"):
            return build_model(config)
    except UserError as error:
        if isinstance(error.__cause__, UserError | None):
            raise
        return build_model(config)


def dry_build(config: RunConfig, device_too: bool = True) -> None:
    """Build everything but the data, to find mistakes before any training; holds no memory for the weights.

    ``device_too`` is false for a run that another machine carries out, whose devices are not those of this one.
    """
    device = device_of(config) if device_too else None
    if device is not None:
        check_device(config.kernels, device)
    model = dry_model(config)
    optimizer = build_optimizer(config, model)
    if device is not None:
        check_capturable(optimizer, device)
    schedule = build_schedule(config, optimizer)
    probes = build_probes(config, model)
    if schedule is not None:
        require_whole(schedule, config, probes)
    build_loss(config)
    build_component("tracker", config.tracker)


def on_device(loss: LossFunction, device: torch.device) -> LossFunction:
    """Move a loss that is a module, e.g. with the weights of classes, to the device of what it is called with."""
    return loss.to(device) if isinstance(loss, nn.Module) else loss


def check_capturable(optimizer: torch.optim.Optimizer, device: torch.device) -> None:
    """Raise `UserError` if an optimiser's steps shall be fit for CUDA graphs where there is no GPU."""
    if device.type == "cpu" and any(group.get("capturable") for group in optimizer.param_groups):
        raise UserError("optimizer.capturable=true: expected a GPU, and this run is on cpu; leave it out")


def build(config: RunConfig, device: torch.device) -> Components:
    """Build data, network, optimiser, probes and tracker, and set the process's numerical switches."""
    check_threads(config.threads)
    check_device(config.kernels, device)
    require_kernels(config.kernels)
    torch.set_num_threads(config.threads)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    set_tf32(config.tf32)
    model = build_model(config).to(device)
    dataset = build_data(config)
    if config.batch_size is not None and config.batch_size > (there := len(dataset.train)):
        raise UserError(
            f"batch_size={config.batch_size}: {dataset.name} has {there} training samples; expected at most as many, "
            "or null for all in each step"
        )
    plan = Plan(
        dataset=dataset.to(device),
        loss_function=on_device(build_loss(config), device),
        probes=build_probes(config, model),
        seed=config.seed,
        steps=config.steps,
        batch_size=config.batch_size,
        augmented=config.augment,
        log_every=config.log_every,
        eval_every=config.eval_every,
        forward=Forward.asked(config),
    )
    optimizer = build_optimizer(config, model)
    check_capturable(optimizer, device)
    state = State(model, optimizer, build_schedule(config, optimizer))
    return Components(plan, state, build_component("tracker", config.tracker), kind_of_norm(config))
