"""Write the results into the README, from the manifests in results/: python scripts/update_readme.py."""

from normscape.process.interrupts import end_at_once

if __name__ == "__main__":  # so that Ctrl-C says one line while the rest is imported
    end_at_once()

import sys
from pathlib import Path

from normscape.errors import UserError
from normscape.evidence.figure import Family
from normscape.evidence.results import at_largest_scale, judged_figures, missing_in, scales_in
from normscape.process.entry import Parser, entry_point
from normscape.reports.answers import (
    ANSWER_MARKS,
    BEYOND_MARKS,
    CLAIM_MARKS,
    SCALE_MARKS,
    answer_block,
    claims_block,
    scales_block,
)
from normscape.reports.fidelity import compare

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT / "experiments"))

FAMILY = "santurkar2018"


def blocks() -> dict[tuple[str, str], str]:
    """Return what belongs between each pair of marks: answers are from the largest scale that has the figure."""
    from beyond.order import ANSWERS as BEYOND
    from santurkar2018.answers import ANSWERS
    from santurkar2018.fidelity import PANELS

    family, results = Family.of(FAMILY, PROJECT), f"results/{FAMILY}"
    folders = [at for at in scales_in(PROJECT / results) if "," not in at.name]
    if not folders:
        raise UserError(f"{results}: expected a scale with figures, e.g. by make reproduce-all")
    judged = {at: judged_figures(family, at) for at in folders}
    answers = answer_block(ANSWERS, at_largest_scale(family, PROJECT / results), results)
    sizes = scales_block([(at, figures, compare(family, at, PANELS)) for at, figures in judged.items()], results)
    claims = claims_block([(at, figures, missing_in(family, at)) for at, figures in judged.items()])
    others = at_largest_scale(Family.of("beyond", PROJECT), PROJECT / "results" / "beyond")
    beyond = answer_block(BEYOND, others, "results/beyond", BEYOND_MARKS)
    return {ANSWER_MARKS: answers, BEYOND_MARKS: beyond, SCALE_MARKS: sizes, CLAIM_MARKS: claims}


def main() -> None:
    """Replace what is between the marks."""
    Parser(description="Write what was found into the README.").parse_args()
    readme = PROJECT / "README.md"
    for (begin, end), block in blocks().items():
        before, found, rest = readme.read_text(encoding="utf-8").partition(begin)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise UserError(f"README.md: expected {begin} and, after it, {end}")
        readme.write_text(before + block + after, encoding="utf-8")


if __name__ == "__main__":
    with entry_point():
        main()
