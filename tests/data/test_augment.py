import pytest
import torch

from normscape.data import augment


@pytest.fixture
def images():
    return torch.randint(1, 256, (300, 3, 32, 32), generator=torch.Generator().manual_seed(1)).to(torch.uint8)


def stream():
    return torch.Generator().manual_seed(0)


def test_every_image_is_a_crop_of_its_padded_self_perhaps_mirrored(images):
    result = augment(images, stream())
    assert (result.shape, result.dtype) == (images.shape, images.dtype)
    padded = torch.zeros(300, 3, 40, 40, dtype=torch.uint8)
    padded[:, :, 4:36, 4:36] = images
    seen = set()
    for image, source in zip(result, padded, strict=True):
        found = [
            (top, left, mirrored)
            for top in range(9)
            for left in range(9)
            for mirrored in (False, True)
            if torch.equal(image.flip(2) if mirrored else image, source[:, top : top + 32, left : left + 32])
        ]
        assert len(found) == 1
        seen.update(found)
    assert {top for top, _, _ in seen} == {left for _, left, _ in seen} == set(range(9))
    assert {mirrored for _, _, mirrored in seen} == {False, True}


def test_it_draws_only_from_the_generator_and_leaves_its_input(images):
    before, state = images.clone(), torch.get_rng_state()
    assert torch.equal(augment(images, stream()), augment(images, stream()))
    assert torch.equal(images, before)
    assert torch.equal(torch.get_rng_state(), state)
    advanced = stream()
    augment(images, advanced)
    assert not torch.equal(augment(images, advanced), augment(images, stream()))
