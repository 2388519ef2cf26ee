"""Which VGG did the paper train? The first step of its curves against that of candidates.

python scripts/initial_network.py                  train them all for one step: an hour on two CPU cores
python scripts/initial_network.py --from-results   write the page again from the numbers kept

The paper says "VGG-like" and "Glorot". Its curves begin at step 0, where they show the network as it was initialised:
the objective with its L2 term, the gradient and what a step does to it. Each candidate takes that step at the paper's
width on 128 training images, with and without BatchNorm. Writes initial_network.csv and INITIAL_NETWORK.md into
results/santurkar2018/.
"""

import normscape.process.portable  # noqa: F401, I001 - first: torch chooses its kernels when it is imported

from normscape.process.interrupts import end_at_once

if __name__ == "__main__":  # so that Ctrl-C says one line while the rest is imported
    end_at_once()

import math
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd

from normscape.errors import UserError
from normscape.evidence.original import read_original
from normscape.process.entry import Parser, entry_point

PROJECT = Path(__file__).resolve().parents[1]
RESULTS = PROJECT / "results" / "santurkar2018"

PLAIN = ["model.gain=1", "model.hidden_gain=1", "model.output_gain=1"]
CANDIDATES = {
    "configs/model/vgg.yaml": [],
    "its output gain 1": ["model.output_gain=1"],
    "its output gain as PyTorch's (0.41)": ["model.output_gain=0.4124789"],
    "its gain 1": ["model.gain=1"],
    "no hidden layer": ["model.head=[]"],
    "two hidden layers": ["model.head=[512,512]"],
    "all parameters decayed": ["decayed=all"],
    "VGG-16, gains 1, no hidden layer": [*PLAIN, "model.head=[]"],
    "VGG-16, gains 1, hidden 4096, 4096": [*PLAIN, "model.head=[4096,4096]"],
    "VGG-13, gains 1, hidden 4096, 4096": [*PLAIN, "model.head=[4096,4096]", "model.configuration=B"],
    "VGG-19, gains 1, hidden 2048, 2048": [*PLAIN, "model.head=[2048,2048]", "model.configuration=E"],
}
"""What is compared: settings on top of the defaults."""

MARKS = {
    "objective after a step, least": ("loss_landscape", None, "min"),
    "objective after a step, most": ("loss_landscape", None, "max"),
    "gradient difference, least": ("gradient_difference_tensor_sum", None, "min"),
    "gradient difference, most": ("gradient_difference_tensor_sum", None, "max"),
    "effective beta": ("effective_beta_tensor_sum", None, "max"),
    "ICS, layer 5": ("ics_l2", 5, "max"),
    "ICS, layer 10": ("ics_l2", 10, "max"),
    "its cosine, layer 5": ("ics_cosine", 5, "max"),
    "its cosine, layer 10": ("ics_cosine", 10, "max"),
}
"""What the paper's figures 3a and 4 show at step 0: quantity, layer, and which of the values over step sizes."""

SIZES = [name for name, (quantity, _, _) in MARKS.items() if quantity not in ("loss_landscape", "ics_cosine")]
"""Marks that are sizes, whose ratios say how far a candidate is from the paper."""


def marks(rows: pd.DataFrame) -> dict[str, float]:
    """Return the marks of a table at step 0."""
    found = {}
    for name, (quantity, layer, which) in MARKS.items():
        chosen = rows[(rows["quantity"] == quantity) & (rows["step"] == 0)]
        if layer is not None:
            chosen = chosen[chosen["layer"] == layer]
        found[name] = float(chosen["value"].agg(which))
    return found


def first_step(series: str, seed: int, overrides: list[str]) -> dict[str, float]:
    """Train a network for one step and return its marks, and half of lambda times its squared weights."""
    import torch

    from normscape.build import build
    from normscape.config import compose_run
    from normscape.loop import train

    fixed = [f"run=vgg_{series}", "scale=paper", "tracker=none", "device=cpu", "steps=1", "probe=[ics,landscape]"]
    config = compose_run([*fixed, f"seed={seed}", *overrides])
    made = build(config, torch.device("cpu"))
    decay = config.optimizer["weight_decay"] / 2
    penalty = sum(decay * float(p.detach().square().sum()) for p in made.state.model.parameters() if p.dim() > 1)
    train(replace(made.plan, dataset=replace(made.plan.dataset, test=None)), made.state, lambda step, rows: True)
    rows = pd.DataFrame(made.state.records.rows)
    return {**marks(rows), "L2 term of the weights": penalty}


