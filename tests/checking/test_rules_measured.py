"""The goals of the soft-404 rules on the shared page set, where that is present."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from archiver.checking.policy import Policy
from archiver.model import Strength


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "soft404.py"
    spec = importlib.util.spec_from_file_location("soft404_benchmark", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    if not (module.default_folder() / "manifest.csv").exists():
        pytest.skip("the shared page set is absent")
    return module


@pytest.mark.parametrize(("with_probe", "recall"), [(False, 0.7), (True, 0.9)])
def test_precision_and_recall_reach_their_goals(benchmark, with_probe, recall):
    pages = list(benchmark.load(benchmark.default_folder()))
    findings = [benchmark.look(one, Policy(), with_probe=with_probe)[0] for one in pages]
    accused = [benchmark.is_accused(f, one) for f, one in zip(findings, pages, strict=True)]
    strong = [finding.strength is Strength.STRONG for finding in findings]
    gone = sum(one.is_gone for one in pages)
    for hits in (accused, strong):
        right = sum(hit and one.is_gone for hit, one in zip(hits, pages, strict=True))
        assert right / sum(hits) >= 0.99
        assert right / gone >= recall


def test_without_a_page_set_nothing_is_measured(benchmark, tmp_path, capsys):
    assert benchmark.main([str(tmp_path)]) == 0
    assert "nothing measured" in capsys.readouterr().out
