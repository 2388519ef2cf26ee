"""CLAIMS.md and README say what the verdicts are, no more and no less, and count honestly."""

import json
import shutil
from dataclasses import dataclass, replace

import pytest

from fakes import FakeFamily, Known, judged_figure
from normscape.errors import UserError
from normscape.evidence.cells import number
from normscape.evidence.claims import Claim, Kind
from normscape.evidence.interval import Measured
from normscape.evidence.results import Results, at_largest_scale, judged_figures, scales_in
from normscape.reports.answers import (
    ANSWER_MARKS,
    CLAIM_MARKS,
    Answer,
    Asked,
    answer_block,
    claims_block,
    scales_block,
)
from normscape.reports.counts import summary
from normscape.reports.fidelity import Compared, Panel
from normscape.reports.verdicts import claims_markdown, explained
from normscape.storage.files import read_json, write_json

SIZE = Known(1.0, "its size")
EARLY = Known(3.0, "its early size")
NO = "**does not hold on all 3 seeds**"
LARGE = Claim(
    "it is large",
    SIZE,
    "large",
    above=2,
    note="Read so.",
    reasons=[
        Claim("It is halved", Known(0.5, "half its size"), below=1),
        Claim("It is doubled", Known(2.0, "double its size"), below=1),
    ],
    evidence=[Known(1 / 3, "a third")],
)
SMALL = Claim("it is small", Known(1.0, "|its| size"), "small", below=9, origin="ours")


@pytest.fixture
def results(tmp_path):
    family = FakeFamily(
        judged_figure(1, [LARGE, SMALL], [1.0, 1.5, 1.25], original=0.5, headline=("large",)),
        judged_figure("text", [LARGE], [1.0]),
    )
    family.write(tmp_path / "laptop")
    (tmp_path / "smoke").mkdir()
    (tmp_path / "smoke" / "fig01.json").write_text("{}")
    return family, tmp_path


def test_one_row_per_claim(results):
    lines = claims_markdown(*results).splitlines()
    start = lines.index("## Every claim, at scale=laptop")
    rows = [line for line in lines[start:] if line.startswith("| it is")]
    ours = "1.25 (1 to 1.5) | 3"
    assert f"| it is large | the paper | its size | 0.5 (does not hold) | {ours} | above 2 | {NO} |" in rows
    assert rf"| it is small | ours | \|its\| size | 0.5 | {ours} | below 9 | **holds on all 3 seeds** |" in rows
    assert (
        "| it is large | the paper | its size |  | 1 (one seed) | 1 | above 2 | **does not hold on one seed** |" in rows
    )
    assert "smoke" not in "\n".join(lines)
    assert "- A note." in lines


def test_the_first_page_sums_up_and_shows_the_main_claims(results):
    lines = claims_markdown(*results).splitlines()
    assert lines[0] == "# Sizes: claims, judged"
    page = lines[: lines.index("## How to read this")]
    assert (
        "Of the 1 claim taken from the paper, judged on 1 or 3 seeds, 1 does not hold. If every true "
        "median were right at its threshold, chance alone would decide about 0.1 of them wrongly. 1 of them fails on "
        "the paper's own curves. Of 1 further finding (our own), 1 holds."
    ) in page
    assert (
        "| Figure 1 | it is large | its size | 0.5 | 1.25 (1 to 1.5) | above 2 | **does not hold on all 3 seeds** |"
        in page
    )
    assert "| Figure 1 | sizes | 1 | 0 | 0 | 1 | 0 | 0 |" in page
    assert "| The paper's text | sizes | 0 | 0 | 0 | 1 | 0 | 0 |" in page


