"""Random streams are functions of seed, purpose and counter."""

import hashlib
import itertools

import torch

from normscape.seeds import derive, generator


def test_never_changes():
    digest = hashlib.sha256(b"0/order/7").digest()  # every stored run's batches depend on it
    assert derive(0, "order", 7) == int.from_bytes(digest[:8], "big") // 2 == 8072639728423279657


def test_differs_by_seed_purpose_and_counter():
    streams = list(itertools.product((0, 1, 10), ("order", "init", "noise"), (0, 1, 11)))
    derived = {derive(seed, purpose, counter) for seed, purpose, counter in streams}
    assert len(derived) == len(streams)
    assert all(0 <= value < 2**63 for value in derived)
    assert derive(1, 0) != derive(10)


def test_always_begins_at_the_start_and_leaves_the_global_stream():
    before = torch.get_rng_state()
    first = torch.rand(3, generator=generator(7, "noise", 2))
    assert torch.equal(torch.rand(3, generator=generator(7, "noise", 2)), first)
    assert not torch.equal(torch.rand(3, generator=generator(7, "noise", 3)), first)
    assert torch.equal(torch.get_rng_state(), before)
