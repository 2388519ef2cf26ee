"""CIFAR-10, fetched once, checked and mapped. The folder is not called as the data set is: that names its function."""

from normscape.data.cifar.load import cifar10

__all__ = ["cifar10"]
