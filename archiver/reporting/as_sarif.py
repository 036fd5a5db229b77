"""The report as SARIF 2.1.0, for code scanning.

A rule is a reason or the name of a problem; the cited URL is the fingerprint, so that a result
stays the same when lines move. GitHub takes 5,000 results of a run: more are cut, and it says so.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any
from urllib.parse import quote

from archiver.model import Level, Row, Verdict
from archiver.reasons import in_words
from archiver.reporting.report import ReportData
from archiver.reporting.view import bad_rows, finding_text, problems_by_level, row_view
from archiver.text import shown

MOST_RESULTS = 5_000
_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_LEVELS: dict[str, str] = {
    Verdict.DEAD: "error",
    Verdict.FAILING: "warning",
    Verdict.BLOCKED: "note",
    Level.ERROR: "error",
    Level.WARNING: "warning",
    Level.NOTE: "note",
}


def render(data: ReportData) -> Iterator[str]:
    """Stream one SARIF log with one run; rules are listed after the results that use them."""
    rules: dict[str, str] = {}
    results = chain(_findings(data, rules), _problems(data, rules))
    yield f'{{"$schema": "{_SCHEMA}",\n"version": "2.1.0",\n"runs": [{{"results": ['
    separator = "\n"
    for result in _numbered(islice(results, MOST_RESULTS)):
        yield separator + json.dumps(result)
        separator = ",\n"
    left = sum(1 for _ in results)
    yield f'\n],\n"invocations": [{json.dumps(_invocation(left))}],\n'
    driver = {
        "name": "archiver",
        "version": shown(data.version) or "0",
        "rules": [
            {"id": name, "shortDescription": {"text": text}} for name, text in sorted(rules.items())
        ],
    }
    yield f'"tool": {{"driver": {json.dumps(driver)}}}}}]}}\n'


def _numbered(results: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Number what is alike in one file: GitHub shows results of one fingerprint as one alert."""
    seen: Counter[tuple[str, str, str]] = Counter()
    for result in results:
        prints = result["partialFingerprints"]
        (location,) = result["locations"]
        uri = location["physicalLocation"]["artifactLocation"]["uri"]
        alike = (result["ruleId"], uri, prints["citedUrl/v1"])
        seen[alike] += 1
        # The only one GitHub reads.
        prints["primaryLocationLineHash"] = f"{prints['citedUrl/v1'][:16]}:{seen[alike]}"
        yield result


def _invocation(left: int) -> dict[str, Any]:
    invocation: dict[str, Any] = {"executionSuccessful": True}
    if left:
        text = f"{left} more results were left out: only {MOST_RESULTS} are taken of one run."
        notification = {"level": "warning", "message": {"text": text}}
        invocation["toolExecutionNotifications"] = [notification]
    return invocation


def _findings(data: ReportData, rules: dict[str, str]) -> Iterator[dict[str, Any]]:
    for row in bad_rows(data.rows()):
        rule = shown(row["reason"] or row["verdict"])
        rules.setdefault(rule, in_words(row["reason"]) if row["reason"] else rule)
        text = finding_text(row_view(row, data.generated_at))
        yield _result(rule, _LEVELS[row["verdict"]], text, row, str(row["cited_url"]))


def _problems(data: ReportData, rules: dict[str, str]) -> Iterator[dict[str, Any]]:
    for row in problems_by_level(data):
        rule = shown(row["name"])
        rules.setdefault(rule, rule.replace("-", " "))
        key = f"{row['path']} {row['position']}"
        yield _result(rule, _LEVELS.get(row["level"], "note"), shown(row["message"]), row, key)


def _result(rule: str, level: str, text: str, place: Row, key: str) -> dict[str, Any]:
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    location = {
        "artifactLocation": {"uri": quote(shown(place["path"]))},
        "region": {"startLine": max(1, place["line"])},
    }
    return {
        "ruleId": rule,
        "level": level,
        "message": {"text": text},
        "locations": [{"physicalLocation": location}],
        "partialFingerprints": {"citedUrl/v1": digest},
    }
