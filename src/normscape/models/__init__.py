"""Networks: VGG, MLP and the deep linear net."""

from normscape.models.dln import DLN
from normscape.models.layered import Layer, LayeredModel, glorot_
from normscape.models.mlp import MLP
from normscape.models.vgg import VGG

__all__ = ["DLN", "MLP", "VGG", "Layer", "LayeredModel", "glorot_"]
