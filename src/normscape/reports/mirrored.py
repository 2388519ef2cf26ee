"""A finished figure in W&B: one run with its picture, its claims as a table, and its verdicts as a summary."""

import hashlib
import logging
from collections import Counter
from pathlib import Path

from normscape.components import build_component
from normscape.config import RunConfig
from normscape.evidence.cells import number, on_paper, spread
from normscape.evidence.results import JudgedFigure, Results
from normscape.mirror import asks_for_wandb
from normscape.trackers import RunInfo, Tracker

logger = logging.getLogger("normscape")

COLUMNS = ("claim", "statistic", "paper", "ours", "over seeds", "must be", "verdict")


def mirror_figure(judged: JudgedFigure, results: Results, config: RunConfig) -> None:
    """Mirror a figure where one of its runs, whose ``config`` is given, is mirrored in W&B; whatever fails is said.

    The same figure at the same scale is the same W&B run, whatever its seeds: made again, it takes the place of the
    old one. Its group is that of the runs that were trained for it.
    """
    if not asks_for_wandb(config):
        return
    try:
        mirror(build_component("tracker", config.tracker), judged, results, Path(config.runs_dir).absolute())
    except Exception as error:  # a figure is there, whatever becomes of its mirror
        logger.warning("%s is not mirrored in W&B: %s", judged.figure.label, " ".join(str(error).split())[:300])


def mirror(tracker: Tracker, judged: JudgedFigure, results: Results, directory: Path) -> None:
    """Give a tracker everything that it is to have of a figure; ``directory`` is that of the runs."""
    figure, scale = judged.figure, results.folder.name
    family = figure.family
    place = f"{family}/{scale}/{figure.stem}"
    runs = {name: {"seeds": [*run["seeds"]], **run["config"]} for name, run in judged.manifest["runs"].items()}
    info = RunInfo(
        run_id=hashlib.sha256(place.encode()).hexdigest()[:12],
        name=f"{figure.stem}-{scale}",
        group=figure.group,
        job_type="figure",
        tags=("figure", family, scale),
        config={"figure": figure.stem, "title": figure.title, "family": family, "scale": scale, "runs": runs},
        directory=directory,
    )
    tracker.start(info)
    for picture in results.pictures:
        if picture.suffix == ".png" and picture.exists():
            tracker.image(0, figure.stem, picture)
    tracker.table(0, "claims", COLUMNS, claims(judged))
    verdicts = {f"verdict/{each.claim.name}": each.words for each in judged.verdicts}
    values = {f"statistic/{each.claim.name}": each.measured.value for each in judged.verdicts}
    counts = Counter(str(each.kind) for each in judged.verdicts)
    tracker.summarize({**verdicts, **values, **{f"count/{kind}": count for kind, count in counts.items()}})
    tracker.finish(exit_code=0)


def claims(judged: JudgedFigure) -> list[tuple[str, ...]]:
    """Return the figure's claims as rows of `COLUMNS`."""
    return [
        (
            each.claim.statement,
            each.measured.words,
            on_paper(each.measured),
            number(each.measured.value),
            spread(each.measured),
            each.claim.threshold,
            each.words,
        )
        for each in judged.verdicts
    ]
