"""The report as metrics for Prometheus: figures from the database, in the text format 0.0.4.

Nothing is counted in the process, so figures survive restarts and are the same from `/metrics`,
and from `archiver report -f prometheus` for the textfile collector of node_exporter. Names follow
prometheus.io's conventions; there is no label for a link, a host or a page (reference operations
§4): every label has a handful of values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from archiver.model import ArchiveState, Verdict
from archiver.reporting.operations import Operations
from archiver.reporting.report import ReportData
from archiver.text import shown

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

# The archives that are named; all others, whose names come from an aggregator, are one label.
_ARCHIVES = {"web.archive.org": "wayback"}
# Where we know a capture from, when we made it ourselves.
_OURS = frozenset({"anonymous", "spn2"})


def render(data: ReportData) -> Iterator[str]:
    """Give the metrics; those of the service only where the report knows of a service."""
    operations = data.operations() if data.operations is not None else None
    yield exposition(data.totals, operations, data.version)


def exposition(totals: Mapping[str, Any], operations: Operations | None, version: str) -> str:
    """Write metrics from `citations links verdicts archive problems` and the service's figures."""
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.metrics_core import InfoMetricFamily
    from prometheus_client.registry import Collector

    class Figures(Collector):
        """Hands the finished families over; lives as long as one answer."""

        def collect(self) -> Iterable[Metric]:
            yield InfoMetricFamily("archiver_build", "The program.", {"version": shown(version)})
            yield from _of_sources(totals)
            if operations is not None:
                yield from _of_service(operations)
                yield from _of_history(operations)
                yield from _of_archiving(operations)

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Figures())
    return generate_latest(registry).decode("utf-8")


def _of_sources(totals: Mapping[str, Any]) -> Iterator[Metric]:
    verdicts, archive = totals["verdicts"], totals["archive"]
    yield _gauge("archiver_citations", "Current citations in the event files.", totals["citations"])
    yield _gauge(
        "archiver_links", "Cited links by what is believed of them.", verdicts, ["verdict"]
    )
    yield _gauge(
        "archiver_links_by_archive_state", "Cited links by archive state.", archive, ["state"]
    )
    yield _gauge(
        "archiver_links_archived",
        "Cited links with a capture that was played back.",
        totals["archive"].get(ArchiveState.ARCHIVED.value, 0),
    )
    yield _gauge("archiver_problems", "Problems found in the event files.", totals["problems"])


def _of_service(figures: Operations) -> Iterator[Metric]:
    yield _gauge("archiver_daemon_running", "1 while a daemon works.", int(figures.running))
    yield _gauge("archiver_ready", "1 while nothing stands against readiness.", int(figures.ready))
    if figures.online is not None:
        yield _gauge("archiver_online", "1 while this machine has a way out.", int(figures.online))
    yield _gauge("archiver_due_links", "Links whose next look is due.", figures.due)
    if figures.oldest_due is not None:
        yield _gauge(
            "archiver_oldest_due_timestamp_seconds",
            "When the link that waits longest for its look was, or will be, due.",
            figures.oldest_due.timestamp(),
        )
    yield _gauge(
        "archiver_requests", "Requests of people that are not done.", figures.requests, ["kind"]
    )
    intervals = {duty.name: duty.interval for duty in figures.duties}
    moved = {each.name: each.moved_at.timestamp() for each in figures.duties if each.moved_at}
    yield _gauge("archiver_duty_interval_seconds", "How often a duty is done.", intervals, ["duty"])
    yield _gauge(
        "archiver_duty_last_progress_timestamp_seconds",
        "When a duty last got forward, or ended well.",
        moved,
        ["duty"],
    )
    yield _gauge(
        "archiver_database_bytes",
        "Size of the database and its write-ahead log.",
        figures.database_bytes,
    )


def _of_history(figures: Operations) -> Iterator[Metric]:
    yield _counter("archiver_checks", "Looks at links ever recorded.", figures.looks)
    # Every pair from the start: Prometheus sees an increase only of a series it knew before.
    words = [verdict.value for verdict in Verdict]
    changes = {(was, now): 0 for was in words for now in words if was != now}
    changes |= {(was, now): count for was, now, count in figures.changes}
    yield _counter("archiver_changes", "Changes of what is believed.", changes, ["was", "now"])
    ended = {run.outcome: run.ended_at.timestamp() for run in figures.runs}
    yield _gauge(
        "archiver_last_run_timestamp_seconds",
        "When a run of looks or a whole pass last ended so.",
        ended,
        ["outcome"],
    )
    if figures.runs:
        yield _gauge(
            "archiver_last_run_duration_seconds",
            "How long the newest of these runs took.",
            max(figures.runs, key=lambda run: run.ended_at).seconds,
        )


def _of_archiving(figures: Operations) -> Iterator[Metric]:
    attempts = {(archive, outcome): count for archive, outcome, count in figures.attempts}
    yield _counter(
        "archiver_attempts", "Submissions to archives.", attempts, ["archive", "outcome"]
    )
    # A gauge: captures nobody needs are pruned.
    yield _gauge(
        "archiver_captures",
        "Captures known of links.",
        _pooled(figures.captures),
        ["archive", "made_by"],
    )
    jobs = {"lookup": figures.waiting_lookups, "submission": figures.waiting_submissions}
    yield _gauge(
        "archiver_archive_backlog_links", "Links that wait for an archive.", jobs, ["kind"]
    )
    if figures.waiting_seconds is not None:
        yield _gauge(
            "archiver_archive_backlog_seconds",
            "How long that takes at the present pace and budgets.",
            figures.waiting_seconds,
        )
    yield _gauge(
        "archiver_submissions_left",
        "Submissions that may still be made today.",
        figures.submissions_left,
        ["archive"],
    )
    pauses = figures.pauses.values()
    yield _gauge("archiver_archive_pauses", "Pauses the archive asked for.", len(pauses))
    yield _gauge(
        "archiver_archive_refuses",
        "1 while the archive refuses us until a person acts, such as for its keys.",
        int(None in pauses),
    )


def _pooled(captures: Sequence[tuple[str, str, int]]) -> dict[tuple[str, str], int]:
    pooled: dict[tuple[str, str], int] = {}
    for archive, source, count in captures:
        labels = (_ARCHIVES.get(archive, "other"), "us" if source in _OURS else "others")
        pooled[labels] = pooled.get(labels, 0) + count
    return pooled


# One figure, or one for each value of a label, or of two labels.
Values = float | Mapping[str, float] | Mapping[tuple[str, str], float]


def _gauge(name: str, text: str, values: Values, labels: Sequence[str] = ()) -> Metric:
    from prometheus_client.metrics_core import GaugeMetricFamily

    return _filled(GaugeMetricFamily(name, text, labels=labels), values)


def _counter(name: str, text: str, values: Values, labels: Sequence[str] = ()) -> Metric:
    """Return a counter; the format adds `_total` to its name."""
    from prometheus_client.metrics_core import CounterMetricFamily

    return _filled(CounterMetricFamily(name, text, labels=labels), values)


def _filled(family: Any, values: Values) -> Metric:
    for key, value in values.items() if isinstance(values, Mapping) else [((), values)]:
        family.add_metric([key] if isinstance(key, str) else list(key), value)
    return family  # type: ignore[no-any-return]
