"""A tracker that stops its run at a step: what a test does to a run in its middle, it does before the run has ended."""

import os
import signal
import time
from pathlib import Path

from normscape.trackers import NoTracker

TRACKER = f"tracker._target_={__name__}.Holding"


class Holding(NoTracker):
    """Holds the run after a step, before its checkpoint, until it is asked to stop or the test ends that.

    The test makes ``folder/released``, or is gone.
    """

    def __init__(self, step, folder):
        self.step, self.folder, self.test = step, Path(folder), os.getppid()

    def log(self, step, values):
        if step == self.step:
            asked = noted(signal.SIGINT, signal.SIGTERM)
            (self.folder / f"held-{os.getpid()}").touch()
            while not asked and not (self.folder / "released").exists() and os.getppid() == self.test:
                time.sleep(0.005)


def noted(*numbers):
    """Return a list that every signal of these numbers is added to before its handler is called."""
    received = []
    for number in numbers:
        handler = signal.getsignal(number)
        assert callable(handler), handler

        def note(number, frame, handler=handler):
            received.append(number)
            handler(number, frame)

        signal.signal(number, note)
    return received


def held(folder):
    """Return how many processes have come to where they are held."""
    return len(list(folder.glob("held-*")))


def overrides(step, folder):
    """Return what makes a run hold; no part of its identity."""
    return [TRACKER, f"+tracker.step={step}", f"+tracker.folder={folder}"]
