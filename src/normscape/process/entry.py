"""What the entry points share: a user's mistake is reported in one line, not as a traceback."""

import normscape.process.surroundings  # noqa: F401, I001 - first: what imports matplotlib needs it

import argparse
import io
import logging
import os
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from normscape.errors import UserError, suggest
from normscape.process.interrupts import INTERRUPTED, raised

USAGE_ERROR = 2
UNHEARD = 141
"""Exit code of a process that nobody listens to any more, as shells have it for SIGPIPE."""
COMMAND = "NORMSCAPE_COMMAND"
"""The variable in which a script tells the processes that it starts what its user has typed."""


class Parser(argparse.ArgumentParser):
    """Reports what is wrong with a command line as a `UserError`, and suggests an option for one that there is not."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage."""
        options = [option for action in self._actions for option in action.option_strings]
        wrong = message.rpartition(" ")[2]
        raise UserError(f"{message}{suggest(wrong, options) if wrong.startswith('-') else ''}")


def show_help(parser: Parser) -> None:
    """If its help is all that a script is started for, print it and end: before what takes a second to import."""
    if sys.argv[1:] in (["--help"], ["-h"]):
        with entry_point():
            parser.parse_args()


def typed_command() -> str:
    """Return the command of this process for a shell; the user's home folder, which a shell has expanded, is ``~``."""
    command, home = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]), os.environ.get("HOME", "").rstrip("/")
    if not home:
        return command
    return re.sub(rf"(?<![\w./~-]){re.escape(home)}(?![\w.-])", "~", command)


@contextmanager
def entry_point() -> Iterator[None]:
    """Print `UserError` as one line and exit with status 2; exit with 130 when interrupted, in silence if unheard."""
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that has no letter for it shows its number
    os.environ[COMMAND] = typed_command()
    try:
        with raised():
            yield
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:  # as when it is piped to head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(UNHEARD)
    except UserError as error:
        print(f"normscape: {error}", file=sys.stderr)
        sys.exit(USAGE_ERROR)
    except KeyboardInterrupt as interrupt:
        print(f"normscape: {str(interrupt) or 'interrupted'}", file=sys.stderr)
        sys.exit(INTERRUPTED)
    finally:
        os.environ.pop(COMMAND, None)
