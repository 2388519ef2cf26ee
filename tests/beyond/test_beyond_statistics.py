"""The statistics of the family against numbers worked out by hand, and its figures drawn from small tables."""

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from beyond import audit_page
from beyond.compared import shift_rows
from beyond.correlation import RankCorrelationOverSeries
from beyond.usable import HighestRate, UsableRange, final_accuracies
from normscape.errors import UserError
from normscape.evidence.claims import judge
from normscape.evidence.curves import indexed
from normscape.evidence.figure import Family, Shown
from normscape.evidence.finished import FinishedRun
from normscape.evidence.marks import Final
from normscape.evidence.statistics import Of, Ratio
from normscape.evidence.table import COLUMNS

PROJECT = Path(__file__).parents[2]
FAMILY = Family.of("beyond", PROJECT)
CONFIG = {
    "optimizer": {"lr": 0.1},
    "probe": {"landscape": {"_target_": "normscape.probes.Landscape", "lr_multiples": [0.5, 1.0]}},
    "norm": {"_target_": "mypackage.MyNorm"},
    "model": {"_target_": "normscape.models.VGG"},
}


def rows(series, quantity, values, *, net="mlp", lr=0.1, seed=0, every=10, **more):
    steps = every * np.arange(len(values))
    facts = {"run": f"{net}_{series}_lr{lr:g}", "net": net, "series": series, "lr": lr, "augment": False, "seed": seed}
    frame = pd.DataFrame({"step": steps, "value": np.asarray(values, float), "quantity": quantity, "scale": "smoke"})
    return frame.assign(**facts, **more).reindex(columns=COLUMNS)


def table(*parts):
    return pd.concat(parts, ignore_index=True)


ENDS = {"standard": {0.01: 0.2, 0.1: 0.6, 1: 0.6, 10: 0.1}, "batch": {0.01: 0.5, 0.1: 0.6, 1: 0.5, 10: 0.5}}


def of_rates(ends=ENDS, short=()):
    """Return flat curves that end where they are said to; those of ``short`` diverge after three steps."""
    lengths = {key: 3 if key in short else 8 for key in ((s, lr) for s in ends for lr in ends[s])}
    return table(
        *(
            rows(series, "train_accuracy", [end] * lengths[series, lr], lr=lr)
            for series, found in ends.items()
            for lr, end in found.items()
        )
    )


def test_usable_rates_are_neighbours_near_the_best_of_all():
    curves = indexed(of_rates())[0]
    usable, highest = UsableRange("train_accuracy"), HighestRate("train_accuracy")
    assert usable.usable(curves, "standard") == [0.1, 1]  # 0.8 of 0.6 is 0.48
    assert (usable.of(curves, "standard"), usable.of(curves, "batch")) == (2, 4)
    assert Ratio(highest, "batch", "standard").of(curves) == pytest.approx(10)
    gap = {**ENDS, "batch": {0.01: 0.5, 0.1: 0.2, 1: 0.5, 10: 0.5}}
    broken = indexed(of_rates(gap))[0]
    assert usable.usable(broken, "batch") == [0.01, 1, 10]
    assert usable.neighbouring(broken, "batch") == [1, 10]  # a gap ends a range
    gap["batch"] = {0.01: 0.5, 0.1: 0.5, 1: 0.2, 10: 0.5}
    assert highest.of(indexed(of_rates(gap))[0], "batch") == 10  # but the highest rate is beyond it


def test_no_usable_rate_is_less_than_any_and_a_run_that_diverged_is_at_chance():
    never = {**ENDS, "standard": dict.fromkeys(ENDS["standard"], 0.1)}
    for measure in (UsableRange("train_accuracy"), HighestRate("train_accuracy")):
        assert measure.of(indexed(of_rates(never))[0], "standard") == 0
        assert Ratio(measure, "batch", "standard").of(indexed(of_rates(never))[0]) == math.inf
    curves = indexed(of_rates(short=[("batch", 10)]))[0]
    assert final_accuracies(curves, "batch", "train_accuracy") == {0.01: 0.5, 0.1: 0.6, 1: 0.5, 10: 0.1}
    assert UsableRange("train_accuracy").of(curves, "batch") == 3