def test_what_does_not_hold_comes_with_reasons_and_evidence(results):
    lines = claims_markdown(*results).splitlines()
    start = lines.index("### Figure 1: sizes")
    said = lines[start:]
    assert (
        f"- it is large: {NO} (0 of 3). It is halved (half its size: 0.625 (0.5 to 0.75); the paper's "
        "curves: 0.25). The paper's own curves fail it too (0.5)."
    ) in said
    assert "Read so." in said
    first = said.index(f"| it is large | its size: above 2 | 0.5 (does not hold) | 1.25 (1 to 1.5) | {NO} (0 of 3) |")
    assert said[first + 1 : first + 4] == [
        "| why: It is halved | half its size: below 1 | 0.25 | 0.625 (0.5 to 0.75) | holds on all 3 seeds |",
        "| considered: It is doubled | double its size: below 1 | 1 | 2.5 (2 to 3) | does not hold on all 3 seeds |",
        "|  | a third | 0.1667 | 0.4167 (0.3333 to 0.5) |  |",
    ]
    assert (
        "- it is large: **does not hold on one seed** (0 of 1). It is halved (half its size: 0.5 (one seed))." in said
    )
    assert not any("it is small: " in line for line in said)


def test_a_reason_that_a_part_refutes_is_only_considered(tmp_path):
    """It speaks of late steps, so it explains nothing where the claim fails before them."""
    late = Claim("It shrinks late", Known(0.5, "late size"), below=1, given=((SIZE, Kind.FAILS), (EARLY, Kind.HOLDS)))
    claims = [replace(LARGE, name=name, parts=[EARLY], reasons=[late], evidence=()) for name in ("one", "two")]
    family = FakeFamily(judged_figure(1, claims[:1], [1.0]), judged_figure("text", claims[1:], [0.5]))
    family.write(tmp_path / "laptop")
    lines = claims_markdown(family, tmp_path).splitlines()
    begins = [line.partition(" |")[0] for line in lines if "It shrinks late |" in line]
    assert begins == [
        "| why: It shrinks late",
        "| considered: It shrinks late",
    ]  # early sizes: 3 and 1.5
    assert sum("It shrinks late (" in line for line in lines) == 1


def test_a_claim_that_holds_only_over_a_part_is_listed(tmp_path):
    parts = [Known(0.5, "at first"), Known(2.0, "then"), Known(3.0, "at last")]
    family = FakeFamily(judged_figure(1, [replace(LARGE, above=1, parts=parts, reasons=(), evidence=())], [1.5, 1.75]))
    family.write(tmp_path / "laptop")
    lines = claims_markdown(family, tmp_path).splitlines()
    assert (
        "- it is large: **holds in part on 2 seeds** (2 of 2). It holds then and at last. It does not hold at first."
        in lines
    )
    assert "|  | at first |  | 0.8125 (0.75 to 0.875) | does not hold |" in lines


def test_the_same_statistic_of_the_same_runs_is_counted_once():
    stricter = replace(LARGE, name="very large", above=50, origin="text")
    weaker = replace(LARGE, name="not tiny", above=0.1)
    one, two = judged_figure(1, [stricter], [1.0]), judged_figure(2, [weaker], [1.0])
    assert summary([one, two]).startswith(
        "Of the 1 claim taken from the paper, judged on one seed, 1 holds in part. If"
    )
    assert summary([one]).startswith("Of the 1 claim taken from the paper, judged on one seed, 1 does not hold. ")
    other = judged_figure(2, [replace(weaker, statistic=Known(3.0))], [1.0])
    assert summary([one, other]).startswith(
        "Of the 2 claims taken from the paper, judged on one seed, 1 holds and 1 does not hold. "
    )


