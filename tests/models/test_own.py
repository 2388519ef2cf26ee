"""A network of one's own by its dotted path: ``model=own model._target_=mypackage.MyNet``."""

import pytest

from normscape.config import compose_run
from normscape.errors import UserError


def test_it_takes_its_own_settings_and_none_of_another_network():
    target = "model._target_=normscape.models.MLP"
    config = compose_run(["scale=smoke", "model=own", target, "+model.hidden=[5]", "+model.activation=sigmoid"])
    assert config.model == {"_target_": "normscape.models.MLP", "hidden": [5], "activation": "sigmoid"}


def test_without_target_it_is_refused_in_one_line():
    with pytest.raises(UserError, match=r"^model._target_ is not set: .+$"):
        compose_run(["scale=smoke", "model=own"])