def test_rank_correlation():
    names = ("a", "b", "c", "d")
    curves = indexed(
        table(
            *(rows(name, "gradient_norm", [v]) for name, v in zip(names, (1, 2, 3, 10), strict=True)),
            *(rows(name, "train_loss", [v]) for name, v in zip(names, (5, 6, 9, 8), strict=True)),
        )
    )[0]

    def correlated(quantity, other):
        pair = [tuple(Of(Final(q, points=1), name) for name in names) for q in (quantity, other)]
        return RankCorrelationOverSeries(*pair, "x", "y")

    assert correlated("gradient_norm", "gradient_norm").of(curves) == pytest.approx(1)
    assert correlated("gradient_norm", "train_loss").of(curves) == pytest.approx(1 - 6 * 2 / (4 * 15))  # Spearman
    assert math.isnan(correlated("gradient_norm", "test_accuracy").of(curves))  # nobody has it
    assert len(list(correlated("gradient_norm", "train_loss").uses())) == 8


@pytest.mark.parametrize("name", FAMILY.known)
def test_every_claim_of_a_figure_is_ours(name):
    figure = FAMILY.figure(name)
    assert {claim.origin for claim in figure.claims} == {"ours"}
    assert not figure.label.startswith("The paper")


def of_networks(series, nets=("vgg",)):
    """Return what figures of training and landscape are drawn from, of two seeds."""
    parts = []
    for place, name in enumerate(series, start=1):
        for seed in (0, 1):
            for net in nets:
                own = {"net": net, "seed": seed, "lr": 1e-6 if net == "dln" else 0.1}
                grows = np.linspace(0.1, 1.3 + 0.05 * place, 40).clip(max=1)
                accuracies = () if net == "dln" else ("train_accuracy", "test_accuracy")
                parts += [rows(name, quantity, grows, **own) for quantity in (*accuracies, "train_loss")]
                for quantity in ("loss_landscape", "gradient_difference", "gradient_difference_tensor_sum"):
                    for edge, size in (("min", 1.0), ("max", 1.0 + place + seed)):
                        parts.append(rows(name, quantity, size + grows, edge=edge, **own))
                for quantity in ("effective_lipschitz", "effective_beta", "effective_beta_tensor_sum", "ics_relative"):
                    parts.append(rows(name, quantity, place + seed + grows, **own))
                parts += [rows(name, q, place + grows, **own) for q in ("gradient_norm", "sharpness")]
                for layer in (2, 4):
                    for quantity in ("ics_l2", "ics_cosine", "ics_gradient_norm"):
                        parts.append(rows(name, quantity, place + grows, layer=layer, **own))
    return table(*parts)


ALL = ("standard", "batch", "l1", "l2", "linf", "layer", "group", "instance", "weight", "whitening", "elu", "selu")
TABLES = {
    "mlp": lambda: of_networks((*ALL[:5], "noisy_batch", "noisy_standard"), ("mlp",)),
    "norms": lambda: of_networks(ALL),
    "rates": lambda: of_rates(dict.fromkeys(ALL, ENDS["batch"])),
    "sharpness": lambda: of_networks(("standard", "batch"), ("vgg", "mlp", "dln")),
}


@pytest.mark.parametrize("name", FAMILY.known)
def test_each_figure_is_drawn_and_judged_from_a_table(name):
    figure, made = FAMILY.figure(name), TABLES[name]()
    shown = Shown(made, None, {"own": CONFIG})
    verdicts = tuple(judge(claim, indexed(made)) for claim in figure.claims)
    assert not any(math.isnan(verdict.measured.value) for verdict in verdicts)
    assert figure.module.draw(shown).axes
    if hasattr(figure.module, "page"):
        assert sum(line.startswith("| ") for line in figure.module.page(shown, verdicts)) == 2 + len(ALL)


def test_the_audit_is_a_page_of_picture_table_and_sentences():
    figure, made = (
        audit_page.figure("mypackage.MyNorm", None, ["+norm.eps=1e-4"]),
        of_networks(("standard", "batch", "own")),
    )
    assert "+norm.eps=1e-4" in figure.runs["own"]
    assert not any("eps" in part for name in ("standard", "batch") for part in figure.runs[name])
    plain = {f"vgg_{name}_lr0.1": CONFIG | {"norm": {"_target_": name}} for name in figure.runs}
    shown = Shown(made, None, plain | {"vgg_own_lr0.1": CONFIG})
    verdicts = tuple(judge(claim, indexed(made)) for claim in figure.claims)
    page = "\n".join(figure.module.page(shown, verdicts))
    assert page.startswith("# Audit of `mypackage.MyNorm`\n\n![")
    own = CONFIG | {"norm": {**CONFIG["norm"], "_partial_": True, "eps": 1e-4}}
    told = figure.module.page(Shown(made, None, {**shown.configs, "vgg_own_lr0.1": own}), verdicts)
    assert told[0] == "# Audit of `mypackage.MyNorm(eps=0.0001)`"
    assert figure.title.endswith(" mypackage.MyNorm,norm.eps=1e-4")  # which names the folder
    assert page.count("\n- ") == len(verdicts)
    assert "Yours makes the VGG's loss more Lipschitz along the gradient: **" in page


