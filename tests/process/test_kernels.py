"""kernels=portable: the limits are in force or the run is refused; its bits are the same on every x86 machine."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from normscape.build import build, dry_build
from normscape.config import compose_run
from normscape.errors import UserError
from normscape.identity import identity, settings
from normscape.process import kernels, portable
from normscape.process.kernels import check_device, require_kernels, use_kernels
from normscape.process.portable import LIMITS

EXPERIMENTS, SCRIPTS = (Path(__file__).parents[2] / folder for folder in ("experiments", "scripts"))
QUICK = ["run=dln_batch", "scale=smoke", "tracker=none", "device=cpu", "steps=8"]
PORTABLE_BITS = {
    "2.15.0": {
        "dln_noisy_batch": "399220c281da91343cddc5db9de084e3",
        "mlp_l1": "3dc68294645786e32e247a58b02f76cd",
        "vgg_batch": "bb8113e5aaba4e50f043336c818a847b",
    }
}
"""MD5 of metrics.csv by torch's version; made on an AVX2 machine (AMD, Zen 3)."""

needs_avx2 = pytest.mark.skipif(not torch.cpu._is_avx2_supported(), reason="no x86 processor with AVX2")


@pytest.fixture
def started(tmp_path):
    """Start a script in a process of its own, with further variables; return its exit code and what it said."""
    own = {name: value for name, value in os.environ.items() if name not in {*LIMITS, portable.NATIVE}}
    own["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))

    def call(script, *arguments, **variables):
        command = [sys.executable, str(EXPERIMENTS / script), *arguments, f"runs_dir={tmp_path / 'runs'}"]
        done = subprocess.run(
            command, env={**own, **variables}, capture_output=True, text=True, cwd=tmp_path, check=False
        )
        return done.returncode, done.stdout + done.stderr

    return call


def limits(tmp_path):
    files = sorted(tmp_path.glob("runs/*/provenance.json"))
    return [json.loads(file.read_text())["hardware"]["kernel_limits"] for file in files]


def test_auto_is_no_part_of_what_a_run_is_and_a_choice_is():
    """What auto comes to depends on the machine, as the device does, and provenance says it."""
    plain, native, limited = (compose_run([*QUICK, *own]) for own in ([], ["kernels=native"], ["kernels=portable"]))
    assert plain.kernels == "auto"
    assert "kernels" not in settings(plain)
    assert settings(limited) == {**settings(plain), "kernels": "portable"}
    assert len({identity(config) for config in (plain, native, limited)}) == 3


def test_limits_are_set_only_before_torch_and_where_the_processor_has_avx2(monkeypatch, tmp_path):
    for name in (*LIMITS, portable.NATIVE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(portable, "has_avx2", lambda: True)
    portable.set_limits({"torch": torch})
    assert not set(LIMITS) & set(os.environ)
    monkeypatch.setenv("MKL_CBWR", "AVX")  # the user's own stays, and portable kernels are then not in force
    portable.set_limits({})
    assert {name: os.environ.pop(name) for name in LIMITS} == {**LIMITS, "MKL_CBWR": "AVX"}
    monkeypatch.setenv(portable.NATIVE, "1")
    portable.set_limits({})
    assert not set(LIMITS) & set(os.environ)
    monkeypatch.undo()
    (tmp_path / "cpuinfo").write_text("flags\t: fpu sse4_2 avx avx512f\n")
    assert not portable.has_avx2(tmp_path / "cpuinfo")
    (tmp_path / "cpuinfo").write_text("flags\t: fpu avx2\n")
    assert portable.has_avx2(tmp_path / "cpuinfo")
    assert not portable.has_avx2(tmp_path / "none")


def test_what_asks_for_kernels_sets_the_limits_before_anything_imports_torch():
    scripts = [path for folder in (EXPERIMENTS, SCRIPTS) for path in folder.glob("*.py")]
    training = [path for path in scripts if "use_kernels(" in path.read_text()]
    assert {path.name for path in training} == {"train.py", "reproduce.py", "verify.py", "pieces.py"}
    for path in training:
        code = (
            f"import runpy, sys; runpy.run_path({str(path)!r}, run_name='read'); import normscape.process.portable as p"
        )
        done = subprocess.run(
            [sys.executable, "-c", f"{code}; sys.exit(p.BEGAN is None)"],
            env={**os.environ},
            check=False,
            cwd=path.parent,
        )
        assert done.returncode == 0, path


@needs_avx2
@pytest.mark.parametrize(("kind", "there"), [("auto", LIMITS), ("portable", LIMITS), ("native", {})])
def test_a_script_has_the_kernels_that_it_was_asked_for(started, tmp_path, kind, there):
    code, said = started("train.py", *QUICK, f"kernels={kind}")
    assert code == 0, said
    assert limits(tmp_path) == [there]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["kernels=portabel"], "kernels=portabel: expected auto, portable or native; did you mean 'portable'?"),
        (["kernels=portable", "threads=2"], "threads=2: expected 1 with kernels=portable"),
    ],
)
def test_a_mistake_is_named(given, said):
    with pytest.raises(UserError) as refused:
        compose_run([*QUICK, *given])
    assert str(refused.value).startswith(said)


