"""What surrounds a process: how many cores it has, and what of its environment is of no use.

What scripts cannot use is set aside when this module is imported: before matplotlib and rich are.

A notebook names a backend of matplotlib's that other environments have not, and matplotlib cannot then be imported; a
terminal of no width makes rich print nothing.
"""

import os
from collections.abc import MutableMapping

LEAST_COLUMNS = 20


def set_aside(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let matplotlib draw into files, as all scripts do, and forget sizes of a terminal that nothing fits into."""
    environment["MPLBACKEND"] = "agg"
    for name in ("COLUMNS", "LINES"):
        size = environment.get(name, "")
        if size.isdecimal() and int(size) < LEAST_COLUMNS:
            del environment[name]


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


set_aside()