def test_a_summary_says_whose_findings_they_are_and_names_no_curves_that_there_are_not():
    ours = judged_figure(1, [replace(LARGE, origin="ours")], [1.0])
    read_off = judged_figure(2, [replace(LARGE, origin="curves", statistic=Known(3.0))], [1.0])
    chance = "If every true median were right at its threshold, chance alone would decide about 0.5 of them wrongly."
    assert summary([ours]) == f"Of 1 finding (our own), judged on one seed, 1 does not hold. {chance}"
    assert summary([ours, read_off]).startswith("Of 2 findings (our own, or read off the paper's curves), judged on ")
    text = judged_figure(1, [LARGE], [1.0])
    (verdict,) = text.verdicts
    alone = replace(text, verdicts=(replace(verdict, measured=replace(verdict.measured, paper=None)),))
    assert summary([alone]) == f"Of the 1 claim taken from the paper, judged on one seed, 1 does not hold. {chance}"


def test_what_cannot_be_judged_at_this_scale_is_counted_as_that():
    judged = judged_figure(1, [replace(LARGE, scales=("paper",))], [1.0])
    assert "1 cannot be judged at this scale. If" in summary([judged])


def test_the_readme_gets_the_main_claims(results, tmp_path):
    family, _ = results
    figures = judged_figures(family, tmp_path / "laptop")
    text = claims_block([(tmp_path / "paper", [], ["figure 1"]), (tmp_path / "laptop", figures, [])])
    lines = text.splitlines()
    assert (lines[0], lines[-1]) == CLAIM_MARKS
    assert lines[1].startswith("- At `scale=paper`: ")
    assert lines[1].endswith(" Not there yet: figure 1.")
    assert lines[2].startswith("- At `scale=laptop`: Of the 1 claim taken from the paper, judged on 1 or 3 seeds, ")
    assert lines[6] == "|  | claim | statistic | paper | must be | ours, `paper` | ours, `laptop` |"
    assert lines[8:-1] == [
        "| Figure 1 | it is large | its size | 0.5 | above 2 |  | 1.25 (1 to 1.5): **does not hold on all 3 seeds** |"
    ]


def asked(claim, above=None, below=None):
    return Asked(1, claim, "It is {}", above, below)


@pytest.mark.parametrize(
    ("parts", "word"),
    [
        ([asked("large", above=0.9)], "Yes"),
        ([asked("large", below=0.9)], "No"),
        ([asked("large", above=1.25)], "Undecided"),
        ([asked("large", above=0.9), asked("small", below=0.9)], "In part"),
        ([asked("large", above=1.25), asked("small", below=0.9)], "Not shown"),
    ],
)
def test_an_answer_is_computed_and_shows_its_numbers(results, tmp_path, parts, word):
    family, _ = results
    figures = judged_figures(family, tmp_path / "laptop")
    lines = answer_block([Answer("Is it large?", tuple(parts))], figures, "results").splitlines()
    assert (lines[0], lines[-1]) == ANSWER_MARKS
    (line,) = lines[1:-1]
    assert line.startswith(
        f"- **Is it large? {word}.** It is **1.25** (1 to 1.5 over 3 seeds; the paper: 0.5; "
        "[figure 1](results/laptop/fig01.png) at `scale=laptop`)."
    )


def test_an_answer_is_from_the_largest_scale_that_has_its_figure(results, tmp_path):
    """With changed settings it is another experiment, and is not looked at."""
    family, _ = results
    assert [figure.manifest["scale"] for figure in at_largest_scale(family, tmp_path)] == ["laptop"] * 2
    for name, scale in (("paper_tf32", "paper_tf32"), ("paper,steps=9", "paper")):
        shutil.copytree(tmp_path / "laptop", tmp_path / name)
        for figure in (Results(tmp_path / name, figure) for figure in family.figures()):
            content = read_json(figure.file)
            write_json(figure.file, {**content, "manifest": {**content["manifest"], "scale": scale}})
    Results(tmp_path / "paper_tf32", family.figures()[1]).file.unlink()
    found = at_largest_scale(family, tmp_path)
    assert [figure.manifest["scale"] for figure in found] == ["paper_tf32", "laptop"]
    questions = [
        Answer("Is it?", (Asked(figure.figure.name, figure.verdicts[0].claim.name, "It is {}", 1.0),))
        for figure in found
    ]
    _, *lines, _ = answer_block(questions, found, "results").splitlines()
    for line, figure in zip(lines, found, strict=True):
        scale = figure.manifest["scale"]
        assert f"(results/{scale}/{figure.figure.stem}.png) at `scale={scale}`" in line


