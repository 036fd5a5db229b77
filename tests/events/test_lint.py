"""`archiver events lint`: the numbers, the two formats, the exit codes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from archiver.cli.common import Application
from archiver.cli.events import events
from archiver.errors import ArchiverError
from archiver.events.find import find_files
from archiver.events.lint import LintReport, as_json, as_text, lint
from archiver.events.read import read_file
from archiver.model import Level
from tests.events.reading import INCLUDE, KEYS, read_under, shared_corpus

GOOD = "---\nid: x\nsources:\n- {url: 'https://example.org/a', title: A, date: 2016}\n---\n"
CORPUS = shared_corpus()


def linted(root: Path) -> LintReport:
    return lint(read_under(root).values())


def run(*arguments: str, cwd: Path) -> tuple[int, str]:
    """Run `archiver events lint` in a folder; return exit code and standard output."""
    here = Path.cwd()
    os.chdir(cwd)
    try:
        result = CliRunner().invoke(
            events, ["lint", *arguments], obj=Application({}), standalone_mode=False
        )
    finally:
        os.chdir(here)
    if isinstance(result.exception, ArchiverError):
        return result.exception.exit_code, result.stdout
    if result.exception is not None:
        raise result.exception
    return result.return_value, result.stdout


def test_a_faultless_folder_has_nothing_to_mend(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(GOOD)
    report = linted(tmp_path)
    assert (report.files, report.citations, report.links) == (1, 1, 1)
    assert report.problems == ()
    assert report.exit_code == 0


@pytest.mark.parametrize("path", ["nothing", "", "long-" * 60])
def test_a_path_that_does_not_exist_is_a_usage_error(tmp_path: Path, path: str) -> None:
    (tmp_path / "a.md").write_text(GOOD)
    assert run(path, cwd=tmp_path) == (2, "")


def test_links_are_counted_once_and_citations_each_time(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(GOOD)
    (tmp_path / "b.md").write_text(GOOD.replace("id: x", "id: y").replace("https", "HTTPS"))
    (tmp_path / "c.md").write_text(GOOD.replace("id: x", "id: z").replace("https:", "ftp:"))
    report = linted(tmp_path)
    assert (report.files, report.citations, report.links) == (3, 3, 1)


def test_json_is_as_the_contract_has_it(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(GOOD)
    (tmp_path / "b.md").write_text("---\nid: x\nsources:\n- title: B\n  date: 2016\n---\n")
    assert as_json(linted(tmp_path)) == {
        "schema": 1,
        "files": 2,
        "citations": 2,
        "links": 1,
        "problems": [
            {
                "path": "events/b.md",
                "line": 2,
                "position": None,
                "name": "duplicate-event-id",
                "level": "error",
                "message": "The id x is that of events/a.md:2; give it another.",
            },
            {
                "path": "events/b.md",
                "line": 4,
                "position": 1,
                "name": "missing-url",
                "level": "error",
                "message": "The source has no URL. Add the page's address as url,"
                " or remove the entry.",
            },
        ],
    }


def test_text_is_one_line_per_problem_and_one_of_totals(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(GOOD)
    (tmp_path / "b.md").write_text("Hello")
    assert as_text(linted(tmp_path)).split("\n") == [
        "events/b.md:1: note no-front-matter No front matter, so no event; if it is one,"
        " begin the file with a line of ---.",
        "2 files, 1 citation, 1 link: 0 errors, 0 warnings, 1 note",
    ]


@pytest.mark.parametrize(
    ("front_matter", "level", "code"),
    [
        ("sources:\n- title: T\n", Level.ERROR, 1),
        ("date: soon\n", Level.WARNING, 0),
        ("sources:\n- https://example.org/\n", Level.NOTE, 0),
    ],
)
def test_only_an_error_makes_the_exit_code_1(
    tmp_path: Path, front_matter: str, level: Level, code: int
) -> None:
    (tmp_path / "a.md").write_text(f"---\n{front_matter}---\n")
    report = linted(tmp_path)
    assert report.count(level) >= 1
    assert report.exit_code == code


def test_no_text_from_outside_can_forge_a_line(tmp_path: Path) -> None:
    evil = "\\n::error file=x::\\e[31m\\u202e"
    (tmp_path / "evil\n::error::\x1b[2J.md").write_text(
        f'---\nid: "{evil}"\nsources:\n- url: "{evil}"\n  date: "{evil}"\n'
        f'  archive_url: "{evil}"\n"{evil}": 1\n"{evil}": 2\n---\n'
    )
    report = linted(tmp_path)
    assert report.count(Level.ERROR) >= 2
    for line in as_text(report).split("\n"):
        assert line.isprintable()
        assert line.startswith(("events/", "1 file, "))
    for problem in as_json(report)["problems"]:
        assert problem["path"].isprintable()
        assert problem["message"].isprintable()


def test_the_command_reads_the_configured_folders(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "archiver.toml").write_text('[events]\npaths = ["one", "two"]\n')
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.md").write_text(GOOD)
    code, output = run("-f", "json", cwd=tmp_path)
    answer = json.loads(output)
    assert (code, answer["files"]) == (1, 2)
    assert [(p["path"], p["name"]) for p in answer["problems"]] == [
        ("two/a.md", "duplicate-event-id")
    ]


def test_the_command_reads_files_and_folders_from_anywhere(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "a.md").write_text(GOOD)
    (tmp_path / "there" / "b.md").write_text("Hello")
    code, output = run("../there", cwd=tmp_path / "here")
    assert code == 0
    assert output.startswith("../there/b.md:1: note no-front-matter ")
    code, output = run("../there/a.md", "-f", "json", cwd=tmp_path / "here")
    assert code == 0
    assert json.loads(output)["files"] == 1


def test_a_file_named_twice_is_judged_once(tmp_path: Path) -> None:
    (tmp_path / "x.md").write_text(GOOD)
    code, output = run("x.md", "./x.md", ".", cwd=tmp_path)
    assert (code, output) == (0, "1 file, 1 citation, 1 link: 0 errors, 0 warnings, 0 notes\n")


def test_an_unknown_path_is_a_usage_error_and_an_absent_folder_one_of_configuration(
    tmp_path: Path,
) -> None:
    assert run("absent.md", cwd=tmp_path) == (2, "")
    assert run(cwd=tmp_path) == (3, "")


@pytest.mark.skipif(CORPUS is None, reason="the shared corpus is not here")
def test_the_corpus_reads_as_counted() -> None:
    assert CORPUS is not None
    found = find_files([("timeline", CORPUS)], INCLUDE)
    files = [read_file(file, KEYS) for file in found]
    report = lint(files)
    assert (report.files, report.citations, report.links) == (1128, 3745, 3258)
    citations = [citation for file in files for citation in file.citations]
    assert sum(citation.source_key == "sources" for citation in citations) == 3674
    assert sum(citation.source_key == "citations" for citation in citations) == 71
    assert sum(citation.link is None for citation in citations) == 61
    assert sum(p.name == "duplicate-event-id" for p in report.problems) == 35
    assert sum(p.name == "invented-timestamp" for p in report.problems) == 111
    for file, location in zip(files, sorted(CORPUS.iterdir()), strict=True):
        lines = ["", *location.read_text("utf-8").split("\n")]
        for citation in file.citations:
            # A URL stands on the line we name, or is folded below it.
            below = "\n".join(lines[citation.line : citation.line + 3])
            assert citation.cited_url.split(" ")[0][:40] in below
