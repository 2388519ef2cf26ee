"""The benchmark's twins are oracles: the floor takes the loop's steps, naive forms measure what the probes measure."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch

sys.path.append(str(Path(__file__).parents[2] / "scripts"))

import benchmark
from bench import on_paper
from bench.deep_linear import stacked_step
from bench.floor import floor
from bench.growth import CASES, Case, Growth
from bench.kernels import kernels
from bench.memory import peak
from bench.mlps import MLP, Stacked
from bench.naive import Naive
from bench.networks import Net
from bench.on_paper import Costs
from bench.page import Findings, machine_name, write
from bench.shares import RATE, REST, Share, kind, shares
from bench.timing import Answer, Timed, compared

from normscape.errors import UserError
from normscape.evidence.figure import Family
from normscape.loop import Batches, train
from normscape.probes import InternalCovariateShift, Landscape
from normscape.process.portable import LIMITS, NATIVE
from normscape.reduced.measure import measured

OWN = ["scale=smoke", "measure.activation_layers=[2,4]", "measure.ics_layers=[2,4]"]
VGG = [*OWN, "model.width=0.03125", "model.configuration=A", "batch_size=24"]
SMALL = {
    "vgg": ["run=vgg_batch", *VGG],
    "vgg without": ["run=vgg_standard", *VGG],
    "dln": ["run=dln_batch", *OWN, "model.depth=5"],
}


def double(net):
    """Return a net in float64, with data in float64."""

    class Double(type(net.plan.dataset)):
        def network_inputs(self, stored):
            return super().network_inputs(stored).double()

    data = net.plan.dataset
    train_split = data.train
    if train_split.targets.is_floating_point():
        train_split = replace(train_split, targets=train_split.targets.double())
    data = Double(data.name, data.checksum, train_split, None, data.mean, data.std)
    net.state.model.double()
    net.plan = replace(net.plan, dataset=data)
    return net


def test_stacked_mlps_take_the_steps_of_one():
    net = Net.of("MLP", *MLP, "scale=smoke", "data.train_images=64", "batch_size=64")
    stacked = Stacked(net, Batches(net.plan.dataset, net.plan.seed, net.plan.batch_size).at(0), seeds=3)
    one = net.fresh()
    floor(net.bare(), one, 1)
    before = dict(net.state.model.named_parameters())
    stacked.step()
    for name, parameter in one.model.named_parameters():
        assert not torch.equal(parameter, before[name])
        assert all(torch.allclose(copy, parameter, atol=1e-6) for copy in stacked.parameters[name])


@pytest.mark.parametrize("name", SMALL)
def test_the_floor_takes_the_steps_of_the_loop_bit_for_bit(name):
    """Over the end of an epoch, and from a step within one."""
    net = Net.of(name, *SMALL[name])
    ours, theirs = net.fresh(), net.fresh()
    train(net.bare(), ours, lambda step, rows: step < 25)
    floor(net.bare(), theirs, 10)
    floor(net.bare(), theirs, 25)
    assert ours.step == theirs.step == 25
    for key, tensor in theirs.model.state_dict().items():
        assert torch.equal(tensor, ours.model.state_dict()[key]), key


def values(probe, view, quantity):
    return [row.value for row in probe.measure(view) if row.quantity == quantity]


@pytest.mark.parametrize("name", SMALL)
def test_the_naive_forms_measure_what_the_probes_measure(name):
    net = double(Net.of(name, *SMALL[name]))
    before, view = net.step()
    naive = Naive(before, view)
    shift = naive.shift()
    assert len(shift["ics_l2"]) == len(view.network.layers)
    for quantity, found in shift.items():
        ours = values(InternalCovariateShift(layers="all"), view, quantity)
        assert ours == pytest.approx(found, rel=1e-9, abs=1e-9)
    probe = next(probe for probe in net.plan.probes if isinstance(probe, Landscape))
    for quantity, found in naive.landscape(probe.sizes_of(view), view.rule.weight_decays).items():
        assert values(probe, view, quantity) == pytest.approx(found, rel=1e-9)


def test_a_naive_form_on_other_weights_is_noticed():
    net = double(Net.of("dln", *SMALL["dln"]))
    before, view = net.step()
    moved = replace(view, updated={name: 1.001 * tensor for name, tensor in view.updated.items()})
    ours = values(InternalCovariateShift(layers="all"), view, "ics_l2")
    assert Naive(before, moved).shift()["ics_l2"] != pytest.approx(ours, rel=1e-9)


def test_seeds_as_one_have_the_shift_of_the_naive_form():
    """In float32, where the reduced batch rounds otherwise; of each seed its own."""
    nets = [Net.of("dln", *SMALL["dln"], f"seed={seed}") for seed in (0, 1)]
    lanes = measured(InternalCovariateShift(layers="all"), stacked_step(nets))
    for net, rows in zip(nets, lanes, strict=True):
        found = [row.value for row in rows if row.quantity == "ics_cosine"]
        assert found == pytest.approx(Naive(*net.step()).shift()["ics_cosine"], abs=1e-5)


def test_a_ratio_is_that_of_medians_and_its_range_that_of_rounds():
    answer = compared("q", "net", Timed([2.0, 4.0, 9.0]), Timed([1.0, 1.0, 3.0]), times=2, target=2.0)
    assert (answer.ratio, answer.lowest, answer.highest, answer.met) == (2.0, 1.0, 2.0, True)
    assert replace(answer, target=1.9).met is False
    assert replace(answer, target=None).met is None
    assert Answer("start", "", 1.6, None, "s", target=1.5).met is False


def test_what_is_written_says_where_and_when(tmp_path):
    assert machine_name("Intel(R) Xeon(R) CPU E5-2680 v4 @ 2.40GHz") == "intel-xeon-e5-2680-v4"
    hardware = {"processor": "AMD EPYC", "cores": 2, "threads": 1, "instruction_set": "AVX2", "device": "cpu"}
    header = {"written": "today", "command": "benchmark.py", "commit": "abc", "hardware": hardware, "load": [1.0, 2.0]}
    header |= {"versions": {"torch": "2", "python": "3"}, "unanswered": []}
    answers = [
        compared("q", "net", Timed([2.0, 3.0]), Timed([1.0, 1.2]), target=3.0),
        Answer("start", "", 1.6, None, "s"),
    ]
    grown = [Growth(Case("step", "net", "width", (1, 2), lambda size: None, (1, 2), "why"), (1, 2), (5.0, 10.0))]
    found = Findings()
    lines = [found.add(each) for each in (*answers, *grown, Share("net", "ReLU", 2.0, 0.25))]
    assert [line.split()[0] for line in lines] == ["2.273", "1.60", "1.00", "25.0%"]
    files = write(tmp_path / "bench", header, found)
    endings = (".csv", "-growth.csv", "-shares.csv", ".json", ".md")
    assert [file.name for file in files] == [f"amd-epyc{ending}" for ending in endings]
    assert list(pd.read_csv(files[0])["ratio"].fillna(0)) == [2.273, 0.0]
    assert list(pd.read_csv(files[1])["ms"]) == [5.0, 10.0]
    assert list(pd.read_csv(files[2])["share"]) == [0.25]
    assert json.loads(files[3].read_text()) == header
    text = files[4].read_text()
    assert "| net | ReLU | 2 | 25.0% |" in text
    assert "| q | net | 2500 ms | 1100 ms | 2.273 | 2.00 to 2.50 | 3 | met |" in text
    assert "| step | net | width | 1, 2 | 5, 10 | 1.00 | 1.00 | 1 to 2 | why |" in text
    assert "ImageNet" not in text  # what it would be put together from was not asked


def test_a_page_of_a_gpu_is_called_after_it_and_has_no_empty_tables(tmp_path):
    hardware = {"processor": "AMD EPYC", "cores": 2, "threads": 1, "instruction_set": "AVX2", "device": "NVIDIA H100"}
    header = {"written": "today", "command": "c", "commit": None, "hardware": hardware, "load": [1.0, 2.0]}
    header |= {"versions": {"torch": "2", "python": "3"}, "unanswered": []}
    once = compared("q", "net", Timed([2.0]), Timed([1.0]))
    files = write(tmp_path, header, Findings([once]))
    assert [file.name for file in files] == [f"nvidia-h100{ending}" for ending in (".csv", ".json", ".md")]
    text = files[-1].read_text()
    assert text.startswith("# What it costs on NVIDIA H100\n")
    assert "AMD EPYC, 2 cores" in text
    assert "| q | net | 2000 ms | 1000 ms | 2.000 |  |  |  |" in text  # one round has no range


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
@pytest.mark.parametrize(
    ("line", "said"),
    [("--gpu", "--gpu: expected a machine with a GPU"), ("--gpu --only loops", "--gpu: expected without --only")],
)
def test_a_gpu_that_is_not_there_is_one_line(line, said):
    with pytest.raises(UserError, match=said):
        benchmark.main(line.split())


def test_shares_are_of_the_whole_step():
    """Convolutions in a VGG, and in a deep linear net none; their rate is of theirs alone."""
    found = [*shares(Net.of("vgg", *SMALL["vgg"]), steps=2)]
    *parts, rate = found
    assert sum(part.share for part in parts) == pytest.approx(1)
    assert {"convolutions", "BatchNorm", "ReLU", "pooling", REST} <= {part.part for part in parts}
    assert rate.question == RATE
    assert rate.ratio > 0
    linear = [*shares(Net.of("dln", *SMALL["dln"]), steps=2)]
    assert "convolutions" not in {part.part for part in linear}
    assert kind("aten::mkldnn_convolution") == "convolutions"
    assert kind("aten::empty") == REST


def test_kernels_are_those_that_are_asked_for(monkeypatch):
    """In processes of their own, whatever this one has."""
    seen = []

    def run(command, *, env, **more):
        seen.append({name: env.get(name) for name in (*LIMITS, NATIVE)})
        return SimpleNamespace(stdout=f"{len(seen)}.0")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setenv(NATIVE, "1")  # of the user's own
    answers = [*kernels(rounds=2)]
    assert [answer.net for answer in answers] == ["VGG, 1/8 width", "DLN", "MLP"]
    assert (answers[0].ours, answers[0].base) == (2000.0, 3000.0)  # medians of rounds 1, 3 and 2, 4
    assert [each[NATIVE] for each in seen[:4]] == [None, "1", None, "1"]
    assert all(each[name] is None for each in seen for name in LIMITS)  # what they have is decided there


def test_the_power_is_that_of_the_times():
    case = CASES[0]
    assert Growth(case, (1, 2, 4, 8), [3.0 * size**1.5 for size in (1, 2, 4, 8)]).power == pytest.approx(1.5)
    fixed = Growth(case, (1, 2, 4, 8), [10 + size for size in (1, 2, 4, 8)])
    assert fixed.power < fixed.last_power < 1


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.net != "VGG"], ids=lambda case: f"{case.work} {case.net}"
)
def test_what_is_timed_can_be_done(case):
    case.prepare(case.sizes[0])()


def test_imagenet_is_put_together_from_what_was_measured():
    """Against numbers worked out by hand."""
    answers = [
        Answer("4 points of a landscape / as many plain passes", "chain", 1.0, 1.0, "ms", 1.25),
        Answer("covariate shift of all 9 layers / as many plain passes", "chain", 1.0, 1.0, "ms", 9.0),
        Answer("covariate shift of all 21 layers / as many plain passes", "branched", 1.0, 1.0, "ms", 0.5),
        Answer("covariate shift of all 21 layers / naive", "branched", 1.0, 1.0, "ms", 9.0),
    ]
    costs = Costs.among(answers, point_on="chain", layer_on="branched")
    assert costs == Costs(point=1.25, layer=0.5)
    assert Costs.among(answers[:2], point_on="chain", layer_on="branched") is None
    assert on_paper.steps() == 90 * 5005
    assert on_paper.plain_hours() == pytest.approx(3.939, abs=1e-3)  # 450 450 x 256 x 24.6e9 / 200e12 s
    assert on_paper.overhead(costs) == pytest.approx(1 + 0.06 + 0.027)
    assert "| on 8 GPUs, each a run at a time, 5 rounds | 21 h |" in on_paper.on_paper(costs)


def test_the_runs_that_are_put_together_are_those_of_the_figures():
    family = Family.of("santurkar2018", Path(__file__).parents[2])
    declared = {run for figure in family.figures() for run in figure.runs}
    assert len({run for run in declared if run.startswith("vgg")}) == on_paper.RUNS


def test_a_peak_is_the_process_s_own(tmp_path):
    (tmp_path / "status").write_text("VmPeak:\t 9999 kB\nVmHWM:\t 2048 kB\n")
    assert peak(tmp_path / "status") == 2**21
    assert peak(tmp_path / "gone") > 0


def test_an_unknown_question_is_one_line():
    with pytest.raises(UserError, match="--only loop: no such question; did you mean"):
        benchmark.parse(["--only", "loop"])


def test_a_page_says_which_questions_it_ended_before(tmp_path, monkeypatch):
    """Each answer is written when it is there; what came to no end is named."""

    def interrupted(quick):
        raise KeyboardInterrupt

    once = compared("a step", "VGG", Timed([2.0]), Timed([1.0]))

    def cut_short(quick):
        yield once
        raise KeyboardInterrupt

    questions = {"loops": lambda quick: [once], "growth": cut_short, "shares": interrupted}
    monkeypatch.setattr(benchmark, "QUESTIONS", questions)
    with pytest.raises(KeyboardInterrupt):
        benchmark.main(["--results", str(tmp_path)])
    (page,) = tmp_path.glob("*.md")
    assert "It ended before these questions were answered: growth, shares." in page.read_text()
    assert page.read_text().count("| a step |") == 2
    monkeypatch.setattr(benchmark, "QUESTIONS", {"loops": questions["loops"]})
    benchmark.main(["--results", str(tmp_path)])
    assert "It ended before" not in page.read_text()
