"""The keys of a run's configuration, what may stand there, and which of them make a run what it is.

A setting counts for a run's identity, and a command line that changes it is told in the run's name, unless its field
is marked otherwise here.
"""

from dataclasses import dataclass, field
from typing import Any

LABEL = {"identity": False, "named": False}
"""Marks a setting that says how, where or under which name, not what: it changes no number of the run."""

RESOLVED = {"identity": False}
"""Marks settings from which others take theirs: they count where they stand resolved, and nowhere else."""

NUMBERED = {"named": False}
"""Marks a setting that the run's folder has in its name anyway."""


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
class ShortScale:
    """Size and cadences of runs of which many are needed at one scale."""

    steps: int
    steps_per_rate: int
    log_every: int
    eval_every: int
    probe_every: int


@dataclass
class MnistScale:
    """Data, size and cadences of the networks on MNIST at one scale."""

    data: str  # the function that gives it: the real data set, or its stand-in
    steps: int
    log_every: int
    eval_every: int
    probe_every: int


@dataclass
class ConvScale:
    """Size, cadences and decay of the rate of the convolutional networks on CIFAR-10 at one scale."""

    width: float
    steps: int
    log_every: int
    eval_every: int
    probe_every: int
    gamma: float  # of the learning rate at each step
    fast_gamma: float  # the same six times as fast: gamma^6


@dataclass
class Scale:
    """A named set of sizes from which the runs take theirs."""

    name: str
    vgg: VggScale
    dln: DlnScale
    short: ShortScale
    mnist: MnistScale
    conv: ConvScale
    tf32: bool = False  # whether image networks are trained in TF32 on a GPU


@dataclass
class Measure:
    """What the probes of a run look at, in one place; their YAMLs take it from here."""

    every: int
    activation_layers: Any  # a list of layer numbers, or all, which OmegaConf has no type for; see `settings.limits`
    noise_floor: bool
    ics_layers: Any
    lr_multiples: list[float]  # step sizes of the landscape, as multiples of the step's learning rate
    float64: bool  # whether the landscape is measured in float64


@dataclass
class RunConfig:
    """The keys of ``configs/train.yaml``; components are dictionaries with a ``_target_``."""

    name: str = field(metadata=LABEL)
    net: str = field(metadata=LABEL)
    series: str = field(metadata=LABEL)
    seed: int = field(metadata=NUMBERED)
    steps: int
    batch_size: int | None
    augment: bool
    log_every: int
    eval_every: int
    tf32: bool
    precision: str
    compile: str
    kernels: str
    arithmetic: str
    decayed: str
    measure: Measure = field(metadata=RESOLVED)
    data: dict[str, Any]
    model: dict[str, Any]
    norm: dict[str, Any]
    optimizer: dict[str, Any]
    loss: dict[str, Any]
    tracker: dict[str, Any] = field(metadata=LABEL)
    scale: Scale = field(metadata=RESOLVED)
    group: str | None = field(metadata=LABEL)
    device: str = field(metadata=LABEL)
    threads: int = field(metadata=LABEL)
    checkpoint_seconds: float = field(metadata=LABEL)
    runs_dir: str = field(metadata=LABEL)
    probe: dict[str, Any] = field(default_factory=dict)
    schedule: dict[str, Any] = field(default_factory=dict)
    """The component that changes the learning rate; empty where the rate is constant."""
    objective: str = field(default="test_accuracy", metadata=LABEL)

    @property
    def label(self) -> str:
        """What messages call the run."""
        return f"{self.name} seed {self.seed}"


DECAYED = ("weights", "all")
"""What an optimiser's weight decay may act on: all parameters but vectors, or all."""

COMPONENTS = ("data", "model", "norm", "optimizer", "loss", "tracker")
"""Components that every run has; it may have a ``schedule`` and any number of probes beside them."""
