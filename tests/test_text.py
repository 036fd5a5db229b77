"""`shown` makes any string one harmless line."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.text import SHOWN_LIMIT, shown, span

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=400)


@pytest.mark.parametrize(
    ("hostile", "harmless"),
    [
        ("a\nb", "a\ufffdb"),
        ("a\r\nb", "a\ufffd\ufffdb"),
        ("\x1b[31mred", "\ufffd[31mred"),
        ("a\u202eb\u2066c", "a\ufffdb\ufffdc"),
        ("a\u2028b\u2029c\x85d", "a\ufffdb\ufffdc\ufffdd"),
        ("a\tb\0c\x7fd\x9be", "a\ufffdb\ufffdc\ufffdd\ufffde"),
        ("\ud800", "\ufffd"),
        ("zero\u200bwidth\ufeff", "zero\ufffdwidth\ufffd"),
        ("caf\xe9 – «دارند» 日本", "caf\xe9 – «دارند» 日本"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("👩\u200d🚀", "👩\u200d🚀"),
        (5, "5"),
        (None, "None"),
    ],
)
def test_what_could_steer_a_terminal_or_forge_a_line_is_replaced(
    hostile: object, harmless: str
) -> None:
    assert shown(hostile) == harmless


def test_a_long_text_is_cut_and_the_cut_is_marked() -> None:
    assert shown("x" * 300) == "x" * 300
    assert shown("x" * 301) == "x" * 299 + "…"
    assert shown("x" * 50, 10) == "x" * 9 + "…"


@given(ANY_TEXT, st.integers(min_value=1, max_value=50))
def test_nothing_unsafe_is_left_and_the_limit_holds(text: str, limit: int) -> None:
    result = shown(text, limit)
    assert len(result) <= limit
    for character in result:
        assert character in "\u200c\u200d" or unicodedata.category(character) not in (
            *("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"),
        )
    assert len(result.splitlines()) <= 1
    result.encode("utf-8")


@given(ANY_TEXT)
def test_showing_twice_changes_nothing_more(text: str) -> None:
    assert shown(shown(text)) == shown(text)


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=SHOWN_LIMIT))
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert shown(text) == text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        *((0, "no time"), (1, "1 minute"), (90, "2 minutes"), (5399, "90 minutes")),
        *((5400, "2 hours"), (172_799, "48 hours"), (172_800, "2 days"), (9e8, "10,417 days")),
    ],
)
def test_a_span_is_said_in_one_unit(seconds: float, words: str) -> None:
    assert span(seconds) == words
