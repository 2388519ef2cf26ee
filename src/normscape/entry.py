"""What the entry points share: a user's mistake is reported in one line, not as a traceback."""

import argparse
import logging
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from normscape.errors import UserError, suggest
from normscape.interrupts import INTERRUPTED, raised

USAGE_ERROR = 2
COMMAND = "NORMSCAPE_COMMAND"
"""The variable in which a script tells the processes that it starts what its user has typed."""


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
    os.environ[COMMAND] = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    try:
        with raised():
            yield
    except UserError as error:
        print(f"normscape: {error}", file=sys.stderr)
        sys.exit(USAGE_ERROR)
    except KeyboardInterrupt as interrupt:
        print(f"normscape: {str(interrupt) or 'interrupted'}", file=sys.stderr)
        sys.exit(INTERRUPTED)
    finally:
        os.environ.pop(COMMAND, None)