def paper(series: str) -> dict[str, float]:
    """Return the paper's marks."""
    curves = read_original(RESULTS / "original", "fig03a_ics_lr0.1_layer", "fig04")
    assert curves is not None
    return marks(curves[(curves["series"] == series) & (curves["lr"] == 0.1)])


def measure(seeds: list[int]) -> pd.DataFrame:
    """Train every candidate; return one row per candidate, series, seed and mark."""
    made = []
    for candidate, overrides in CANDIDATES.items():
        for series in ("standard", "batch"):
            for seed in seeds:
                found = first_step(series, seed, overrides)
                print(f"{candidate}, {series}, seed {seed}: {found}", flush=True)
                made += [(candidate, series, seed, mark, value) for mark, value in found.items()]
    return pd.DataFrame(made, columns=["candidate", "series", "seed", "mark", "value"])


def page(table: pd.DataFrame) -> str:
    """Return the page: how far each candidate is from the paper, and the marks of the nearest beside the paper's."""
    originals = {series: paper(series) for series in ("standard", "batch")}
    medians = table.groupby(["candidate", "series", "mark"], sort=False)["value"].median()
    seeds = ", ".join(map(str, table["seed"].unique()))
    said = f"medians over seeds {seeds}" if "," in seeds else f"seed {seeds}"
    lines = [
        "# Which VGG did the paper train?",
        "",
        f"Written by `python scripts/initial_network.py`, {said}. The paper leaves head and gains open,",
        "but at step 0 its figures 3a and 4 show the network as it was initialised. Factor: by how much a size",
        "(gradient differences, beta, ICS) differs, up or down, as a geometric mean; worst: the largest of both",
        "networks. Objective: the largest difference of the four objectives. L2 term: half of weight decay times the",
        "squared weights.",
        "",
        "| candidate | factor, standard | factor, BatchNorm | worst | objective | L2 term of the weights |",
        "|---|---|---|---|---|---|",
    ]
    for candidate in medians.index.unique("candidate"):
        logs = {
            series: [abs(math.log(medians[candidate, series, mark] / originals[series][mark])) for mark in SIZES]
            for series in originals
        }
        mean = {series: math.exp(sum(values) / len(values)) for series, values in logs.items()}
        worst = math.exp(max(max(values) for values in logs.values()))
        off = max(
            abs(medians[candidate, series, mark] - originals[series][mark])
            for series in originals
            for mark in MARKS
            if mark.startswith("objective")
        )
        term = medians[candidate, "standard", "L2 term of the weights"]
        lines.append(
            f"| {candidate} | {mean['standard']:.2f} | {mean['batch']:.2f} | {worst:.3g} | {off:.3f} | {term:.3f} |"
        )
    chosen = next(iter(CANDIDATES))
    lines += [
        "",
        f"The marks of `{chosen}`:",
        "",
        "| mark | standard | the paper's | BatchNorm | the paper's |",
        "|---|---|---|---|---|",
    ]
    for mark in MARKS:
        cells = [
            f"{number:.4g}"
            for series in originals
            for number in (medians[chosen, series, mark], originals[series][mark])
        ]
        lines.append(f"| {mark} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> None:
    """Measure what the command line asks for, and write table and page."""
    parser = Parser(description="Compare the first step of candidates with the paper's.")
    parser.add_argument("--seeds", default="0", help="comma-separated, e.g. 0,1,2 (default: 0)")
    parser.add_argument("--from-results", action="store_true", help="write the page from the table that is kept")
    options = parser.parse_args(arguments)
    file = RESULTS / "initial_network.csv"
    if options.from_results:
        if not file.exists():
            raise UserError(f"{file}: there is no such table; measure it without --from-results")
        table = pd.read_csv(file)
    else:
        try:
            seeds = [int(seed) for seed in options.seeds.split(",")]
        except ValueError as error:
            raise UserError(f"--seeds {options.seeds}: expected numbers separated by commas, e.g. 0,1,2") from error
        table = measure(seeds)
        table.to_csv(file, index=False)
    (RESULTS / "INITIAL_NETWORK.md").write_text(page(table), encoding="utf-8")


if __name__ == "__main__":
    with entry_point():
        main(sys.argv[1:])
