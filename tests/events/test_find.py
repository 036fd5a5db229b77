"""Finding event files: which, in what order, under which key, and what is refused."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from archiver.errors import ConfigurationError
from archiver.events.find import find_files
from archiver.events.read import read_file
from tests.events.reading import INCLUDE, KEYS, found_under, names, read_under

EVENT = "---\nid: x\nsources:\n- https://example.org/\n---\n"


def test_files_come_sorted_with_keys_below_the_folder_as_written(tmp_path: Path) -> None:
    for name in ("b.md", "a/z.yaml", "a/y.json", "a/deep/er/x.yml", "notes.txt", "c.markdown"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(EVENT)
    expected = ["e/a/deep/er/x.yml", "e/a/y.json", "e/a/z.yaml", "e/b.md"]
    assert [found.path for found in found_under(tmp_path, "e")] == expected
    assert [found.path for found in found_under(tmp_path, "e/")] == expected


def test_a_stamp_is_size_mtime_and_inode(tmp_path: Path) -> None:
    file = tmp_path / "a.md"
    file.write_text(EVENT)
    status = file.stat()
    [found] = found_under(tmp_path)
    assert found.stamp == (status.st_size, status.st_mtime_ns, status.st_ino)


@pytest.mark.parametrize(
    ("pattern", "matching"),
    [
        ("**/*.md", ["a.md", "sub/b.md", "sub/deep/c.md"]),
        ("*.md", ["a.md"]),
        ("sub/*.md", ["sub/b.md"]),
        ("sub/**", ["sub/b.md", "sub/d.txt", "sub/deep/c.md"]),
        ("**/[bc].md", ["sub/b.md", "sub/deep/c.md"]),
        ("**/[!b].md", ["a.md", "sub/deep/c.md"]),
        ("**/?.txt", ["sub/d.txt"]),
        ("a.m[d]", ["a.md"]),
        ("a+md", []),
    ],
)
def test_patterns_are_globs(tmp_path: Path, pattern: str, matching: list[str]) -> None:
    for name in ("a.md", "sub/b.md", "sub/deep/c.md", "sub/d.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(EVENT)
    found = find_files([("e", tmp_path)], [pattern])
    assert [file.path for file in found] == [f"e/{name}" for name in matching]


def test_hidden_files_and_folders_are_left_out(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "a.md").write_text(EVENT)
    (tmp_path / ".b.md").write_text(EVENT)
    assert found_under(tmp_path) == []


def test_a_root_may_be_a_file(tmp_path: Path) -> None:
    file = tmp_path / "event.markdown"
    file.write_text(EVENT)
    [found] = find_files([("some/event.markdown", file)], INCLUDE)
    assert found.path == "some/event.markdown"
    assert [citation.line for citation in read_file(found, KEYS).citations] == [4]


def test_a_root_inside_another_is_not_read_twice(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.md").write_text(EVENT)
    roots = [("e", tmp_path), ("e/sub", tmp_path / "sub")]
    assert [found.path for found in find_files(roots, INCLUDE)] == ["e/sub/a.md"]


@pytest.mark.parametrize("other", ["e/../e", "{base}/e", "link", "e/a.md"])
def test_a_root_written_in_another_way_is_not_read_twice(tmp_path: Path, other: str) -> None:
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "a.md").write_text(EVENT)
    (tmp_path / "link").symlink_to("e")
    written = other.format(base=tmp_path)
    roots = [("e", tmp_path / "e"), (written, tmp_path / written)]
    assert [found.path for found in find_files(roots, INCLUDE)] == ["e/a.md"]


def test_an_absent_root_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        list(find_files([("e", tmp_path / "absent")], INCLUDE))
    assert caught.value.exit_code == 3
    assert "e cannot be read" in caught.value.message
    assert caught.value.next_step


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_without_permission_is_a_configuration_error_as_root_of_the_walk(
    tmp_path: Path,
) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0)
    with pytest.raises(ConfigurationError):
        list(find_files([("e", locked)], INCLUDE))
    [found] = found_under(tmp_path)
    assert found.problem is not None
    assert found.problem.name == "unreadable-file"


def test_a_link_to_a_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.md").write_text(EVENT)
    (tmp_path / "loop.md").symlink_to(tmp_path)
    (tmp_path / "again").symlink_to(tmp_path / "real")
    assert [found.path for found in found_under(tmp_path)] == ["events/real/a.md"]


def test_a_link_to_a_file_inside_is_fine(tmp_path: Path) -> None:
    (tmp_path / "real.md").write_text(EVENT)
    (tmp_path / "link.md").symlink_to("real.md")
    files = read_under(tmp_path)
    assert len(files["events/link.md"].citations) == 1
    assert names(files["events/link.md"]) == []


def test_what_is_no_file_of_this_folder_is_one_problem_each(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "outside.md"
    inside.mkdir()
    outside.write_text(EVENT)
    (inside / "out.md").symlink_to(outside)
    (inside / "nowhere.md").symlink_to("absent.md")
    os.mkfifo(inside / "pipe.md")
    (inside / "device.md").symlink_to("/dev/zero")
    here = os.getcwd()
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(inside)  # a socket's path has at most 107 bytes
        try:
            listener.bind("socket.md")
        finally:
            os.chdir(here)
        files = read_under(inside)
    assert set(files) == {f"events/{n}.md" for n in ("out", "nowhere", "pipe", "device", "socket")}
    for path, file in files.items():
        assert [(p.path, p.line, p.position, p.name) for p in file.problems] == [
            (path, 1, None, "unreadable-file")
        ]
        assert file.citations == ()


def test_a_pipe_or_link_swapped_in_after_the_stat_neither_hangs_nor_leads_out(
    tmp_path: Path,
) -> None:
    outside = tmp_path / "outside.md"
    outside.write_text(EVENT)
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("pipe.md", "link.md", "gone.md"):
        (folder / name).write_text(EVENT)
    found = found_under(folder)
    for file in folder.iterdir():
        file.unlink()
    os.mkfifo(folder / "pipe.md")
    (folder / "link.md").symlink_to(outside)
    began = time.monotonic()
    files = [read_file(file, KEYS) for file in found]
    assert time.monotonic() - began < 1
    assert [names(file) for file in files] == [["unreadable-file"]] * 3
    assert not any(file.citations for file in files)


def test_hostile_names_are_fit_to_be_shown_and_stay_apart(tmp_path: Path) -> None:
    for name in (b"a\x1b[31m.md", b"a\n[31m.md", b"\xff.md", b"\xfe.md", "\u202eevil.md".encode()):
        Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name))).write_text(EVENT)
    files = read_under(tmp_path)
    assert len(files) == 5
    assert all(len(file.citations) == 1 for file in files.values())
    for path in files:
        assert path.isprintable()
        path.encode("utf-8")
    assert {citation.path for file in files.values() for citation in file.citations} == set(files)


def test_a_name_is_the_same_key_under_every_locale(tmp_path: Path) -> None:
    (tmp_path / "höhen").mkdir()
    (tmp_path / "höhen" / "é.md").write_text(EVENT)
    program = (
        "import sys; from pathlib import Path; from archiver.events.find import find_files;"
        "[found] = find_files([('e', Path(sys.argv[1]))], ['h\\xf6hen/*.md']);"
        "print(ascii(found.path))"
    )
    for locale in ({"PYTHONUTF8": "1"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}):
        told = subprocess.run(
            [sys.executable, "-c", program, tmp_path],
            env={**os.environ, **locale},
            capture_output=True,
            text=True,
            check=True,
        )
        assert told.stdout.strip() == ascii("e/höhen/é.md")


def test_a_tree_deeper_than_pythons_stack_is_walked(tmp_path: Path) -> None:
    (tmp_path / "kept").touch()
    deep = tmp_path
    for _ in range(1100):
        deep /= "d"
        deep.mkdir()
    (deep / "a.md").write_text(EVENT)
    [found] = found_under(tmp_path)
    assert found.path == "events/" + "d/" * 1100 + "a.md"
    assert len(read_file(found, KEYS).citations) == 1
    (deep / "a.md").unlink()
    os.removedirs(deep)  # what clears the temporary folder away is not so deep
