"""The augmentation behind the accuracies that the paper reports for augmented training (92 % BN, 88 % standard)."""

import torch
from torch import Tensor
from torch.nn.functional import pad

PADDING = 4


def augment(inputs: Tensor, generator: torch.Generator) -> Tensor:
    """Return each image shifted by up to four pixels and mirrored with probability 1/2.

    The usual one for CIFAR-10 (the paper does not specify one): a crop at a random place of the image padded by four
    black pixels on each side, then a horizontal flip.

    Parameters
    ----------
    inputs
        Stored images ``(N, C, H, W)``, on any device; they are left unchanged.
    generator
        A CPU generator; nothing else is drawn from, so the result does not depend on the device.
    """
    samples, _, height, width = inputs.shape
    top, left = torch.randint(2 * PADDING + 1, (2, samples), generator=generator).to(inputs.device)
    mirrored = torch.randint(2, (samples, 1, 1, 1), generator=generator).to(inputs.device).bool()
    windows = pad(inputs, (PADDING,) * 4).unfold(2, height, 1).unfold(3, width, 1)  # (N, C, 9, 9, H, W), a view
    crops = windows[torch.arange(samples, device=inputs.device), :, top, left]
    return torch.where(mirrored, crops.flip(3), crops)
