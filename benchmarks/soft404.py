"""Precision and recall of the soft-404 rules, per rule, with and without a sibling probe.

    python benchmarks/soft404.py [FOLDER] [--wrong]

FOLDER (default `../shared/pages`, or `$ARCHIVER_SHARED/pages`) holds pages and a `manifest.csv`
with file, class, final_url, requested_url, status and cited_title; gone = `notfound` and
`parked`, not gone = `article` and `blocked`. The probe is a perfect one: beside a not-found page
the sibling is that page again, beside an article it is a 404, beside a wall it is the wall.

*accused*: a finding of failing on an answer with success; *strong*: two independent signs. The
plain baseline of reference linkrot §3.4 has precision 0.986 and recall 0.54 on these pages.
"""

from __future__ import annotations

import csv
import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from archiver.checking.context import Context, SiblingFacts
from archiver.checking.page import read_page
from archiver.checking.policy import Policy
from archiver.checking.rules import judge, wants_probe
from archiver.model import Finding, Hop, Observation, Strength, Verdict

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BODY_LIMIT = 128 * 1024
GONE = frozenset({"notfound", "parked"})


@dataclass(frozen=True)
class Page:
    """One page of the set, and what it really is."""

    file: str
    kind: str
    observation: Observation
    cited_title: str

    @property
    def is_gone(self) -> bool:
        return self.kind in GONE

    @property
    def is_success(self) -> bool:
        return 200 <= (self.observation.status or 0) < 300


def default_folder() -> Path:
    """Return where the page set lies when nothing else is said."""
    shared = os.environ.get("ARCHIVER_SHARED")
    base = Path(shared) if shared else Path(__file__).resolve().parents[1] / ".." / "shared"
    return base / "pages"


def load(folder: Path) -> Iterator[Page]:
    """Read the set as looks, exactly as the fetcher would have made them."""
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as manifest:
        for row in csv.DictReader(manifest):
            body = (folder / row["file"]).read_bytes()
            asked, final = row["requested_url"], row["final_url"]
            hops = (Hop(302, asked),) if asked != final else ()
            page = read_page(body, None, truncated=len(body) >= BODY_LIMIT, url=final)
            seen = Observation(
                asked, NOW, int(row["status"]), final_url=final, redirects=hops, page=page
            )
            yield Page(row["file"], row["class"], seen, row["cited_title"])


def probe(page: Page) -> SiblingFacts:
    """Return what a perfect probe of a random address beside this page answers."""
    url = page.observation.url.rstrip("/").rpartition("/")[0] + "/qhxkzvwtbnmplrjdcfgsaeiou"
    if page.kind == "article":
        return SiblingFacts(url, 404, url)
    twin = SiblingFacts.of(page.observation)
    moved = bool(page.observation.redirects)
    return replace(twin, url=url, final_url=twin.final_url if moved else url)


def look(page: Page, policy: Policy, *, with_probe: bool) -> tuple[Finding, bool]:
    """Return the finding, and whether a probe was sent for it."""
    context = Context(cited_titles=(page.cited_title,) if page.cited_title else ())
    if with_probe and wants_probe(page.observation, context, policy):
        context = replace(context, sibling=probe(page))
        return judge(page.observation, context, policy), True
    return judge(page.observation, context, policy), False


def is_accused(finding: Finding, page: Page) -> bool:
    """Say whether a page that answered with success is called gone."""
    is_maintained = finding.reason in ("maintenance", "app-error")
    return finding.verdict is Verdict.FAILING and page.is_success and not is_maintained


def _score(name: str, hits: list[bool], pages: list[Page]) -> str:
    right = sum(hit and page.is_gone for hit, page in zip(hits, pages, strict=True))
    wrong = sum(hit and not page.is_gone for hit, page in zip(hits, pages, strict=True))
    gone = sum(page.is_gone for page in pages)
    precision = right / (right + wrong) if right + wrong else 1.0
    recall = right / gone if gone else 0.0
    return f"{name:34} {precision:9.3f} {recall:7.3f} {right:6} {wrong:6}"


def main(arguments: list[str]) -> int:
    """Print the table."""
    show_wrong = "--wrong" in arguments
    folders = [Path(one) for one in arguments if not one.startswith("--")]
    folder = folders[0] if folders else default_folder()
    if not (folder / "manifest.csv").exists():
        print(f"No page set at {folder}: nothing measured.")
        return 0
    policy = Policy()
    pages = list(load(folder))
    print(f"{len(pages)} pages, {sum(page.is_gone for page in pages)} of them gone")
    print(f"{'':34} {'precision':>9} {'recall':>7} {'right':>6} {'wrong':>6}")
    print(f"{'plain baseline (linkrot 3.4)':34} {0.986:9.3f} {0.54:7.3f}")
    for with_probe in (False, True):
        results = [look(page, policy, with_probe=with_probe) for page in pages]
        findings = [finding for finding, _ in results]
        label = "with probe" if with_probe else "without probe"
        accused = [is_accused(finding, page) for finding, page in zip(findings, pages, strict=True)]
        strong = [finding.strength is Strength.STRONG for finding in findings]
        print(_score(f"accused, {label}", accused, pages))
        print(_score(f"strong, {label}", strong, pages))
        if with_probe:
            sent = Counter(
                page.kind for page, (_, probed) in zip(pages, results, strict=True) if probed
            )
            print("probes sent:", ", ".join(f"{kind} {count}" for kind, count in sent.items()))
        _print_rules(findings, pages)
        if show_wrong:
            _print_wrong(findings, pages)
    return 0


def _print_rules(findings: list[Finding], pages: list[Page]) -> None:
    reasons: Counter[tuple[str, str]] = Counter()
    for finding, page in zip(findings, pages, strict=True):
        if is_accused(finding, page):
            reasons[finding.reason, "right" if page.is_gone else "wrong"] += 1
    for reason in sorted({reason for reason, _ in reasons}):
        print(
            f"    {reason:30} right {reasons[reason, 'right']:4} wrong {reasons[reason, 'wrong']:3}"
        )


def _print_wrong(findings: list[Finding], pages: list[Page]) -> None:
    for finding, page in zip(findings, pages, strict=True):
        accused = is_accused(finding, page)
        refused = page.kind == "blocked" and finding.verdict is not Verdict.BLOCKED
        if accused != page.is_gone or refused:
            facts = page.observation.page
            title = facts.title if facts else ""
            print(
                f"  {page.file} {page.kind:8} -> {finding.verdict} {finding.reason} {finding.signs}"
                f" | {title[:60]!r} {facts.headings if facts else ''!r}"
                f" cited {page.cited_title[:50]!r}"
            )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
