"""The formats for other tools: each a literal output, and hostile strings through its parser."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import timedelta
from xml.etree import ElementTree

import pytest
from report_samples import (
    HOSTILE,
    NOW,
    a_report,
    a_row,
    hostile_report,
    no_capture,
)

from archiver.reporting import as_sarif
from archiver.reporting.formats import FORMATS
from archiver.reporting.report import ReportData

PROBLEM = {
    **{"path": "events/a,b.md", "line": 3, "position": 2, "name": "bad-date"},
    **{"level": "warning", "message": "2016-11-31 is no date: write 100% of it as 2016-11-30"},
}
CHANGE = {
    **{"changed_at": "2026-11-22T00:00:00Z", "from_verdict": "failing", "to_verdict": "dead"},
    **{"reason": "alive-elsewhere", "url": "https://harbour.example/?a=1&b=2"},
}


def a_project() -> ReportData:
    rows = [
        no_capture("unrecoverable", verdict="dead", reason=None, link_id=1),
        a_row(verdict="blocked", reason=None, link_id=2, line=20, source_title="A, B: C"),
        a_row(verdict="ok", link_id=3, line=30),
        no_capture(
            verdict=None,
            link_id=None,
            reason=None,
            verdict_since=None,
            cited_url="see <there>",
            problem="not-a-url",
            line=40,
        ),
    ]
    return a_report(
        rows,
        problems=lambda: [PROBLEM],
        changes=lambda: [CHANGE],
        changes_since=NOW - timedelta(days=7),
        events_paths=["events"],
        version="1.2.3",
    )


def made(format_name: str, data: ReportData) -> str:
    return "".join(FORMATS[format_name].render(data))


def test_github_annotations_stand_at_file_and_line():
    assert made("github", a_project()) == (
        "::error file=events/2016-11-30--lighthouse-relit.md,line=12,"
        "title=dead%3A The old lighthouse shines again::dead: since 2026-03-01 (9 months), last"
        " seen alive by us on 2026-11-20. https://harbour.example/news/lighthouse Next: No"
        " archive we asked has it: find where the document is now, or another source, and"
        " replace the url.\n"
        "::notice file=events/2016-11-30--lighthouse-relit.md,line=20,"
        "title=blocked%3A A%2C B%3A C::blocked: since 2026-03-01 (9 months), last seen alive by"
        " us on 2026-11-20. https://harbour.example/news/lighthouse Next: We are refused: open it"
        " in a browser, then say what you saw, alive or gone: archiver mark"
        " https://harbour.example/news/lighthouse alive\n"
        "::warning file=events/a%2Cb.md,line=3,title=bad-date::"
        "2016-11-31 is no date: write 100%25 of it as 2016-11-30\n"
    )


def test_junit_has_a_case_per_citation_and_counts_that_agree():
    suite = ElementTree.fromstring(made("junit", a_project()))[0]
    assert suite.attrib == {
        "name": "archiver",
        **{"tests": "4", "failures": "1", "errors": "1", "skipped": "1"},
        "timestamp": "2026-11-24T15:00:00",
    }
    cases = list(suite)
    outcomes = [(case.attrib["line"], [child.tag for child in case]) for case in cases]
    assert outcomes == [("12", ["failure"]), ("20", ["skipped"]), ("30", []), ("40", ["error"])]
    assert cases[0].attrib["file"] == "events/2016-11-30--lighthouse-relit.md"
    assert cases[3].attrib["name"] == "see <there>"
    assert cases[3][0].attrib["message"] == "not a url"


def test_sarif_has_rules_levels_places_and_stable_fingerprints():
    log = json.loads(made("sarif", a_project()))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    found = [
        (
            result["ruleId"],
            result["level"],
            result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
            result["locations"][0]["physicalLocation"]["region"]["startLine"],
        )
        for result in run["results"]
    ]
    assert found == [
        ("dead", "error", "events/2016-11-30--lighthouse-relit.md", 12),
        ("blocked", "note", "events/2016-11-30--lighthouse-relit.md", 20),
        ("bad-date", "warning", "events/a%2Cb.md", 3),
    ]
    first, second = (result["partialFingerprints"] for result in run["results"][:2])
    assert first == second
    assert first["primaryLocationLineHash"] == first["citedUrl/v1"][:16] + ":1"
    driver = run["tool"]["driver"]
    assert (driver["name"], driver["version"]) == ("archiver", "1.2.3")
    assert {rule["id"] for rule in driver["rules"]} == {"dead", "blocked", "bad-date"}
    assert run["invocations"] == [{"executionSuccessful": True}]


def test_results_that_are_alike_in_one_file_are_an_alert_each():
    twice = {"path": "events/many.json", "name": "missing-date", "level": "note", "message": "?"}
    problems = [{**twice, "line": line, "position": 1} for line in (4, 9)]
    other = {**problems[0], "path": "events/other.json"}
    dead = [a_row(verdict="dead", reason="http-404", line=line) for line in (12, 20)]
    data = a_report(dead, problems=lambda: iter([*problems, other]))
    (run,) = json.loads(made("sarif", data))["runs"]
    prints = [result["partialFingerprints"] for result in run["results"]]
    ends = [each["primaryLocationLineHash"].partition(":")[2] for each in prints]
    assert ends == ["1", "2", "1", "2", "1"]


def test_sarif_that_was_cut_says_so(monkeypatch):
    monkeypatch.setattr(as_sarif, "MOST_RESULTS", 2)
    (run,) = json.loads(made("sarif", a_project()))["runs"]
    assert len(run["results"]) == 2
    (notification,) = run["invocations"][0]["toolExecutionNotifications"]
    assert notification["message"]["text"].startswith("1 more results were left out")


def test_atom_has_an_entry_per_change_with_an_id_that_stays():
    space = "{http://www.w3.org/2005/Atom}"
    feed = ElementTree.fromstring(made("atom", a_project()))
    (entry,) = feed.findall(f"{space}entry")
    assert entry.findtext(f"{space}title") == "dead: https://harbour.example/?a=1&b=2"
    assert entry.findtext(f"{space}updated") == "2026-11-22T00:00:00Z"
    link = entry.find(f"{space}link")
    assert link is not None
    assert link.attrib["href"] == "https://harbour.example/?a=1&b=2"
    assert str(entry.findtext(f"{space}summary")).startswith("2026-11-22: failing → dead (")
    # Written out, because readers of the feed would see every entry again if it ever changed.
    assert entry.findtext(f"{space}id") == "urn:uuid:e8264ead-9652-5b76-ad97-20aaf5471948"
    for name in ("id", "title", "updated"):
        assert feed.findtext(f"{space}{name}")


def test_every_entry_of_the_feed_has_its_content_as_rfc_4287_demands():
    changes = a_project().changes
    odd = [{**dict(row), "url": "javascript:alert(1)"} for row in changes()]
    data = a_report([a_row()], changes=lambda: [*changes(), *odd])
    space = "{http://www.w3.org/2005/Atom}"
    entries = ElementTree.fromstring(made("atom", data)).findall(f"{space}entry")
    assert len(entries) == 2 * len(odd) > 0
    for entry in entries:
        assert "failing → dead" in str(entry.findtext(f"{space}content"))


@pytest.mark.parametrize(
    ("verdicts", "text", "colour"),
    [
        ([], "unknown", "#57606a"),
        (["blocked"], "unknown", "#57606a"),
        (["ok", "moved"], "100% alive", "#1a7f37"),
        (["ok"] * 999 + ["dead"], "99% alive", "#1a7f37"),
        (["ok"] * 9 + ["dead"], "90% alive", "#8a5a00"),
        (["ok", "dead"], "50% alive", "#c01c28"),
    ],
)
def test_the_badge_says_the_share_alive_of_what_could_be_judged(verdicts, text, colour):
    rows = [a_row(verdict=verdict, link_id=number) for number, verdict in enumerate(verdicts)]
    picture = ElementTree.fromstring(made("badge", a_report(rows)))
    assert picture.attrib["aria-label"] == f"sources: {text}"
    fills = [node.attrib.get("fill") for node in picture.iter()]
    assert colour in fills
    words = [node.text for node in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert words == ["sources", text]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("format_name", ["junit", "atom", "badge"])
def test_hostile_text_makes_no_element_in_xml(format_name, text):
    def elements(written: str) -> Counter[str]:
        found: Counter[str] = Counter()
        for node in ElementTree.fromstring(written).iter():
            found[node.tag] += 1
            found.update(f"{node.tag}@{name}" for name in node.attrib)
        return found

    written = made(format_name, hostile_report(text))
    assert elements(written) == elements(made(format_name, hostile_report("harmless")))
    assert written.encode("utf-8")


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_forges_no_annotation(text):
    lines = made("github", hostile_report(text)).splitlines()
    assert len(lines) == 6
    shape = r"::(error|warning|notice) file=[^:,]*,line=\d+,title=[^:,]*::.*"
    assert all(re.fullmatch(shape, line) for line in lines)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_stays_text_in_sarif(text):
    (run,) = json.loads(made("sarif", hostile_report(text)))["runs"]
    assert len(run["results"]) == 6
    assert all(set(result) == set(run["results"][0]) for result in run["results"])
    for result in run["results"]:
        assert all(character.isprintable() for character in result["message"]["text"])
        uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        assert re.fullmatch(r"[A-Za-z0-9._~/%\-]*", uri)