@pytest.mark.parametrize(
    ("norm", "model", "nets"),
    [("p.N", None, [0, 0, 0]), (None, "p.M", [1, 0, 0]), ("p.N", "p.M", [1, 1, 1])],
)
def test_what_is_audited_stands_beside_what_it_can_be_compared_with(norm, model, nets):
    runs = audit_page.figure(norm, model).runs
    assert [int("model._target_=p.M" in own) for own in runs.values()] == nets
    assert ("norm._target_=p.N" in runs["own"]) == bool(norm)


def test_the_audit_s_command_line_keeps_settings_of_yours_from_the_others():
    import audit

    line = "--norm p.N --scale smoke --seeds 0 +norm.eps=1e-4 tracker=none"
    figure, others = audit.audited(line.split())
    assert others == ["--scale", "smoke", "--seeds", "0", "tracker=none"]
    assert "+norm.eps=1e-4" in figure.runs["own"]
    of_all = audit.audited(["--norm", "p.N", "model.width=0.25"])[0].runs
    assert all("model.width=0.25" in run for run in of_all.values())  # or three networks would be compared
    own = audit.audited(["--model", "p.M", "+model.depth=3"])[0].runs
    assert [int("+model.depth=3" in run) for run in own.values()] == [1, 0, 0]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--scale smoke", "audit: expected what to measure"),
        ("--norm l1", "--norm l1: expected the dotted path of a class, e.g. mypackage.MyNorm"),
        ("--model p.M()", r"--model p.M\(\): expected the dotted path"),
        ("--norm p.N --from-results", "--from-results: an audit takes no such option"),
        ("--norm p.N --family=theory", "--family=theory: an audit takes no such option"),
        ("--norm p.N norm._target_=p.O", "norm._target_=p.O: expected --norm and --model"),
    ],
)
def test_what_an_audit_cannot_do_is_refused(line, said):
    import audit

    with pytest.raises(UserError, match=said):
        audit.audited(line.split())


def test_the_page_names_the_network_in_which_a_norm_was_audited():
    figure, made = audit_page.figure("p.N", "p.M"), of_networks(("standard", "batch", "own"))
    mine = CONFIG | {"model": {"_target_": "p.M"}}
    plain = {f"vgg_{name}_lr0.1": mine | {"norm": {"_target_": name}} for name in figure.runs}
    shown = Shown(made, None, plain | {"vgg_own_lr0.1": mine})
    assert figure.module.page(shown, ())[0] == "# Audit of `mypackage.MyNorm in p.M`"


def measured_run(*measured):
    kept = SimpleNamespace(table=lambda: pd.DataFrame(measured, columns=["quantity", "step", "layer", "value"]))
    facts = {"net": "vgg", "series": "own", "augment": False, "scale": SimpleNamespace(name="smoke")}
    named = {"name": "own", "seed": 0, "label": "own seed 0"}
    return FinishedRun(SimpleNamespace(**named, optimizer={"lr": 0.1}, **facts), kept)


def test_the_relative_shift_of_what_diverges_at_once_is_no_number_and_of_one_layer_there_is_none():
    sizes = {"ics_l2": 3.0, "ics_gradient_norm": 2.0}
    whole = measured_run(*((name, 0, layer, value * layer) for name, value in sizes.items() for layer in (1, 2, 3)))
    assert shift_rows(whole)["value"].tolist() == [1.5]
    gone = measured_run(*((name, 0, layer, math.nan) for name in sizes for layer in (1, 2, 3)))
    assert np.isnan(shift_rows(gone)["value"]).tolist() == [True]
    with pytest.raises(UserError, match="own seed 0: has one weight layer, before which nothing shifts"):
        shift_rows(measured_run(*((name, 0, 1, 0.0) for name in sizes)))
