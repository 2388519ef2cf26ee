"""Internal covariate shift, the loss landscape, gradient predictiveness and effective beta-smoothness of any network.

`observe` measures a network in your own training loop, and the probes say what is measured; the suite's normalisations
and networks are here too. A public name is imported when it is first used: torch takes seconds, and not all needs it.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the same names as in _HOMES, for type checkers and editors
    from normscape.errors import UserError
    from normscape.models import DLN, MLP, VGG, LayeredModel, torchvision_model
    from normscape.norms import (
        BatchNorm,
        GroupNorm,
        InstanceNorm,
        LayerNorm,
        LpNorm,
        NoisyBatchNorm,
        NoisyStandard,
        Standard,
        TorchBatchNorm,
        WeightNorm,
        Whitening,
    )
    from normscape.observing.observation import Observation, observe
    from normscape.probes import Activations, InternalCovariateShift, Landscape, Probe, Sharpness, Theory
    from normscape.storage.records import Row, Snapshot
    from normscape.view import StepView

    __version__: str

__all__ = [
    "DLN",
    "MLP",
    "VGG",
    "Activations",
    "BatchNorm",
    "GroupNorm",
    "InstanceNorm",
    "InternalCovariateShift",
    "Landscape",
    "LayerNorm",
    "LayeredModel",
    "LpNorm",
    "NoisyBatchNorm",
    "NoisyStandard",
    "Observation",
    "Probe",
    "Row",
    "Sharpness",
    "Snapshot",
    "Standard",
    "StepView",
    "Theory",
    "TorchBatchNorm",
    "UserError",
    "WeightNorm",
    "Whitening",
    "observe",
    "torchvision_model",
]

_HOMES = {
    "errors": ["UserError"],
    "models": ["DLN", "MLP", "VGG", "LayeredModel", "torchvision_model"],
    "norms": [
        "BatchNorm",
        "GroupNorm",
        "InstanceNorm",
        "LayerNorm",
        "LpNorm",
        "NoisyBatchNorm",
        "NoisyStandard",
        "Standard",
        "TorchBatchNorm",
        "WeightNorm",
        "Whitening",
    ],
    "observing.observation": ["Observation", "observe"],
    "probes": ["Activations", "InternalCovariateShift", "Landscape", "Probe", "Sharpness", "Theory"],
    "storage.records": ["Row", "Snapshot"],
    "view": ["StepView"],
}
"""Where the public names live. No module may have the name of one of them: its import would put it in its place."""

_MODULES = {"data", *(home.partition(".")[0] for home in _HOMES)}
"""What `import normscape` gives without a further import."""


if not TYPE_CHECKING:  # to type checkers it would make every misspelt name one that exists

    def __getattr__(name: str) -> Any:
        """Import what is public, or a module or folder that holds some of it, at its first use."""
        if name == "__version__":
            found = globals()[name] = _version()
            return found
        if name in _MODULES:
            return importlib.import_module(f"normscape.{name}")
        for home, names in _HOMES.items():
            if name in names:
                found = globals()[name] = getattr(importlib.import_module(f"normscape.{home}"), name)
                return found
        raise AttributeError(f"module 'normscape' has no attribute '{name}'")


def _version() -> str:
    from importlib import metadata  # not before it is asked for: Ctrl-C is to find a script ready

    try:
        return metadata.version("normscape")
    except metadata.PackageNotFoundError:  # a copy of the code that was carried to a machine, not installed
        return "0+unknown"


def __dir__() -> list[str]:
    """Return what there is, imported or not."""
    return sorted({*globals(), *__all__, *_MODULES, "__version__"})
