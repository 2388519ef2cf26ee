"""A small image classification data set that can be learned, for tests and ``scale=smoke``; it needs no download."""

import hashlib

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from normscape.data.dataset import Dataset, Split
from normscape.errors import UserError
from normscape.seeds import generator

COARSE_PIXELS = 4
CONTRAST = 40.0  # standard deviation of a template's pixels, in 0..255


def synthetic(
    seed: int = 0,
    classes: int = 10,
    train_images: int = 512,
    test_images: int = 256,
    image_size: int = 32,
    noise: float = 40.0,
) -> Dataset:
    """Return images that are their class's template plus pixel noise, stored like CIFAR-10: uint8 ``(N, 3, S, S)``.

    Parameters
    ----------
    seed
        Determines templates, noise and order.
    classes, train_images, test_images, image_size
        Sizes; the classes are as balanced as the numbers allow, in random order.
    noise
        Standard deviation of the noise of each pixel, in 0..255; a template's own is 40.

    Raises
    ------
    UserError
        If a size is not positive or ``noise`` is negative.
    """
    _require_sizes(classes=classes, train_images=train_images, test_images=test_images, image_size=image_size)
    if noise < 0:
        raise UserError(f"noise={noise}: expected a standard deviation, 0 or more")
    coarse = torch.randn(
        classes, 3, COARSE_PIXELS, COARSE_PIXELS, generator=generator(seed, "data", "synthetic", "templates")
    )
    templates = 127.5 + CONTRAST * interpolate(coarse, size=(image_size, image_size))
    train = _draw(templates, train_images, noise, generator(seed, "data", "synthetic", "train"))
    test = _draw(templates, test_images, noise, generator(seed, "data", "synthetic", "test"))
    pixels = train.inputs.double()
    arrays = (train.inputs, train.targets, test.inputs, test.targets)
    return Dataset(
        name="synthetic",
        checksum=hashlib.md5(b"".join(array.numpy().tobytes() for array in arrays)).hexdigest(),
        train=train,
        test=test,
        mean=pixels.mean((0, 2, 3)).float(),
        std=pixels.std((0, 2, 3), unbiased=False).float(),
    )


def synthetic_digits(train_images: int = 512, test_images: int = 256) -> Dataset:
    """Return the stand-in of binary MNIST: `synthetic` images of 28x28, one channel of them, 1 where it is bright.

    Stored like MNIST: uint8 ``(N, 1, 28, 28)`` of 0 and 1, which are the network inputs too.
    """
    images = synthetic(train_images=train_images, test_images=test_images, image_size=28)

    def binary(split: Split) -> Split:
        return Split((split.inputs[:, :1] >= 128).to(torch.uint8), split.targets)

    assert images.test is not None
    train, test = binary(images.train), binary(images.test)
    return Dataset("synthetic_digits", f"{images.checksum}-binary", train, test)


def _require_sizes(**sizes: int) -> None:
    for option, value in sizes.items():
        if value < 1:
            raise UserError(f"{option}={value}: expected at least 1")


def _draw(templates: Tensor, images: int, noise: float, stream: torch.Generator) -> Split:
    targets = (torch.arange(images) % len(templates))[torch.randperm(images, generator=stream)]
    clean = templates[targets]
    noisy = clean + noise * torch.randn(clean.shape, generator=stream)
    return Split(noisy.round().clamp(0, 255).to(torch.uint8), targets)
