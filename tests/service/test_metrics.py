"""Metrics of a real database, read by Prometheus' own parser; and the alerts that name them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from archiver import __version__
from archiver.archiving.breakers import Breaker
from archiver.clock import RehearsalClock
from archiver.config import load_settings
from archiver.model import ArchiveState, Capture, Verdict
from archiver.reporting.as_prometheus import exposition
from archiver.service.desk import Desk
from archiver.service.diary import DUTIES, Diary
from archiver.service.metrics import metrics
from archiver.service.report import render, write_reports
from archiver.store import Progress, Store
from tests.store.making import look, scanned

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[2]
ALERTS = ROOT / "config" / "alerts.example.yml"
URLS = [f"https://host{number}.example/a/page-{number}" for number in range(6)]

# Every label a metric may have: none for a link, a host or a page.
LABELS = {
    *("version", "verdict", "state", "kind", "duty", "was", "now", "outcome"),
    *("archive", "made_by"),
}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    loaded = load_settings(None, {"ARCHIVER_REPORT__FORMATS": "prometheus"}, tmp_path)
    store = Store.open(loaded.database_path)
    yield Desk(loaded, store, clock=RehearsalClock(NOW))
    store.close()


@pytest.fixture
def lived(desk: Desk) -> Desk:
    """A database with some life in it: looks, a death, captures, attempts, runs, a pause."""
    store = desk.store
    store.citations.replace_files([scanned(*URLS)], NOW)
    ids = [row["id"] for row in store.queries.due_links(NOW + timedelta(days=1))]
    run = store.journal.begin("check", NOW - timedelta(minutes=5))
    links = store.looks.known(ids)
    store.looks.record([look(link, NOW, Verdict.OK, "ok") for link in links[:3]], run)
    store.looks.record([look(links[3], NOW, Verdict.FAILING, "http-404")], run)
    store.looks.record([look(store.looks.known([ids[3]])[0], NOW, Verdict.DEAD, "http-404")], run)
    store.journal.end(run, NOW - timedelta(minutes=2), "done")
    for link, archive in zip(
        ids, ["web.archive.org", "web.archive.org", "a.example"], strict=False
    ):
        source = "anonymous" if link == ids[0] else "cdx"
        url = f"https://{archive}/web/20200101000000/https://host.example/{link}"
        capture = Capture(NOW, url, "https://host.example/", 200, archive=archive, source=source)
        store.archive.add_captures(link, [capture], NOW)
    pending = Progress(ArchiveState.PENDING, None, "{}")
    store.archive.begin_attempt(ids[4], URLS[4], "anonymous", NOW, pending)
    store.journal.ask(ids[5], "check", NOW)
    store.journal.set_state("online", {"online": True, "since": "2026-11-24T10:00:00Z"})
    refused = Breaker("keys-spn2", None, 1, "keys-refused", (), "mark")
    store.journal.set_state("breakers", {"keys-spn2": refused.to_json()})
    diary = Diary(store.journal, desk.clock, desk.progress)
    with diary.duty("check"):
        pass
    return desk


def families(text: str) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(text)}


def samples(text: str) -> dict[tuple[Any, ...], float]:
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_figures_are_those_of_the_database(lived):
    found = samples(metrics(lived))
    expected = {
        ("archiver_build_info", ("version", __version__)): 1,
        ("archiver_citations",): 6,
        ("archiver_links", ("verdict", "ok")): 3,
        ("archiver_links", ("verdict", "dead")): 1,
        ("archiver_links", ("verdict", "unchecked")): 2,
        ("archiver_links_by_archive_state", ("state", "pending")): 1,
        ("archiver_links_archived",): 0,
        ("archiver_checks_total",): 5,
        ("archiver_changes_total", ("now", "ok"), ("was", "unchecked")): 3,
        ("archiver_changes_total", ("now", "dead"), ("was", "failing")): 1,
        ("archiver_changes_total", ("now", "ok"), ("was", "dead")): 0,
        ("archiver_captures", ("archive", "wayback"), ("made_by", "us")): 1,
        ("archiver_captures", ("archive", "wayback"), ("made_by", "others")): 1,
        ("archiver_captures", ("archive", "other"), ("made_by", "others")): 1,
        ("archiver_attempts_total", ("archive", "anonymous"), ("outcome", "open")): 1,
        ("archiver_submissions_left", ("archive", "anonymous")): 49,
        ("archiver_requests", ("kind", "check")): 1,
        ("archiver_online",): 1,
        ("archiver_ready",): 1,
        ("archiver_daemon_running",): 0,
        ("archiver_archive_refuses",): 1,
        ("archiver_last_run_timestamp_seconds", ("outcome", "done")): NOW.timestamp() - 120,
        ("archiver_last_run_duration_seconds",): 180,
        ("archiver_duty_interval_seconds", ("duty", "check")): 600,
    }
    assert {key: found.get(key) for key in expected} == expected
    assert found[("archiver_database_bytes",)] >= lived.store.database.path.stat().st_size
    moved = found[("archiver_duty_last_progress_timestamp_seconds", ("duty", "check"))]
    assert 0 <= moved - NOW.timestamp() < 60


def test_a_young_database_has_metrics_too(desk):
    found = samples(metrics(desk))
    assert found[("archiver_citations",)] == 0
    assert found[("archiver_checks_total",)] == 0
    assert found[("archiver_ready",)] == 0
    assert ("archiver_online",) not in found
    intervals = {key[1] for key in found if key[0] == "archiver_duty_interval_seconds"}
    assert intervals == {("duty", name) for name in DUTIES}


def test_every_metric_has_a_help_text_and_a_name_after_the_conventions(lived):
    for name, family in families(metrics(lived)).items():
        assert family.documentation.endswith("."), name
        assert family.type in ("gauge", "counter")
        assert re.fullmatch(r"archiver_[a-z_]+", name)
        counted = {sample.name for sample in family.samples}
        assert counted <= {f"{name}_total" if family.type == "counter" else name}


def test_no_label_grows_with_the_links(lived):
    text = metrics(lived)
    used = {
        label for family in families(text).values() for s in family.samples for label in s.labels
    }
    assert used <= LABELS
    assert "host" not in text
    assert len(text) < 20_000


def test_pruning_lowers_no_counter(lived):
    def counters() -> dict[tuple[Any, ...], float]:
        return {key: v for key, v in samples(metrics(lived)).items() if key[0].endswith("_total")}

    before = counters()
    lived.store.database.execute("DELETE FROM looks")
    lived.store.citations.prune_uncited(NOW + timedelta(days=900))
    assert counters() == before


def test_the_report_format_writes_the_same_figures(lived, tmp_path):
    at_once = samples("".join(render(lived, "prometheus")))
    (path,) = write_reports(lived)
    assert path == tmp_path / "report" / "report.prom"
    for found in (samples(path.read_text()), samples(metrics(lived))):
        assert found.keys() == at_once.keys()
        stable = [key for key in found if not key[0].endswith(("bytes", "_seconds"))]
        assert [found[key] for key in stable] == [at_once[key] for key in stable]


@pytest.mark.parametrize("version", ['1"} 1\nevil 2', "a\\", "\ud800", "\u2028", "x" * 9000])
def test_no_text_forges_a_metric(version):
    totals = {"citations": 1, "problems": 0, "verdicts": {"ok": 1}, "archive": {"none": 1}}
    text = exposition(totals, None, version)
    text.encode()
    assert set(families(text)) == set(families(exposition(totals, None, "1.0")))


# -- the example of alerts ------------------------------------------------------------------

# Words of PromQL and its functions, and the fields of a `{{ $labels.x }}`.
PROMQL = {
    *("absent", "time", "sum", "increase", "and", "or", "on", "unless", "by", "rate", "max", "min"),
    *("d", "h", "m"),
}


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_alerts_name_only_metrics_and_labels_that_exist(lived):
    known = samples(metrics(lived))
    for rule in rules():
        selectors = re.findall(r'(archiver_\w+)(?:\{(\w+)="(\w+)"\})?', rule["expr"])
        assert selectors, rule["alert"]
        for name, label, value in selectors:
            matching = [key for key in known if key[0] == name]
            assert matching, f"{rule['alert']} names {name}"
            assert not label or any((label, value) in key for key in matching), rule["alert"]
        rest = re.sub(r"archiver_\w+(\{[^}]*\})?", "", rule["expr"])
        assert set(re.findall(r"[a-z]+", rest)) <= PROMQL, rule["alert"]
        assert rest.count("(") == rest.count(")")


def test_alerts_are_complete_and_named_once():
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names)) >= 8
    for rule in rules():
        assert rule["labels"]["severity"] in ("info", "warning")
        assert rule["annotations"]["summary"]
        assert re.fullmatch(r"\d+[mhd]", rule.get("for", "1m"))
        assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
        for label in re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]):
            assert label in LABELS


@pytest.mark.parametrize("number", [0, 3, 4])
def test_an_ignored_link_is_left_out_of_every_figure_of_a_report(lived, number):
    [link] = lived.store.looks.known([number + 1])
    lived.store.looks.set_ignored(link.link_id, True)
    report = json.loads("".join(render(lived, "json")))
    totals, hosts = report["totals"], report["by_host"]
    assert (totals["links"], len(report["rows"])) == (5, 5)
    for verdict, count in totals["verdicts"].items():
        assert sum(host[verdict] for host in hosts) == count
        assert sum(year[verdict] for year in report["by_year"]) == count
    assert sum(host["links"] for host in hosts) == 5
    assert "of 5 links" in "".join(render(lived, "md"))
    scraped, written = samples(metrics(lived)), samples("".join(render(lived, "prometheus")))
    for verdict, count in totals["verdicts"].items():
        key = ("archiver_links", ("verdict", verdict))
        assert scraped[key] == written[key] == count
    assert scraped[("archiver_citations",)] == written[("archiver_citations",)] == 5
