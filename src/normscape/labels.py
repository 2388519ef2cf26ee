"""What a run is called when a command line has changed it."""

import re
from collections.abc import Sequence

from normscape.config import RunConfig
from normscape.identity import changes


def labelled(config: RunConfig, overrides: Sequence[str]) -> RunConfig:
    """Add to the run's labels what the command line changed of what they name.

    The name takes every change (``vgg_batch,optimizer.lr=0.3``), the net those of the model, the series those of the
    norm (``standard,norm._target_=mypackage.MyNorm``): a table must not call batch what is no longer BatchNorm.
    """
    changed = changes(overrides)
    config.name = ",".join([config.name, *changed])
    config.net = ",".join([config.net, *changes_of("model", changed)])
    config.series = ",".join([config.series, *changes_of("norm", changed)])
    return config


def changes_of(component: str, changed: Sequence[str]) -> list[str]:
    """Return those of some changes that choose a component or set something in it."""
    return [change for change in changed if re.match(rf"(no-)?{component}([.=]|$)", change)]
