"""A few places of many are evenly chosen: no more than asked for, both ends among them."""

import numpy as np
import pytest

from normscape.evenly import evenly


@pytest.mark.parametrize("count", [2, 3, 10, 151])
@pytest.mark.parametrize("most", [2, 5, 16, 400])
def test_both_ends_are_chosen_and_gaps_differ_by_one_at_most(count, most):
    places = evenly(count, most)
    assert (places[0], places[-1], len(places)) == (0, count - 1, min(count, most))
    assert np.ptp(np.diff(places)) <= 1


@pytest.mark.parametrize("count", [0, 1])
def test_of_none_there_is_none_and_of_one_this_one(count):
    assert evenly(count, 16).tolist() == [*range(count)]
