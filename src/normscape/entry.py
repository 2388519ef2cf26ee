"""What the entry points share: a user's mistake is reported in one line, not as a traceback."""

import argparse
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from normscape.errors import UserError, suggest

USAGE_ERROR = 2
INTERRUPTED = 130


class Parser(argparse.ArgumentParser):
    """Reports what is wrong with a command line as a `UserError`, and suggests an option for one that there is not."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage."""
        options = [option for action in self._actions for option in action.option_strings]
        wrong = message.rpartition(" ")[2]
        raise UserError(f"{message}{suggest(wrong, options) if wrong.startswith('-') else ''}")


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
