"""A manifest records what decides a run's bits."""

import torch

from normscape.provenance import provenance


def test_the_instruction_set_and_its_limits_are_recorded(monkeypatch):
    for name in ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_CBWR"):
        monkeypatch.delenv(name, raising=False)
    hardware = provenance(torch.device("cpu"))["hardware"]
    assert hardware["instruction_set"] == torch.backends.cpu.get_cpu_capability()
    assert hardware["kernel_limits"] == {}
    assert ("avx2" in hardware["vector_extensions"]) == torch.cpu._is_avx2_supported()
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert provenance()["hardware"]["kernel_limits"] == {"ONEDNN_MAX_CPU_ISA": "AVX2"}


def test_versions_and_commit_are_recorded():
    origin = provenance()
    assert torch.__version__.startswith(origin["versions"]["torch"])
    assert set(origin) == {"commit", "command", "versions", "hardware", "written"}


def test_the_libraries_that_compute_are_recorded():
    versions = provenance()["versions"]
    assert {"blas", "mkl", "onednn"} <= set(versions)
    assert versions["onednn"] in torch.__config__.show()
