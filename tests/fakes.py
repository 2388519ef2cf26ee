"""A family of one's own making for tests of reports: figures whose claims are about one number per seed."""

from dataclasses import dataclass
from types import SimpleNamespace

import pandas as pd

from normscape.evidence.claims import judge
from normscape.evidence.curves import Use, indexed
from normscape.evidence.figure import Figure
from normscape.evidence.results import JudgedFigure, Results
from normscape.evidence.statistics import Statistic
from normscape.evidence.table import COLUMNS
from normscape.storage.files import replacing


@dataclass(frozen=True)
class Known(Statistic):
    """The one value of a seed, times a factor."""

    factor: float = 1.0
    called: str = ""

    def of(self, curves):
        return self.factor * float(curves.curve("batch", "x").values[0])

    @property
    def words(self):
        return self.called or f"{self.factor:g} times its value"

    @property
    def part(self):
        return self.called or super().part

    def uses(self):
        yield Use("batch", "x", None)


def seeds(*values, net="vgg", first=0):
    """Return a table of one value per seed."""
    rows = pd.DataFrame({"seed": range(first, first + len(values)), "value": values, "step": 0})
    facts = {"run": f"{net}_batch", "net": net, "series": "batch", "lr": 0.1, "augment": False, "quantity": "x"}
    return rows.assign(**facts).reindex(columns=COLUMNS)


def judged_figure(name, claims, values, original=None, headline=(), scale="laptop"):
    """Return a figure with verdicts on claims, from one value per seed."""
    theirs = None if original is None else indexed(seeds(original))[0]
    verdicts = tuple(judge(claim, indexed(seeds(*values)), theirs, scale) for claim in claims)
    figure = Figure("family", name, "sizes", (), (), headline, SimpleNamespace(CLAIMS=claims))
    table = {"rows": 1, "sha256": "0"}
    return JudgedFigure(figure, verdicts, {"scale": scale, "seeds": [0], "table": table, "runs": {}})


class FakeFamily:
    """A family whose figures are given."""

    title, notes, name = "Sizes", ["- A note."], "sizes"

    def __init__(self, *judged):
        self.judged = judged

    def figures(self):
        return [judged.figure for judged in self.judged]

    def write(self, folder):
        """Write the manifests of its figures to a folder of results."""
        for judged in self.judged:
            results = Results(folder, judged.figure)
            content = results.judged_content(judged.verdicts, judged.manifest, with_paper=False)
            with replacing(results.file) as file:
                file.write(content)
