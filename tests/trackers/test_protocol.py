"""What holds of every tracker: configs name it, wandb is not imported for it, and rows have names."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from normscape.trackers import NoTracker, WandbTracker, metric_name

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("tracker", ["NoTracker", "WandbTracker"])
def test_wandb_is_not_imported_before_it_is_needed(tracker: str) -> None:
    script = f"""
import sys
from pathlib import Path
from normscape.trackers import NoTracker, RunInfo, {tracker}
{tracker}()
none = NoTracker()
none.start(RunInfo("", "", "", "", (), {{}}, Path()))
none.log(0, {{"x": 1.0}})
none.image(0, "x", Path("x.png"))
none.summarize({{"status": "finished"}})
none.finish(0)
print([name for name in sys.modules if name.startswith("wandb")])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(("name", "kind"), [("none", NoTracker), ("wandb", WandbTracker)])
def test_configs_name_the_trackers(name: str, kind: type) -> None:
    assert isinstance(instantiate(OmegaConf.load(ROOT / "configs" / "tracker" / f"{name}.yaml")), kind)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("train_loss",), "train_loss"),
        (("train_accuracy",), "accuracy/train"),
        (("activation_quantile_50", 3), "activation_quantile_50/layer03"),
        (("loss_along_gradient", None, 0.1), "loss_along_gradient/step_size0.1"),
        (("gradient_change", 13, 0.4), "gradient_change/layer13_step_size0.4"),
    ],
)
def test_metric_names(arguments: tuple[Any, ...], name: str) -> None:
    assert metric_name(*arguments) == name