def test_results_of_other_claims_are_one_line(results, tmp_path):
    family, _ = results
    figure = family.figures()[0]
    Results(tmp_path / "laptop", replace(figure, module=figure.module)).judged()
    figure.module.CLAIMS = [LARGE]
    with pytest.raises(
        UserError, match=r"fig01.json: its claims are not those of the code .*make redraw-all SCALE=laptop"
    ):
        Results(tmp_path / "laptop", figure).judged()


def test_the_largest_scale_comes_first(tmp_path):
    for name in ("laptop", "smoke", "paper", "laptop,steps=9", "mine"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "fig01.json").write_text("{}")
    assert [folder.name for folder in scales_in(tmp_path)] == ["paper", "laptop", "mine", "laptop,steps=9"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "not a manifest of this version"),
        ("{}", "not a manifest of this version"),
        ('{"manifest": {}}', "not a manifest of this version"),
        ({"figure": 2}, "of figure 2, not of Figure 1"),
        ({"manifest": {"scale": "smoke"}}, "of scale=smoke, in the folder of laptop"),
    ],
)
def test_what_is_no_manifest_of_the_figure_is_one_line(results, tmp_path, content, reason):
    family, _ = results
    kept = Results(tmp_path / "laptop", family.figures()[0])
    if isinstance(content, dict):
        whole = read_json(kept.file)
        manifest = {**whole["manifest"], **content.pop("manifest", {})}
        content = json.dumps({**whole, **content, "manifest": manifest})
    kept.file.write_text(content)
    with pytest.raises(UserError) as caught:
        claims_markdown(*results)
    assert str(kept.file) in str(caught.value)
    assert reason in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_an_edited_number_is_not_reported(results, tmp_path):
    family, _ = results
    kept = Results(tmp_path / "laptop", family.figures()[0])
    whole = read_json(kept.file)
    whole["claims"]["large"]["value"] = 99.0
    write_json(kept.file, whole)
    with pytest.raises(UserError, match="are not median and interval of"):
        claims_markdown(*results)


def test_an_answer_says_which_figure_is_not_there_yet(tmp_path):
    there = judged_figure(1, [replace(LARGE, reasons=())], [9.0, 9.0])
    asked = [Asked(figure=figure, claim="large", saying="It is {}", above=1.0) for figure in (1, 2)]
    both, none = Answer("Is it?", tuple(asked)), Answer("And this?", tuple(asked[1:]))
    lines = answer_block([both, none], [there], "x").splitlines()
    assert lines[1].startswith("- **Is it? Yes.** It is **")
    assert lines[1].endswith("Figure 2 is not there yet.")
    assert lines[2] == "- **And this? Not judged yet.** Figure 2 is not there yet."
    block = claims_block([(tmp_path / "laptop", [there], ["figure 2", "text"])])
    assert "Not there yet: figure 2 and text.\n" in block


def test_each_scale_says_which_figures_it_has_and_how_near_they_are(tmp_path):
    one, two, four, five, six = (judged_figure(number, [LARGE], [9.0]) for number in (1, 2, 4, 5, 6))
    near = [Compared(Panel(1, "a", ()), Measured("a size", (11.0,), 10.0), 1)]
    far = [Compared(Panel(1, "a", ()), Measured("a size", (25.0,), 10.0), 1)]
    scales = [(tmp_path / "paper", [one], far), (tmp_path / "desk", [one, four], near)]
    scales += [(tmp_path / "laptop", [one, two, four, five, six], near), (tmp_path / "x", [one, four, five, six], near)]
    first, second, third, fourth = scales_block(scales, "r").splitlines()[1:-1]
    assert first.startswith("- `scale=paper`: figure 1. [")
    assert "of 1.5 in 0, of 2 in 0 and of 3 in 1" in first
    assert first.endswith("](r/FIDELITY.md)")
    assert second.startswith("- `scale=desk`: figures 1 and 4. [")
    assert third.startswith("- `scale=laptop`: all figures. [")
    assert fourth.startswith("- `scale=x`: figures 1 and 4 to 6. [")
    assert "of 1.5 in 1," in third


