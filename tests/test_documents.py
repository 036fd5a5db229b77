"""The documents say what the program does: checked against the program itself."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import sqlite3
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote

import pytest

from archiver import __version__
from archiver.checking.belief import Known, settle
from archiver.checking.policy import Policy
from archiver.cli import COMMANDS
from archiver.config import catalogue, load_settings
from archiver.model import ArchiveState, Belief, Claim, Finding, Verdict
from archiver.reasons import REASONS, in_words
from archiver.store import Store

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
DOCUMENTS = [
    *sorted(DOCS.glob("*.md")),
    *(ROOT / name for name in ("README.md", "SECURITY.md", "CHANGELOG.md")),
]
MODE = re.DOTALL | re.MULTILINE
OWN_TABLES = frozenset({"_sqlite_migrations", "sqlite_sequence", "sqlite_stat1", "sqlite_stat4"})


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def generator() -> ModuleType:
    """Return docs/generate.py as a module."""
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def without_code(markdown: str) -> str:
    return re.sub(r"^```.*?^```", "", markdown, flags=re.DOTALL | re.MULTILINE)


def anchors(markdown: str) -> set[str]:
    """Return the anchors GitHub gives the headings of a document."""
    headings = re.findall(r"^#+ +(.*)$", without_code(markdown), flags=re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings
    }


# ------------------------------------------------------------------------------- the program


def test_what_the_program_writes_of_itself_is_up_to_date():
    # In a process of its own: click remembers a command's help options from its first use.
    done = subprocess.run(
        [sys.executable, DOCS / "generate.py", "--check"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", ["", "check", "db backup"])
def test_the_commands_stand_there_as_help_prints_them(command):
    done = subprocess.run(
        [sys.executable, "-m", "archiver", *command.split(), "--help"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80"},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert f"```text\n{done.stdout}```" in text_of(DOCS / "commands.md")


def test_every_command_has_its_section():
    paths = list(generator().commands(generator().command_line))
    assert {path[0] for path in paths if path} == set(COMMANDS)
    headings = re.findall(r"^## `(archiver.*)`$", text_of(DOCS / "commands.md"), re.MULTILINE)
    assert headings == [" ".join(("archiver", *path)) for path in paths]


def test_every_exit_code_is_explained():
    text = text_of(DOCS / "commands.md")
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", text, flags=re.MULTILINE)] == [
        *(0, 1, 2, 3, 4, 130)
    ]


def test_every_reason_and_verdict_is_explained():
    text = text_of(DOCS / "verdicts.md")
    for reason in REASONS:
        assert f"| `{reason}` | {in_words(reason)} |" in text
    for verdict in Verdict:
        assert f"| `{verdict}` |" in text


def test_every_reason_has_its_place_among_the_verdicts():
    assert "### Other" not in text_of(DOCS / "verdicts.md"), "add it to GROUPS in docs/generate.py"


def test_every_archive_state_and_claim_is_explained():
    text = text_of(DOCS / "archiving.md")
    for word in (*ArchiveState, *Claim):
        assert f"| `{word}` |" in text
    assert not {word for word in re.findall(r"^\| `([\w-]+)` \|", text, flags=re.MULTILINE)} - {
        *map(str, (*ArchiveState, *Claim))
    }


def test_every_option_stands_in_the_example_and_what_is_named_elsewhere_exists():
    example = tomllib.loads(text_of(ROOT / "config" / "archiver.toml"))
    known = set(catalogue.options())
    for name in known:
        value: object = example
        for part in name.split("."):
            assert isinstance(value, dict), name
            value = value[part]
    sections = "|".join(name for name in catalogue.sections() if "." not in name)
    for document in DOCUMENTS:
        named = set(re.findall(rf"`((?:{sections})\.[a-z_.]+)`", text_of(document)))
        assert named - known - catalogue.sections().keys() == set(), document.name


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_configuration_that_is_shown_is_right(document, tmp_path):
    for number, block in enumerate(re.findall(r"^```toml\n(.*?)^```", text_of(document), MODE)):
        file = tmp_path / f"{number}.toml"
        file.write_text(block, encoding="utf-8")
        assert load_settings(file, {}, tmp_path).file == file


def test_the_looks_a_year_are_those_of_the_schedule():
    """Follow single links for two years: what docs/operating.md reckons with."""
    text = text_of(DOCS / "operating.md")
    kinds = {
        "12.2": (Finding(Verdict.OK, "ok"), 1),
        "18.5": (Finding(Verdict.OK, "ok"), 0),
        "26": (Finding(Verdict.BLOCKED, "challenge"), 1),
        "122": (Finding(Verdict.FAILING, "http-5xx"), 1),
    }
    for number, (finding, year) in kinds.items():
        assert number in text
        looks = [looks_by_year(finding, f"https://{name}.example/")[year] for name in range(20)]
        assert sum(looks) / len(looks) == pytest.approx(float(number), rel=0.03)
    looks = 5552 * (12.2 * 0.94 + 26 * 0.06)
    assert looks == pytest.approx(72_000, rel=0.02)


def looks_by_year(finding: Finding, url: str) -> tuple[int, int]:
    """Return how often a link is looked at in its first and its second year."""
    start = now = datetime(2026, 1, 1, tzinfo=UTC)
    counts = [0, 0]
    belief = Belief()
    while (year := (now - start).days // 365) < 2:
        counts[year] += 1
        belief = settle(belief, finding, Known(archive="off"), now, Policy(), url=url)
        assert belief.next_look_at is not None
        now = belief.next_look_at
    return counts[0], counts[1]


def test_every_column_of_every_table_and_view_is_explained(tmp_path):
    database = tmp_path / "archiver.db"
    Store.open(database).close()
    text = text_of(DOCS / "database.md")
    sections = dict(re.findall(r"^### (.+?)\n(.*?)(?=^##|\Z)", text, re.DOTALL | re.MULTILINE))
    connection = sqlite3.connect(database)
    found = connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")
    for (name,) in found.fetchall():
        if name in OWN_TABLES:
            continue
        holding = [body for heading, body in sections.items() if f"`{name}`" in heading]
        assert len(holding) == 1, f"docs/database.md has no section for {name}"
        if name in ("rot", "needs_archive", "suspect_citations"):
            continue  # the columns of source_status
        for column in connection.execute(f"PRAGMA table_info({name})"):
            assert f"| `{column[1]}` |" in holding[0], f"{name}.{column[1]}"
    connection.close()


def test_the_columns_of_the_main_view_are_explained_in_their_order(tmp_path):
    database = tmp_path / "archiver.db"
    Store.open(database).close()
    connection = sqlite3.connect(database)
    columns = [row[1] for row in connection.execute("PRAGMA table_info(source_status)")]
    connection.close()
    section = text_of(DOCS / "database.md").partition("### `source_status`")[2].partition("\n##")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, flags=re.MULTILINE) == columns


# ----------------------------------------------------------------------------- the documents


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document):
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(text_of(document))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / unquote(path)).resolve() if path else document
        assert file.exists(), f"{document.name}: {target}"
        if anchor:
            assert anchor in anchors(text_of(file)), f"{document.name}: {target}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_that_is_named_exists(document):
    below = {path for path in generator().commands(generator().command_line) if path}
    groups = {path[0] for path in below if len(path) > 1}
    found = re.findall(r"(?:^|[`'(] ?|archiver )archiver ([a-z]+)(?: ([a-z]+))?", text_of(document))
    for first, second in found:
        if first not in COMMANDS:
            continue
        if first in groups and second:
            assert (first, second) in below, f"{document.name}: archiver {first} {second}"
    named = re.findall(r"`archiver ([a-z]+)[^`]*`", text_of(document))
    assert set(named) <= set(COMMANDS), document.name


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_long_option_of_ours_that_is_named_exists(document):
    known = set(re.findall(r"--[a-z][a-z-]*", text_of(DOCS / "commands.md")))
    for line in text_of(document).splitlines():
        for command in re.findall(r"\barchiver (?:[a-z]+)[^`|&;(]*", line):
            own = command.partition(" # ")[0]
            assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", own)) <= known, line


def test_the_readme_names_every_dependency_and_no_other():
    project = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]
    declared = {re.split(r"[<>=~! ]", text)[0].lower() for text in project["dependencies"]}
    table = text_of(ROOT / "README.md").partition("## Dependencies")[2]
    rows = re.findall(r"^\| ([^|]+) \|", table, flags=re.MULTILINE)
    named = {name.strip().lower() for row in rows[1:] for name in row.split(",")}
    assert named - {"---"} == declared


def test_the_user_agent_is_the_one_that_is_sent():
    assert f"source-link-archiver/{__version__} (checks cited sources; +" in text_of(
        DOCS / "manners.md"
    )


def test_no_document_tells_anybody_to_install_a_name_that_is_not_ours():
    for document in DOCUMENTS:
        assert not re.search(
            r"(?:pip|pipx|uv tool|uv pip) install archiver\b", text_of(document)
        ), document.name


def test_every_promise_names_a_test_that_exists():
    text = text_of(ROOT / "SECURITY.md")
    promises = [row for row in text.splitlines() if row.startswith("| ") and "tests/" in row]
    assert len(promises) > 30
    for row in promises:
        named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", row)
        assert named, row
        for file, name in named:
            functions = {
                node.name
                for node in ast.walk(ast.parse(text_of(ROOT / file)))
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            }
            assert name in functions, f"{file}::{name}"


def test_files_that_documents_name_are_there():
    for document in (*DOCS.glob("*.md"), ROOT / "README.md", ROOT / "SECURITY.md"):
        for name in re.findall(
            r"`((?:tests|archiver|systemd|config|docs)/[\w./-]+\.(?:py|md|toml|yml|conf|service))`",
            text_of(document),
        ):
            assert (ROOT / name).exists(), f"{document.name}: {name}"
