"""The offline check of event files: what a maintainer should mend before anything is fetched."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from archiver.events.read import ReadFile, cross_file_problems
from archiver.model import Event, Level, Problem
from archiver.records import record
from archiver.text import shown

MAX_SHOWN_PATH = 4096


@record
class LintReport:
    """How much was read, and every problem found, by file and line.

    `links` counts distinct http(s) URLs.
    """

    files: int
    citations: int
    links: int
    problems: tuple[Problem, ...]

    def count(self, level: Level) -> int:
        """Return how many problems are of this level."""
        return sum(problem.level is level for problem in self.problems)

    @property
    def exit_code(self) -> int:
        """Return 1 when there is an error-level problem, else 0 (contract §1)."""
        return 1 if self.count(Level.ERROR) else 0


def lint(files: Iterable[ReadFile]) -> LintReport:
    """Judge files as a whole: each by itself, then event ids across all of them."""
    count = citations = 0
    links: set[str] = set()
    events: list[Event] = []
    problems: list[Problem] = []
    for file in files:
        count += 1
        citations += len(file.citations)
        links.update(citation.link for citation in file.citations if citation.link)
        events.extend(file.events)
        problems.extend(file.problems)
    problems.extend(cross_file_problems(events))
    problems.sort(key=lambda problem: (problem.path, problem.line, problem.position or 0))
    return LintReport(count, citations, len(links), tuple(problems))


def as_json(report: LintReport) -> dict[str, Any]:
    """Return the report as contract §4 has it."""
    return {
        "schema": 1,
        "files": report.files,
        "citations": report.citations,
        "links": report.links,
        "problems": [
            {
                "path": shown(problem.path, MAX_SHOWN_PATH),
                "line": problem.line,
                "position": problem.position,
                "name": problem.name,
                "level": problem.level.value,
                "message": shown(problem.message),
            }
            for problem in report.problems
        ],
    }


def as_text(report: LintReport) -> str:
    """Return `file:line: level name message` lines and one line of totals."""
    lines = [
        f"{shown(problem.path, MAX_SHOWN_PATH)}:{problem.line}: {problem.level.value} "
        f"{problem.name} {shown(problem.message)}"
        for problem in report.problems
    ]
    read = (("file", report.files), ("citation", report.citations), ("link", report.links))
    found = ((level.value, report.count(level)) for level in Level)
    return "\n".join([*lines, f"{_counted(read)}: {_counted(found)}"])


def _counted(numbers: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{count:,} {word}{'' if count == 1 else 's'}" for word, count in numbers)
