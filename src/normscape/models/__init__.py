"""Networks: VGG, MLP, the deep linear net, and those of torchvision."""

from normscape.models.dln import DLN
from normscape.models.layered import Layer, LayeredModel, glorot_
from normscape.models.mlp import MLP
from normscape.models.vgg import VGG
from normscape.models.vision import torchvision_model

__all__ = ["DLN", "MLP", "VGG", "Layer", "LayeredModel", "glorot_", "torchvision_model"]
