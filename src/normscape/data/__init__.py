"""Data sets: CIFAR-10, the synthetic data of the deep linear net, and small synthetic images for tests."""

from normscape.data.augment import augment
from normscape.data.cifar import cifar10
from normscape.data.dataset import Dataset, Split
from normscape.data.gaussian_linear import gaussian_linear
from normscape.data.synthetic import synthetic

__all__ = ["Dataset", "Split", "augment", "cifar10", "gaussian_linear", "synthetic"]
