"""The one exception whose message is meant for the person at the keyboard, and what its messages are made with."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake in what was asked for; the entry points print its message as one line, without traceback.

    The message names the value, says what was expected and what to do. It has no line breaks, whatever it quotes.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.splitlines()).strip())


class Interrupted(KeyboardInterrupt):
    """The process was asked to stop; the run was saved and continues when it is started again."""


class TakenError(Exception):
    """Another process trains the run, which was not to be waited for."""


def suggest(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` for the known word closest to ``word``, or what is known if none is close."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; known here: {', '.join(names)}" if names else ""


def first_line(error: Exception) -> str:
    """Return the first line of an exception's message that is not blank."""
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__).strip()


def as_written(value: object) -> str:
    """Return an option's value as a configuration has it."""
    return "null" if value is None else repr(value)


def check_count(name: str, value: object, hint: str = "") -> None:
    """Raise `UserError`, with ``hint`` at its end, unless ``value`` is a whole number of at least 1."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UserError(f"{name}={as_written(value)}: expected a whole number of at least 1{hint}")
