"""Figures from their tables: drawn, judged, written, several side by side."""

import multiprocessing
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Thread
from typing import Any

from normscape.drawing.style import rendered
from normscape.errors import UserError
from normscape.evidence.claims import Verdict, judge
from normscape.evidence.curves import indexed
from normscape.evidence.figure import Family, Shown
from normscape.evidence.original import read_original
from normscape.evidence.results import JudgedFigure, Results, configs_of
from normscape.evidence.table import parse_table, written
from normscape.process.interrupts import held_back, ignore
from normscape.process.surroundings import usable_cores
from normscape.storage.files import replace_all


def publish(
    results: Results, manifest: Mapping[str, Any], original: Path, *, with_paper: bool, text: bytes | None = None
) -> JudgedFigure:
    """Draw a figure and judge its claims from its table alone; write pictures, page, manifest and a new table.

    Nothing is written, and what was there stays, unless the figure can be drawn and judged, and all can be written.

    Parameters
    ----------
    results
        Where the figure's table is, and pictures and manifest go.
    manifest
        Where the table comes from.
    original
        The folder of the paper's own curves.
    with_paper
        Whether these are drawn behind ours; claims are compared with them in any case.
    text
        The table as CSV, if it is a new one; None for the one that is in the results.

    Raises
    ------
    UserError
        If the table is not the one that its manifest describes.
    """
    figure = results.figure
    table = results.table(manifest) if text is None else parse_table(text)
    theirs = read_original(original, *figure.original)
    curves, their_curves = indexed(table), None if theirs is None else indexed(theirs)[0]
    verdicts = tuple(judge(claim, curves, their_curves, results.folder.name) for claim in figure.claims)
    shown = Shown(table, theirs if with_paper else None, configs_of(manifest))
    drawing = figure.module.draw(shown)
    page = figure.module.page(shown, verdicts) if hasattr(figure.module, "page") else None
    files = {picture: rendered(drawing, picture.suffix) for picture in results.pictures}
    if page is not None:
        files[results.page] = "\n".join([*page, ""]).encode()
    beside: Path | None = None
    if text is not None:
        path, content, beside = written(text, results.folder, figure.stem)
        files[path] = content
    manifest_file = results.judged_content(verdicts, manifest, with_paper=with_paper)
    files[results.file] = manifest_file  # the last, since it vouches for the table
    replace_all(files)
    if beside is not None:
        beside.unlink(missing_ok=True)
    return JudgedFigure(figure, verdicts, manifest)


@dataclass(frozen=True)
class Publication:
    """A figure that is to be published, in any process: `publish`'s arguments, and where it is declared."""

    family: Family
    name: str
    folder: Path
    manifest: Mapping[str, Any]
    text: bytes | None
    with_paper: bool

    def publish(self) -> tuple[Verdict, ...]:
        """Publish it, and return the verdicts on its claims."""
        results = Results(self.folder, self.family.figure(self.name))
        original = self.family.original
        return publish(results, self.manifest, original, with_paper=self.with_paper, text=self.text).verdicts


def publish_all(asked: Sequence[Publication]) -> Iterator[tuple[Verdict, ...]]:
    """Publish figures, as many at once as there are cores; yield the verdicts on each, in their order.

    What one raises, this raises in its turn. Figures that are being drawn then are finished, and those that were not
    begun are left as they were.

    Raises
    ------
    UserError
        As `publish`, and if a process that draws dies.
    """
    processes = min(len(asked), usable_cores())
    if processes < 2:
        yield from (each.publish() for each in asked)
        return
    others = {*multiprocessing.active_children()}
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), initializer=_serve)
    try:
        yield from _in_order(pool, processes, asked)
    except BrokenProcessPool as error:
        _kill({*multiprocessing.active_children()} - others)
        raise UserError("a process that draws figures died, as for want of memory; start again") from error
    except KeyboardInterrupt:
        _kill({*multiprocessing.active_children()} - others)
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _in_order(pool: ProcessPoolExecutor, processes: int, asked: Sequence[Publication]) -> Iterator[tuple[Verdict, ...]]:
    """Yield verdicts in the order asked, with no more begun than there are processes."""
    rest = iter(enumerate(asked))
    ended: dict[int, Future[tuple[Verdict, ...]]] = {}
    with held_back():  # the processes begin here, and take no signal until they have imported what they need
        running = {pool.submit(Publication.publish, each): place for place, each in islice(rest, processes)}
    for place in range(len(asked)):
        while place not in ended:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                ended[running.pop(future)] = future
                running |= {pool.submit(Publication.publish, each): later for later, each in islice(rest, 1)}
        yield ended.pop(place).result()


def _kill(processes: Iterable[BaseProcess]) -> None:
    for process in processes:  # they ignore what asks them to stop
        process.kill()


def _serve() -> None:
    """Leave it to the process that publishes to stop, and end with it, however it ends."""
    ignore()
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
