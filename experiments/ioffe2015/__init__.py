"""Batch Normalization: Accelerating Deep Network Training (Ioffe & Szegedy, 2015): its figures and claims."""

NOTES = """\
- The original trains Inception on ImageNet; here a narrowed VGG-11 on CIFAR-10 takes its place, with the rules by which
  its variants differ: rates 5 and 30 times the baseline's; there without dropout, with a fifth of the weight decay, and
  with rates that decay six times as fast. Steps are therefore compared as ratios, never as numbers.
- MNIST has the original's size; the learning rate and the size of the initial weights are ours, as it states neither.
- Test accuracy stands for its validation accuracy; nothing is selected by it but the best point of each curve, as
  there, and the baseline's rate."""

FIRST = (1, 3, 2, "story", "whitening", "properties", "rates")
"""The figures that decide most, first."""
