"""Data sets: CIFAR-10, the synthetic data of the deep linear net, and small stand-ins for tests."""
