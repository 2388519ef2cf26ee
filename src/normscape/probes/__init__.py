"""What is measured while a network trains: a quantity per file, and what `theory` and `activations` are made of."""

from normscape.probes.activations import Activations
from normscape.probes.ics import InternalCovariateShift
from normscape.probes.landscape import Landscape
from normscape.probes.probe import Probe
from normscape.probes.sharpness import Sharpness
from normscape.probes.theory import Theory

__all__ = ["Activations", "InternalCovariateShift", "Landscape", "Probe", "Sharpness", "Theory"]
