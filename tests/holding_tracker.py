"""A tracker that stops its run at a step: what a test does to a run in its middle, it does before the run has ended."""

import gc
import os
import time
from multiprocessing.connection import Connection
from pathlib import Path

from normscape.engines.worker import LOOK_SECONDS
from normscape.trackers import NoTracker

TRACKER = f"tracker._target_={__name__}.Holding"


class Holding(NoTracker):
    """Holds the run after a step, before its checkpoint, until the test makes ``folder/released`` or is gone.

    A worker is let go too when it is told something, since it stops where it is then: at its next look.
    """

    def __init__(self, step, folder):
        self.step, self.folder, self.test = step, Path(folder), os.getppid()

    def log(self, step, values):
        if step == self.step:
            pipes = [found for found in gc.get_objects() if type(found) is Connection and not found.closed]
            (self.folder / f"held-{os.getpid()}").touch()
            while not (self.folder / "released").exists() and os.getppid() == self.test:
                if any(pipe.poll() for pipe in pipes):
                    time.sleep(LOOK_SECONDS)
                    break
                time.sleep(0.005)


def held(folder):
    """Return how many processes have come to where they are held."""
    return len(list(folder.glob("held-*")))


def overrides(step, folder):
    """Return what makes a run hold; no part of its identity."""
    return [TRACKER, f"+tracker.step={step}", f"+tracker.folder={folder}"]
