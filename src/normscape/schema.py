"""The keys of a run's configuration and what may stand there."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class VggScale:
    """Size and cadences of the image networks at one scale."""

    width: float
    train_images: int
    steps: int
    log_every: int
    eval_every: int
    probe_every: int


@dataclass
class DlnScale:
    """Size and cadences of the deep linear nets at one scale."""

    steps: int
    log_every: int
    probe_every: int


@dataclass
class Scale:
    """A named set of sizes from which the runs take theirs."""

    name: str
    vgg: VggScale
    dln: DlnScale


@dataclass
class Measure:
    """What the probes of a run look at, in one place; their YAMLs take it from here."""

    every: int
    activation_layers: Any  # a list of layer numbers, or all, which OmegaConf has no type for; see `limits`
    ics_layers: Any
    step_sizes: list[float]


@dataclass
class RunConfig:
    """The keys of ``configs/train.yaml``; components are dictionaries with a ``_target_``."""

    name: str
    net: str
    series: str
    seed: int
    steps: int
    batch_size: int | None
    augment: bool
    log_every: int
    eval_every: int
    tf32: bool
    measure: Measure
    data: dict[str, Any]
    model: dict[str, Any]
    norm: dict[str, Any]
    optimizer: dict[str, Any]
    loss: dict[str, Any]
    tracker: dict[str, Any]
    scale: Scale
    group: str | None
    device: str
    threads: int
    checkpoint_seconds: float
    runs_dir: str
    probe: dict[str, Any] = field(default_factory=dict)
    schedule: dict[str, Any] = field(default_factory=dict)
    """The component that changes the learning rate; empty where the rate is constant."""


COMPONENTS = ("data", "model", "norm", "optimizer", "loss", "tracker")
"""Components that every run has; it may have a ``schedule`` and any number of probes beside them."""
