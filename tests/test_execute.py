"""The time that a plan promises counts what its runs do besides training."""

import time

from normscape.config import compose_run
from normscape.execute import estimate_seconds
from normscape.probes import Probe


class Sleeps(Probe):
    """A probe whose cost is known."""

    def measure(self, view):
        time.sleep(0.2)
        yield from ()


def estimate(*settings):
    common = ["run=vgg_standard", "scale=smoke", "tracker=none", "steps=1000", "eval_every=1000"]
    return estimate_seconds([compose_run([*common, *settings])])


def test_the_estimate_counts_every_measurement_that_is_due():
    slow = f"{{_target_: {__name__}.Sleeps, every: 5}}"
    assert estimate("probe=[]", f"+probe.slow={slow}") > 0.9 * 200 * 0.2


def test_runs_add_up():
    one = compose_run(["run=dln_standard", "scale=smoke", "tracker=none"])
    assert estimate_seconds([one] * 1000) > 100 * estimate_seconds([one])
    assert estimate_seconds([]) == 0
