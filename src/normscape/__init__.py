"""Internal covariate shift, the loss landscape, gradient predictiveness and effective beta-smoothness of any network.

`observe` measures a network in your own training loop, and the probes say what is measured; the suite's normalisations
and networks are here too.
"""

import importlib.metadata

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
)
from normscape.observe import Observation, observe
from normscape.probes import Activations, InternalCovariateShift, Landscape, Probe
from normscape.records import Row, Snapshot
from normscape.view import StepView

__version__ = importlib.metadata.version("normscape")

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
    "Snapshot",
    "Standard",
    "StepView",
    "TorchBatchNorm",
    "UserError",
    "observe",
    "torchvision_model",
]
