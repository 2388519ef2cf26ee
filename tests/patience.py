"""How tests wait: for what is to happen, never for a time in which a fast enough machine would have done it."""

import time

PATIENCE_SECONDS = 600.0
"""No limit that a test judges by, only the end of waiting for what will never come."""


def wait_until(condition):
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end, f"it did not happen within {PATIENCE_SECONDS:g} s"
        time.sleep(0.005)
