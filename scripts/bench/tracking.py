"""Print what mirroring a run in W&B, offline, costs, as a share of the run at the paper's cadence (minutes).

python scripts/bench/tracking.py                               the paper's network
python scripts/bench/tracking.py model.width=0.125             a small one, whose steps cost little: the worst case

A few steps are trained without a tracker, with everything that the run measures, and a run of the whole length, made
of their rows, is mirrored. Both are processor time, of all threads and of wandb's own process, so that what else the
machine does matters little; with a GPU, training is by the clock.
"""

import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from normscape.config import RunConfig, compose_run
from normscape.execute import execute
from normscape.mirror import mirror_ended, rows_of, run_info
from normscape.overview.progress import ProgressDisplay
from normscape.process.entry import Parser, entry_point
from normscape.runs import RunDirectory
from normscape.trackers import RunInfo, WandbTracker

STEPS = 200
LIMIT = 0.03


def processor_seconds(work: Callable[[], object]) -> float:
    """Return the processor time that some work takes, here and in wandb's process, which ends with it."""

    def spent() -> float:
        ours, theirs = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return ours.ru_utime + ours.ru_stime + theirs.ru_utime + theirs.ru_stime

    import wandb

    before = spent()
    work()
    wandb.teardown()
    return spent() - before


def whole_run(config: RunConfig, info: RunInfo, steps: int) -> RunInfo:
    """Return a run of the config's length, made of the rows of a short one over and over."""
    turns = -(-steps // config.steps)
    past = [(turn * config.steps + step, values) for turn in range(turns) for step, values in info.past[:-1]]
    return RunInfo(**{**vars(info), "past": past, "directory": info.directory, "note": None})


def main(arguments: Sequence[str]) -> None:
    """Train, mirror, print."""
    parser = Parser(prog="tracking.py", description="Print what mirroring a run in W&B, offline, costs.")
    parser.add_argument("overrides", nargs="*", help="settings of the run, e.g. model.width=0.125")
    overrides = parser.parse_args(arguments).overrides
    common = ["run=vgg_batch", "scale=paper", "device=auto", "tracker=none", *overrides]
    with tempfile.TemporaryDirectory() as folder:
        steps = compose_run(common).steps
        clock = time.perf_counter if torch.cuda.is_available() else time.process_time
        seconds = []
        for length in (1, STEPS):  # the first for what does not depend on the length
            config = compose_run([*common, f"steps={length}", f"runs_dir={folder}"])
            began = clock()
            with ProgressDisplay() as display:
                directory = execute(config, display)
            seconds.append(clock() - began)
        training = (seconds[1] - seconds[0]) / (STEPS - 1)
        mirror_ended(directory, WandbTracker(mode="offline"))  # imports, and the first start of wandb's process
        processor_seconds(lambda: None)
        cost = processor_seconds(lambda: _mirror(directory, config, steps))
    share = cost / (training * steps)
    print(f"training: {1000 * training:.1f} ms a step, {steps} steps; mirror: {cost:.1f} s in all")
    print(f"W&B offline costs {100 * share:.2f} % of the run ({'below' if share < LIMIT else 'ABOVE'} {LIMIT:.0%})")


def _mirror(directory: RunDirectory, config: RunConfig, steps: int) -> None:
    info = whole_run(config, run_info(config, directory, rows_of(directory.table())), steps)
    tracker = WandbTracker(mode="offline", finish_timeout_seconds=600)
    tracker.start(info)
    for picture in sorted(directory.path.glob("ridge_*.png")):
        tracker.image(steps, picture.stem, picture)
    tracker.summarize({"status": "finished"})
    tracker.finish(0)
    assert any(Path(info.directory).glob("wandb/offline-run-*"))


if __name__ == "__main__":
    with entry_point():
        main(sys.argv[1:])
