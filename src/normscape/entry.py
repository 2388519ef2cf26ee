"""What the entry points share: a user's mistake is reported in one line, not as a traceback."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from normscape.errors import UserError

USAGE_ERROR = 2
INTERRUPTED = 130


@contextmanager
def entry_point() -> Iterator[None]:
    """Print `UserError` as one line and exit with status 2; exit with 130 when interrupted."""
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    try:
        yield
    except UserError as error:
        print(f"normscape: {error}", file=sys.stderr)
        sys.exit(USAGE_ERROR)
    except KeyboardInterrupt as interrupt:
        print(f"normscape: {interrupt or 'interrupted'}", file=sys.stderr)
        sys.exit(INTERRUPTED)
