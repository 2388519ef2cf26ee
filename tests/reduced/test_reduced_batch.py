"""A reduced batch keeps what a linear network's training needs of a full one (`normscape.reduced.batch`)."""

import pytest
import torch

from normscape.reduced.batch import ReducedBatch


def drawn(samples, features=4, outputs=3, offset=0.0):
    stream = torch.Generator().manual_seed(samples)
    x = torch.randn(samples, features, generator=stream, dtype=torch.float64) + offset
    return x, torch.randn(samples, outputs, generator=stream, dtype=torch.float64)


@pytest.fixture(params=[200, 8, 5, 3])  # the last has fewer samples than rows
def both(request):
    x, y = drawn(request.param)
    return x, y, ReducedBatch.of([(x, y)])


def affine(x, batch):
    """Return an affine function of the inputs, by samples and by rows."""
    stream = torch.Generator().manual_seed(9)
    weight = torch.randn(3, x.shape[1], generator=stream, dtype=torch.float64)
    shift = torch.randn(3, generator=stream, dtype=torch.float64)
    rows = batch.inputs[0] @ weight.T
    rows[0] += batch.samples**0.5 * shift
    return x @ weight.T + shift, rows


def test_the_rows_stand_for_the_samples(both):
    x, _, batch = both
    values, rows = affine(x, batch)
    assert batch.inputs.shape == (1, min(len(x), 5), 4)
    torch.testing.assert_close(batch.samples_of(rows[None])[0].T, values)


def test_the_loss_is_that_of_the_samples(both):
    x, y, batch = both
    values, rows = affine(x, batch)
    loss = (rows - batch.targets[0]).square().sum() + batch.rest[0]
    torch.testing.assert_close(loss, (values - y).square().sum())


def test_moments_are_those_of_the_samples(both):
    x, _, batch = both
    values, rows = affine(x, batch)
    torch.testing.assert_close(rows[0] / batch.samples**0.5, values.mean(0))
    torch.testing.assert_close(rows.square().sum(0) / batch.samples, values.square().mean(0))
    torch.testing.assert_close(rows[1:].square().sum(0) / batch.samples, values.var(0, correction=0))


def test_a_variance_far_below_the_square_of_the_mean_keeps_its_digits():
    """In float32 the difference of mean square and squared mean would be noise: 1e8 has no digits for 1."""
    x, y = (part.float() for part in drawn(1000, offset=1e4))
    batch = ReducedBatch.of([(x, y)])
    exact = x.double().var(0, correction=0)
    assert (batch.inputs[0, 1:].square().sum(0) / 1000 - exact).abs().max() < 1e-4
    assert (x.square().mean(0) - x.mean(0).square() - exact).abs().max() > 1


def test_other_samples_give_another_batch():
    """What the tests above compare does depend on the data."""
    x, y, other = *drawn(200), ReducedBatch.of([drawn(201)])
    values, rows = affine(x, other)
    loss = (rows - other.targets[0]).square().sum() + other.rest[0]
    assert (loss - (values - y).square().sum()).abs() > 1


def test_lanes_are_apart():
    batches = [drawn(50), tuple(2 * part for part in drawn(50))]
    together, alone = ReducedBatch.of(batches), ReducedBatch.of(batches[1:])
    for name in ("inputs", "targets", "rest", "basis"):
        assert torch.equal(getattr(together, name)[1], getattr(alone, name)[0])
        assert torch.equal(getattr(together.repeated(3), name)[4], getattr(alone, name)[0])
