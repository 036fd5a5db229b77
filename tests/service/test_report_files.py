"""Reports as files: whole or not at all, and nothing left behind."""

from __future__ import annotations

import os
import time
from pathlib import Path

from archiver.service.report import write_whole


def test_what_a_killed_writer_left_is_dropped_a_day_later(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    young, old, other = (
        tmp_path / name
        for name in (".report.html.half-abc", ".report.html.half-xyz", ".report.html.mine")
    )
    long_ago = time.time() - 2 * 86_400
    for half in (young, old, other):
        half.write_text("half")
    for half in (old, other):
        os.utime(half, (long_ago, long_ago))
    write_whole(path, iter(["who", "le"]))
    assert path.read_text() == "whole"
    assert sorted(tmp_path.iterdir()) == sorted((path, young, other))
