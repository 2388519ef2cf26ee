"""Data sets: CIFAR-10, MNIST, the synthetic data of the deep linear net, and small synthetic images for tests."""

from normscape.data.augment import augment
from normscape.data.cifar import cifar10
from normscape.data.dataset import Dataset, Split
from normscape.data.digits import mnist
from normscape.data.gaussian_linear import gaussian_linear
from normscape.data.synthetic import synthetic, synthetic_digits

__all__ = ["Dataset", "Split", "augment", "cifar10", "gaussian_linear", "mnist", "synthetic", "synthetic_digits"]
