"""A data set from the first of its sources that has it, fetched by one process while the others wait."""

import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import filelock

from normscape.data.download import ROOT_VARIABLE, SourceError, reason
from normscape.errors import UserError

Content = TypeVar("Content")


@dataclass(frozen=True)
class Source:
    """A name for messages, and a location that ``download.fetch`` understands."""

    name: str
    location: str


@dataclass(frozen=True)
class Fetching:
    """The fetching of one data set.

    Attributes
    ----------
    title
        What the data set is called.
    kept
        The file or folder that it is kept in.
    scratch, lock
        A folder for what is not whole yet, and the file by which one process at a time has it.
    """

    title: str
    kept: Path
    scratch: Path
    lock: Path

    @contextmanager
    def only_one(self) -> Iterator[None]:
        """Let one process at a time into the block; `UserError` if the lock cannot be made."""
        lock = filelock.FileLock(self.lock)
        try:
            self.lock.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire(blocking=False)
        except filelock.Timeout:
            self.say("waiting for another process that is fetching it")
            lock.acquire()
        except OSError as error:
            folder = self.lock.parent
            raise UserError(f"data folder {folder}: {reason(error)}; name another in {ROOT_VARIABLE}") from error
        try:
            yield
        finally:
            lock.release()

    def first(self, sources: Sequence[Source], take: Callable[[str], Content], otherwise: str) -> Content:
        """Return what the first source gives that gives anything.

        Parameters
        ----------
        sources
            In the order in which they are tried; what each says is printed.
        take
            From a location to its checked content, which it has put where it is kept, by way of ``scratch``;
            `SourceError` if it is not there or not what it should be.
        otherwise
            What a user can do if no source gives it.

        Raises
        ------
        UserError
            If none does, or it cannot be written.
        """
        for source in sources:
            shutil.rmtree(self.scratch, ignore_errors=True)  # also what a killed process left; the lock is ours
            try:
                self.scratch.mkdir()
                content = take(source.location)
            except SourceError as error:
                self.say(f"{source.name}: {error}")
            except OSError as error:
                raise UserError(
                    f"{self.kept} cannot be written: {reason(error)}; {ROOT_VARIABLE} names another folder"
                ) from error
            else:
                self.say(f"{source.name}: all of it is right; kept in {self.kept}")
                return content
            finally:
                shutil.rmtree(self.scratch, ignore_errors=True)
        raise UserError(f"no source gave {self.title} (the lines above say why): {otherwise}")

    def say(self, text: str) -> None:
        """Print a line about the data set, on standard error."""
        print(f"{self.title}: {text}", file=sys.stderr, flush=True)
