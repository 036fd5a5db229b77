"""Log lines: one per record, unforgeable, without secrets, in the form the reader needs."""

from __future__ import annotations

import io
import json
import logging
import os
import tempfile
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archiver.checking.journey import Journey, Limits
from archiver.logs import is_journal, set_up
from archiver.urls import Address, read_address


@pytest.fixture(autouse=True)
def _logging_as_before():
    root = logging.getLogger()
    ours = logging.getLogger("archiver")
    before = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:], root.level = before[0], before[1]
    ours.setLevel(before[2])
    logging.captureWarnings(False)


def written(form: str = "text", level: str = "info", secrets: tuple[str, ...] = ()) -> io.StringIO:
    stream = io.StringIO()
    set_up(level, form, stream, {}, secrets)
    return stream


log = logging.getLogger("archiver.service")


def test_a_record_is_one_line_of_message_and_fields():
    stream = written()
    log.info("link died", extra={"url": "https://example.org/", "reason": "not here"})
    line = stream.getvalue()
    assert line.endswith(
        'info archiver.service: link died url=https://example.org/ reason="not here"\n'
    )


async def test_an_odd_cookie_of_a_page_is_no_warning_of_ours():
    stream = written()
    address = read_address("http://page.example/")
    assert isinstance(address, Address)
    journey = Journey(address, Limits(1.0, 10))
    journey.keep_cookies(("odd,name@x=1", "good=1"))
    assert journey.cookies() == "good=1"
    assert not stream.getvalue()


@pytest.mark.parametrize("form", ["text", "json"])
@given(title=st.text(max_size=60))
@settings(max_examples=60)
def test_no_text_from_outside_makes_a_second_line(form, title):
    stream = written(form)
    log.warning("title %s", title, extra={"title": title})
    line = stream.getvalue().removesuffix("\n")
    assert len(line.splitlines()) == 1
    assert not {unicodedata.category(character) for character in line} & {"Cc", "Zl", "Zp"}


def test_a_hostile_title_cannot_pass_for_fields_of_its_own():
    stream = written()
    log.info("looked", extra={"title": 'x" verdict=ok forged="'})
    assert r'title="x\" verdict=ok forged=\""' in stream.getvalue()


@pytest.mark.parametrize("form", ["text", "json"])
def test_keys_and_user_info_are_never_written(form):
    stream = written(form, secrets=("access-word", "secret-word"))
    log.info("POST with LOW access-word:secret-word", extra={"key": "secret-word"})
    log.info("Authorization: LOW other:pairpair", extra={"url": "https://me:pass@example.org/a@b"})
    try:
        raise ValueError("secret-word at https://me:pass@example.org/")
    except ValueError:
        log.exception("failed")
    text = stream.getvalue()
    for hidden in ("-word", "pairpair", "me:pass"):
        assert hidden not in text
    assert "https://example.org/a@b" in text


def test_json_lines_are_objects_with_typed_fields_and_the_whole_trace():
    stream = written("json")
    log.info("pass done", extra={"looks": 240, "title": "a\nb"})
    try:
        raise ValueError("odd")
    except ValueError:
        log.exception("failed")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first["message"] == "pass done"
    assert first["looks"] == 240
    assert first["level"] == "info"
    assert "\n" not in first["title"]
    assert "Traceback" in second["traceback"]


def test_an_exception_stays_on_its_line_in_text():
    stream = written()
    try:
        raise ValueError("odd\nvalue")
    except ValueError:
        log.exception("failed")
    assert stream.getvalue().count("\n") == 1
    assert "ValueError: odd" in stream.getvalue()
    assert "test_logs.py" in stream.getvalue()


def test_the_journal_is_recognised_by_device_and_inode():
    with tempfile.TemporaryFile("w+") as stream:
        found = os.fstat(stream.fileno())
        environ = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
        assert is_journal(stream, environ)
        assert not is_journal(stream, {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino + 1}"})
        assert not is_journal(stream, {})
    assert not is_journal(io.StringIO(), environ)


def test_under_the_journal_each_line_begins_with_its_priority():
    with tempfile.TemporaryFile("w+") as stream:
        found = os.fstat(stream.fileno())
        set_up("debug", "auto", stream, {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"})
        for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
            log.log(level, "x")
        stream.seek(0)
        lines = stream.read().splitlines()
    assert lines == [f"<{number}>archiver.service: x" for number in (7, 6, 4, 3)]


def test_the_level_is_ours_and_libraries_stay_quiet():
    stream = written(level="debug")
    log.debug("ours")
    logging.getLogger("apscheduler.executors").info("chatter")
    logging.getLogger("somebody.else").info("chatter")
    assert "ours" in stream.getvalue()
    assert "chatter" not in stream.getvalue()


def test_setting_up_twice_does_not_write_twice():
    written()
    stream = written()
    log.info("once")
    assert stream.getvalue().count("once") == 1