def test_a_part_of_some_seeds_is_shown_with_their_number(tmp_path):
    @dataclass(frozen=True)
    class Reached(Known):
        @property
        def not_of_all(self):
            return True

    claim = replace(LARGE, above=0, parts=[Reached(2.0, "late")], reasons=(), evidence=())
    figure = judged_figure(1, [claim, replace(claim, name="other", above=5)], [1.0, float("nan"), 3.0])
    family = FakeFamily(figure)
    family.write(tmp_path / "laptop")
    assert "|  | late |  | 4 (2 to 6) | of 2 of 3 seeds |" in claims_markdown(family, tmp_path)
    nobody = judged_figure(1, [claim, replace(claim, name="other", above=5)], [float("nan")] * 2)
    family, folder = FakeFamily(nobody), tmp_path / "nobody"
    family.write(folder / "laptop")
    assert "|  | late |  | no step measured in it | of 0 of 2 seeds |" in claims_markdown(family, folder)


def test_what_holds_by_construction_is_said_once_whatever_the_verdict(tmp_path):
    claims = [replace(LARGE, name=name, statement=name, construction="It must.", reasons=()) for name in ("one", "two")]
    family = FakeFamily(judged_figure(1, claims, [9.0, 9.0]))
    family.write(tmp_path / "laptop")
    assert "- By construction: It must. This bears on: one; two." in claims_markdown(family, tmp_path)


@pytest.mark.parametrize(
    ("value", "digits", "shown"),
    [
        (1324.0, 3, "1320"),
        (14950.4, 4, "14950"),
        (123456.0, 4, "1.235e+05"),
        (0.00012345, 4, "0.0001234"),
        (-2801.0, 2, "-2800"),
    ],
)
def test_numbers_of_steps_have_no_exponent(value, digits, shown):
    assert number(value, digits) == shown


def test_what_is_no_more_than_noise_is_told_whatever_the_verdict():
    claims = [
        Claim("one", Known(), "one", above=1, resolved=[Known(2, "one's floor"), Known(0.1, "another's floor")]),
        Claim("two", Known(), "two", above=1, resolved=[Known(0.1, "two's floor")]),
        Claim("three", Known(), "three", above=1, resolved=[Known(2, "three's floor")]),
    ]
    text = "\n".join(explained(judged_figure(1, claims, [3.0, 3.0])))
    assert "- one: no more than noise (another's floor: 0.3 (0.3 to 0.3)), so the statistic is but a bound." in text
    assert "- two: no more than noise (two's floor: 0.3 (0.3 to 0.3)), so this cannot be told." in text
    assert "three: no more than noise" not in text
    assert "- two: **undecided** (2 of 2)." in text


def test_measured_steps_are_told_once_for_all_claims():
    judged = judged_figure(1, [Claim(name, Known(), name, above=1) for name in ("one", "two", "three")], [3.0])
    bins = [{"standard": (21, 17), "batch": (6, 9)}, {"standard": (21, 17), "l1": (5, 0)}, {}]
    verdicts = tuple(replace(verdict, bins=of) for verdict, of in zip(judged.verdicts, bins, strict=True))
    (line,) = (line for line in explained(replace(judged, verdicts=verdicts)) if line.startswith("- Measured steps"))
    assert line.endswith("of the seed with the fewest: BatchNorm 6, 9; l1 5, 0; standard 21, 17.")