def test_on_a_gpu_portable_kernels_are_refused():
    check_device("native", torch.device("cuda"))
    with pytest.raises(UserError, match=r"^kernels=portable: .* this run is on cuda.* add device=cpu, or leave"):
        check_device("portable", torch.device("cuda"))


def test_without_avx2_portable_kernels_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx2_supported", lambda: False)
    with pytest.raises(UserError, match=r"^kernels=portable: expected an x86 processor with AVX2"):
        dry_build(compose_run([*QUICK, "kernels=portable"]))


@needs_avx2
def test_no_run_is_built_without_the_limits_it_asks_for(monkeypatch):
    """Set by Python alone they come too late: torch has chosen its kernels."""
    for name, value in LIMITS.items():
        monkeypatch.setenv(name, value)
    config = compose_run([*QUICK, "kernels=portable"])
    monkeypatch.setattr(kernels, "INITIAL", Path(__file__).parent / "no such file")
    monkeypatch.setattr(portable, "BEGAN", None)
    if torch.backends.cpu.get_cpu_capability() == "AVX2":
        build(config, torch.device("cpu"))  # where the system does not tell, today's environment must do
    monkeypatch.setattr(portable, "BEGAN", {"PATH": "/bin"})
    with pytest.raises(UserError, match=r"^kernels=portable: expected ATEN_CPU_CAPABILITY=avx2 .* before Python"):
        build(config, torch.device("cpu"))
    monkeypatch.setattr(portable, "BEGAN", {**LIMITS})
    with pytest.raises(UserError, match=r"^kernels=native: expected an environment without ATEN_CPU_CAPABILITY, "):
        build(compose_run([*QUICK, "kernels=native"]), torch.device("cpu"))


@pytest.mark.parametrize("text", [b"a title that a process gave itself", b"PATH=/bin\0MKL_CBWR=COMPATIBLE\0"])
def test_the_environment_at_the_start_counts_if_it_can_be_read(monkeypatch, tmp_path, text):
    monkeypatch.setattr(kernels, "INITIAL", tmp_path / "environ")
    (tmp_path / "environ").write_bytes(text)
    monkeypatch.setattr(portable, "BEGAN", None)
    for name, value in LIMITS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    if b"PATH" not in text:
        require_kernels("portable")
    else:
        with pytest.raises(UserError, match="expected ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 in"):
            require_kernels("portable")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    (tmp_path / "environ").unlink()
    with pytest.raises(UserError, match="torch's kernels for AVX2, and it has AVX512"):
        require_kernels("portable")


def test_one_process_has_one_kind_of_kernels():
    both = [compose_run([*QUICK, f"kernels={kind}"]) for kind in kernels.KINDS]
    use_kernels(both[:1])
    with pytest.raises(UserError, match=r"^kernels=auto,native,portable: a process has one kind"):
        use_kernels(both)


@needs_avx2
def test_workers_of_a_figure_have_them_too(started, tmp_path):
    code, said = started(
        "reproduce.py", "9", "--scale=smoke", "--seeds=0,1", "--workers=2", f"--results={tmp_path}", "kernels=portable",
        "tracker=none", "device=cpu", "steps=8",
    )  # fmt: skip
    assert code == 0, said
    assert limits(tmp_path) == [LIMITS, LIMITS]
    assert said.count("All figures") + said.count("Figure 9 at scale") <= 1  # started again before it said anything


@needs_avx2
def test_what_the_user_set_gives_way_to_what_is_asked_for_alone(started, tmp_path):
    code, said = started("train.py", *QUICK, "seed=1", ATEN_CPU_CAPABILITY="default")
    assert code == 0, said
    assert limits(tmp_path) == [{**LIMITS, "ATEN_CPU_CAPABILITY": "default"}]
    shutil.rmtree(tmp_path / "runs")
    code, said = started("train.py", *QUICK, "kernels=portable", ATEN_CPU_CAPABILITY="default")
    assert code == 0, said
    assert limits(tmp_path) == [LIMITS]


@needs_avx2
@pytest.mark.parametrize("run", PORTABLE_BITS["2.15.0"])
def test_portable_bits_are_those_of_every_x86_machine(started, tmp_path, run):
    """On a machine with AVX-512, too: a failure there says that `LIMITS` lacks a limit."""
    version = torch.__version__.partition("+")[0]
    if version not in PORTABLE_BITS:
        pytest.skip(f"torch {version} may take its sums in another order")
    arguments = [f"run={run}", "scale=smoke", "steps=4", "measure.every=2", "tracker=none", "device=cpu"]
    code, said = started("train.py", *arguments)
    assert code == 0, said
    (file,) = tmp_path.glob("runs/*/metrics.csv")
    found = hashlib.md5(file.read_bytes()).hexdigest()
    expected = f"{run}: other bits, {found}; if tests/test_golden.py fails too, the code has changed the numbers"
    assert found == PORTABLE_BITS[version][run], expected
