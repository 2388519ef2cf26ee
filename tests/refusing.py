"""What a mistake in a config comes to."""

import pytest

from normscape.build import dry_build
from normscape.config import compose_run
from normscape.errors import UserError


def refusal(*overrides, **folders):
    """Return the one line that a mistake gives."""
    scale = [] if any(override.startswith("scale=") for override in overrides) else ["scale=smoke"]
    with pytest.raises(UserError) as caught:
        dry_build(compose_run([*scale, *overrides], **folders))
    message = str(caught.value)
    assert message.strip() == message != ""
    assert len(message.splitlines()) == 1
    return message


def split(overrides):
    """Split at the spaces that stand before a key."""
    parts = []
    for word in overrides.split(" "):
        if parts and "{" in parts[-1] and "}" not in parts[-1]:
            parts[-1] += f" {word}"
        else:
            parts.append(word)
    return parts
