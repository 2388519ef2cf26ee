"""Which runs are computed on reduced batches, and which as one."""

import pytest

from normscape.config import compose_run
from normscape.errors import UserError
from normscape.identity import identity
from normscape.reduced.eligible import arithmetic_of
from normscape.reduced.groups import LANES, groups

OBSTACLES = {
    "run=vgg_batch": "expected a deep linear net",
    "run=dln_noisy_batch": "expected BatchNorm, LpNorm or no normalisation",
    "run=dln_batch batch_size=100": "expected the whole training set as each batch",
    "run=dln_batch loss.reduction=mean": "expected the summed squared error",
    "run=dln_batch +optimizer.momentum=0.9": "expected plain gradient descent",
    "run=dln_batch optimizer.weight_decay=1e-4": "expected plain gradient descent",
    "run=dln_batch optimizer=adam": "expected plain gradient descent",
    "run=dln_batch schedule=step": "expected plain gradient descent at a constant rate",
    "run=dln_batch norm=layer": "expected BatchNorm, LpNorm or no normalisation",
}


def composed(overrides):
    return compose_run([*overrides.split(), "scale=smoke", "tracker=none"])


@pytest.mark.parametrize("run", ["standard", "batch", "l1", "l2", "linf", "standard_lr1e-7", "batch_lr1e-7"])
def test_the_paper_s_deep_linear_nets_are_reduced(run):
    assert arithmetic_of(composed(f"run=dln_{run}")) == "reduced"
    assert arithmetic_of(composed(f"run=dln_{run} arithmetic=plain")) == "plain"


@pytest.mark.parametrize("overrides", OBSTACLES)
def test_others_are_plain_and_refused_if_asked_for(overrides):
    assert arithmetic_of(composed(overrides)) == "plain"
    assert identity(composed(overrides)) == identity(composed(f"{overrides} arithmetic=plain"))
    with pytest.raises(UserError, match=f"arithmetic=reduced: {OBSTACLES[overrides]}.*; use arithmetic=plain"):
        composed(f"{overrides} arithmetic=reduced")


def test_a_reduced_run_is_another_run():
    one, same, other = (composed(f"run=dln_batch arithmetic={kind}") for kind in ("auto", "reduced", "plain"))
    assert identity(one) == identity(same) != identity(other)


def test_an_unknown_arithmetic_is_refused():
    with pytest.raises(UserError, match=r"arithmetic=reduce: expected auto, reduced or plain; did you mean 'reduced'?"):
        composed("run=dln_batch arithmetic=reduce")


def test_runs_that_differ_in_seed_and_rate_are_trained_as_one():
    names = [
        "dln_batch",
        "vgg_batch",
        "dln_batch optimizer.lr=1e-7",
        "dln_l1",
        "dln_batch seed=1",
        "dln_batch arithmetic=plain",
    ]
    names += ["dln_l1 seed=4 group=fig05", "dln_batch steps=7", "vgg_batch seed=1"]
    assert groups([composed(f"run={name}") for name in names]) == [[0, 2, 4], [1], [3, 6], [5], [7], [8]]


def test_no_more_than_fit_a_core_s_cache():
    made = groups([composed(f"run=dln_l2 seed={seed}") for seed in range(LANES + 3)])
    assert list(map(len, made)) == [LANES, 3]
