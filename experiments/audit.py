"""Measure a normalisation or a network of yours beside no normalisation and BatchNorm, and judge it: one page.

python experiments/audit.py --norm mypackage.MyNorm                            in the suite's VGG
python experiments/audit.py --model mypackage.MyNet                            your network as it is, beside the VGG
python experiments/audit.py --model mypackage.MyNet --norm mypackage.MyNorm    the norm in the network
python experiments/audit.py --norm mypackage.MyNorm +norm.eps=1e-4 tracker=none    its settings, and those of every run
"""

import normscape.process.portable  # noqa: F401, I001 - first: torch chooses its kernels when it is imported

from normscape.process.interrupts import end_at_once

if __name__ == "__main__":  # so that Ctrl-C says one line while the rest is imported
    end_at_once()

    from normscape.evidence.parsers import audit_parser
    from normscape.process.entry import show_help

    show_help(audit_parser())

import re
import sys
from pathlib import Path

import reproduce
from normscape.errors import UserError
from normscape.evidence.figure import Family, Figure
from normscape.evidence.parsers import audit_parser
from normscape.evidence.results import Results
from normscape.process.entry import entry_point
from normscape.reports.publish import publish
from normscape.storage.names import file_name

sys.path.append(str(Path.cwd()))  # where mypackage is found

EXAMPLES = {"--norm": "MyNorm, or normscape.norms.LpNorm and +norm.p=1", "--model": "MyNet"}


def audited(options: list[str]) -> tuple[Figure, list[str]]:
    """Return the figure that audits what is named, and the options that are left, those of `reproduce`."""
    named, others = audit_parser().parse_known_args(options)
    if not named.norm and not named.model:
        raise UserError("audit: expected what to measure, e.g. make audit NORM=mypackage.MyNorm, or MODEL=")
    for option, path in (("--norm", named.norm), ("--model", named.model)):
        if path and not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)+", path):
            raise UserError(f"{option} {path}: expected the dotted path of a class, e.g. mypackage.{EXAMPLES[option]}")
    for option in others:
        if option.split("=")[0] in ("--from-results", "--family"):
            raise UserError(f"{option}: an audit takes no such option; it trains what is missing, and draws it")
    from beyond import audit_page

    own = [each for each in others if each.lstrip("+~").startswith(("norm.", "model."))]
    for each in own:
        if "_target_" in each.split("=")[0].split("."):
            raise UserError(f"{each}: expected --norm and --model to say what is audited")
    return audit_page.figure(named.norm, named.model, own), [each for each in others if each not in own]


def main(arguments: list[str]) -> None:
    """Do what the command line asks."""
    family = Family.of("beyond", reproduce.PROJECT)
    figure, others = audited(arguments)
    options = reproduce.parse(["all", "--family", family.name, "--results", str(reproduce.PROJECT / "audits"), *others])
    options.results = options.results.parent / file_name(figure.title.rpartition(" ")[2])
    options.folder = options.results / options.folder.name
    made = reproduce.from_runs([figure], options)
    if made is None:
        return
    ((manifest, text, _),) = made
    results = Results(options.folder, figure)
    publish(results, manifest, family.original, with_paper=False, text=text)
    print(results.page.read_text(encoding="utf-8"))
    for file in results.files:
        print(f"  {file}")


if __name__ == "__main__":
    with entry_point():
        main(sys.argv[1:])
