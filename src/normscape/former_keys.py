"""Keys of this project's own components that were renamed: what identities call them still, and what to write now."""

from collections.abc import Iterable
from typing import Any

from normscape.errors import suggest

FORMER_KEYS = {
    "lr_multiples": "step_sizes",
    "step_sizes": "absolute step_sizes",  # before, it needed absolute=True beside it; no identity may mix the two up
    "configuration": "depth",  # of a VGG, a letter; the nets whose depth is a count keep it
}
"""Former names by the present ones. Goes, with `formerly`, when NUMERICS is raised next: all runs are new then."""


def formerly(value: Any) -> Any:
    """Return settings with the keys of this project's own components named as when the first runs were made."""
    if isinstance(value, list | tuple):
        return [formerly(item) for item in value]
    if not isinstance(value, dict):
        return value
    own = str(value.get("_target_")).startswith("normscape.")
    return {FORMER_KEYS.get(key, key) if own else key: formerly(item) for key, item in value.items()}


def suggest_key(key: str, known: Iterable[str]) -> str:
    """Return what may be meant by a key that is not known: its present name, if it was renamed; else as `suggest`."""
    names = [*known]
    renamed = [now for now, before in FORMER_KEYS.items() if before == key and now in names]
    return f"; did you mean '{renamed[0]}'?" if renamed else suggest(key, names)
