"""Event files from strangers: each is at worst a problem of that file, soon, and no crash."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from archiver.events.read import MAX_FILE, ReadFile, read_text
from archiver.events.shape import MAX_ENTRIES
from archiver.model import Level
from tests.events.reading import KEYS, names, read_under

SOURCES = "sources:\n- https://example.org/a\n"


def fronted(front_matter: str) -> str:
    return f"---\n{front_matter}---\n"


def nested_aliases() -> str:
    levels = "".join(f"b{n}: &b{n} [{', '.join([f'*b{n - 1}'] * 9)}]\n" for n in range(1, 10))
    return fronted(SOURCES + "b0: &b0 [x]\n" + levels)


def merge_chain() -> str:
    links = (f"a{n}: &a{n}\n  <<: [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 2000))
    return fronted(SOURCES + "a0: &a0 {x: y}\n" + "".join(links))


HOSTILE = {
    "brackets.md": (fronted(SOURCES + "a: " + "[" * 60_000 + "\n"), {"yaml-error", "bad-shape"}),
    "braces.yaml": (SOURCES + "a: " + "{" * 60_000, {"yaml-error", "bad-shape"}),
    "dashes.yaml": (SOURCES + "a:\n" + "- " * 60_000, {"yaml-error", "bad-shape"}),
    "deep.yaml": (SOURCES + "a: " + "[" * 33 + "]" * 33, {"bad-shape"}),
    "brackets.json": ('{"sources": ["http://a.b"], "a": ' + "[" * 60_000, {"bad-shape"}),
    "braces.json": ('{"sources": ["http://a.b"], "a":' + '{"a":' * 40_000, {"bad-shape"}),
    "merge-key.md": (fronted(SOURCES + "a: &a {b: c}\nd:\n  <<: *a\n"), {"bad-shape"}),
    "merge-chain.md": (merge_chain(), {"bad-shape", "too-large"}),
    "cycle.md": (fronted(SOURCES + "a: &a\n- *a\n"), {"yaml-error"}),
    "cycle-of-mappings.md": (fronted(SOURCES + "a: &a\n  b:\n    c: *a\n"), {"yaml-error"}),
    "no-anchor.md": (fronted(SOURCES + "a: *b\n"), {"yaml-error"}),
    "101-aliases.md": (fronted(SOURCES + "a: &a x\nb:\n" + "- *a\n" * 101), {"too-large"}),
    "billion-laughs.md": (nested_aliases(), set()),
    "5000-digits.md": (fronted(SOURCES + f"importance: {'9' * 5000}\n"), {"bad-shape"}),
    "5000-digits.json": (f'{{"sources": ["http://a.b"], "x": {"9" * 5000}}}', {"bad-shape"}),
    "no-such-day.md": (fronted(SOURCES + "date: 2016-11-31\n"), {"bad-date"}),
    "unterminated.md": ("---\n" + SOURCES, {"yaml-error"}),
    "duplicates.yaml": (SOURCES + "a: 1\n" * 40_000, {"bad-shape"}),
    "many-anchors.yaml": (SOURCES + "".join(f"k{n}: &a{n} x\n" for n in range(15_000)), set()),
    "long-lines.md": (fronted(SOURCES + "x: " + "a b " * 60_000 + "\n"), set()),
    "blank-lines.json": ("\n" * 200_000 + '{"sources": ["http://a.b"]}', set()),
    "many-keys.json": (
        '{"sources": ["http://a.b"],' + ",".join(f'"{n}":1' for n in range(20_000)) + "}",
        set(),
    ),
    "python-object.yaml": (f"x: !!python/object/apply:os.system [exit]\n{SOURCES}", set()),
}


def read_timed(path: str, text: str) -> ReadFile:
    """Read a file within the promised second."""
    began = time.process_time()
    file = read_text(path, text, KEYS)
    assert time.process_time() - began < 1
    return file


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_a_problem_of_that_file_within_a_second(name: str) -> None:
    text, expected = HOSTILE[name]
    file = read_timed(name, text)
    assert set(names(file)) - {"no-front-matter"} <= expected
    assert bool(names(file)) is bool(expected)
    # What stands before the trouble has been read.
    assert len(file.citations) == 1
    assert len(file.problems) < 120


LISTS = "- id: &s [" + "[]," * 50_000 + "]\n"


@pytest.mark.parametrize(
    "text",
    [
        *("sources:\n" + "- x\n" * 60_000, "sources:\n" + "- http://a.b\n" * 19_000),
        *("- x\n" * 60_000, LISTS + "- sources: *s\n" * 99),
    ],
)
def test_more_sources_than_any_event_has_are_cut_off_and_said_so(text: str) -> None:
    file = read_timed("a.yaml", text)
    assert len(file.citations) <= MAX_ENTRIES
    assert len(file.problems) <= 3 * MAX_ENTRIES + 2
    assert "too-large" in names(file)


def test_a_url_no_server_takes_is_no_url_and_is_stored_cut() -> None:
    file = read_timed("a.yaml", "sources:\n- http://a.b/" + "x" * 200_000 + "\n")
    assert names(file) == ["not-a-url"]
    assert len(file.citations[0].cited_url) < 10_000


@pytest.mark.parametrize(
    "url",
    [
        *("http://" + "a." * 4000, "http://" + "a" * 8000, "a." * 4000, "http://" + "ß" * 8000),
        *("http://a.b/" + "%" * 8000, "http://a.b/" + "../" * 2600, "h" * 8000),
        "https://" * 1000,
    ],
)
def test_a_hostile_url_costs_next_to_nothing(url: str) -> None:
    read_timed("a.yaml", f"sources:\n- '{url}'\n" + f"- x: y\n  url: '{url}'\n")


def test_files_of_the_wrong_size_or_encoding_are_refused_at_the_right_line(
    tmp_path: Path,
) -> None:
    whole = fronted(SOURCES).encode()
    contents = {
        "large.md": whole + b"x" * MAX_FILE,
        "largest.md": whole + b"x" * (MAX_FILE - len(whole)),
        "latin.md": b"---\nid: x\ntitle: caf\xe9\n---\n",
        "utf16.md": fronted(SOURCES).encode("utf-16"),
        "bom.md": b"\xef\xbb\xbf" + whole,
        "bom.json": b'\xef\xbb\xbf{"sources": ["http://a.b"]}',
        "nul.md": whole.replace(b"a\n", b"a\0\n"),
        "zeros.json": b"\0" * 1000,
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    files = read_under(tmp_path)
    found = {
        path.removeprefix("events/"): [
            (p.name, p.line) for p in file.problems if p.level is Level.ERROR
        ]
        for path, file in files.items()
    }
    assert found == {
        "large.md": [("too-large", 1)],
        "largest.md": [],
        "latin.md": [("unreadable-file", 3)],
        "utf16.md": [("unreadable-file", 1)],
        "bom.md": [],
        "bom.json": [],
        "nul.md": [("yaml-error", 3)],
        "zeros.json": [("yaml-error", 1)],
    }
    assert len(files["events/bom.md"].citations) == 1


SEEDS = [
    fronted("id: x\ndate: '2016-11-30'\nsources:\n- url: https://a.b/c\n  title: 'T: u'\n"
            "  archive_url: https://web.archive.org/web/20200101000000/https://a.b/c\n  tier: 1\n"),
    "- id: &a x\n  title: >-\n    folded\n    text\n"
    "  sources: [*a, {url: 'http://a.b', date: 2016}]\n",
    '{"id": "x", "importance": 1e5, "sources": [{"url": "https:\\/\\/a.b", "title": "\\u00e9"}]}',
]  # fmt: skip
PIECES = [
    *("[", "]", "{", "}", ":", "- ", "? ", "&a ", "*a ", "<<: ", "!!x ", "%YAML 9\n", "---\n"),
    *("...\n", "|\n", ">\n", '"', "'", "\\", "#", ",", "\t", "\r", "\n", "\0", "\ufeff", "\x85"),
    *("\u2028", "9" * 400, "http://", "@", "`", "~", "NaN", "\\ud800", "[" * 40, "https://[", "%"),
]


CHANGES: list[Callable[[str, str, str, str], str]] = [
    lambda before, middle, after, piece: before + piece + middle + after,
    lambda before, middle, after, piece: before + after,
    lambda before, middle, after, piece: before + middle * 4 + after,
    lambda before, middle, after, piece: before + piece + after,
]


def mutated(text: str, chance: random.Random) -> str:
    """Return the text with a few pieces put in, taken out, repeated or replaced."""
    for _ in range(chance.randint(1, 8)):
        at = chance.randint(0, len(text))
        to = at + chance.randint(0, 40)
        change = chance.choice(CHANGES)
        text = change(text[:at], text[at:to], text[to:], chance.choice(PIECES))
    return text


def fuzz(seed: int, rounds: int) -> None:
    """Read many broken files; raise if one raises or takes longer than a second."""
    chance = random.Random(seed)
    for _ in range(rounds):
        text = mutated(chance.choice(SEEDS), chance)
        raw = bytearray(text.encode("utf-8"))
        if raw and chance.random() < 0.2:
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        text = raw.decode("utf-8", "replace")
        for path in ("a.md", "a.yaml", "a.json"):
            file = read_timed(path, text)
            lines = text.replace("\r", "\n").count("\n") + 1
            assert all(1 <= problem.line <= lines for problem in file.problems), (path, text)
            assert all(1 <= citation.line <= lines for citation in file.citations), (path, text)
            for problem in file.problems:
                assert problem.level in Level
                assert problem.message.isprintable()


@pytest.mark.parametrize("seed", range(3))
def test_no_broken_file_crashes_or_hangs_the_process(seed: int) -> None:
    code = f"from tests.events.test_hostile import fuzz; fuzz({seed}, 1000)"
    root = Path(__file__).resolve().parents[2]
    child = subprocess.run(
        [sys.executable, "-c", code],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert child.returncode == 0, child.stderr[-3000:]


def test_the_deepest_brackets_do_not_kill_a_process_with_a_small_stack() -> None:
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_STACK, (1 << 20, 1 << 20));"
        "from archiver.events.read import read_text;"
        "[read_text(n, c * 120_000, ['sources']) for n in ('a.yaml', 'a.json') for c in '[{-?!&']"
    )
    root = Path(__file__).resolve().parents[2]
    child = subprocess.run(
        [sys.executable, "-c", code],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert child.returncode == 0, child.stderr[-3000:]
