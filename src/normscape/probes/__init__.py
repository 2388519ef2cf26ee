"""What is measured while a network trains, one quantity per file."""

from normscape.probes.activations import Activations
from normscape.probes.ics import InternalCovariateShift
from normscape.probes.landscape import Landscape
from normscape.probes.probe import Probe
from normscape.probes.sharpness import Sharpness
from normscape.probes.theory import Theory

__all__ = ["Activations", "InternalCovariateShift", "Landscape", "Probe", "Sharpness", "Theory"]
