"""What is never submitted, and what is kept of a record."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.archiving.eligibility import refusal
from archiver.archiving.record import ArchiveRecord, from_json, to_json

LOOPBACK = "http://127.0.0.1:8090/save"


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("https://news.example/story", None),
        ("https://news.example/?page=2", None),
        ("http://93.184.216.34/", None),
        ("http://[2606:2800:220:1::1]/", None),
        ("https://user:secret@news.example/", "credentials-in-url"),
        ("http://localhost/", "private-address"),
        ("http://intranet/", "private-address"),
        ("http://printer.local/", "private-address"),
        ("http://wiki.corp.internal/", "private-address"),
        ("http://x.onion/", "private-address"),
        ("http://127.0.0.1/", "private-address"),
        ("http://127.1/", "private-address"),
        ("http://2130706433/", "private-address"),
        ("http://0x7f.1/", "private-address"),
        ("http://10.1.2.3:8080/x", "private-address"),
        ("http://169.254.169.254/", "private-address"),
        ("http://[::1]/", "private-address"),
        ("http://[fd00::1]/", "private-address"),
        ("http://[::ffff:10.0.0.1]/", "private-address"),
        ("https://files.example/a?X-Amz-Signature=abc", "expiring-url"),
        ("https://files.example/a?x=1&token=abc", "expiring-url"),
        ("https://files.example/a?Expires=12", "expiring-url"),
        ("https://web.archive.org/web/2020/https://news.example/", "is-archive-url"),
        ("https://archive.ph/AbCdE", "is-archive-url"),
        ("https://archive.org/details/book", None),
    ],
)
def test_what_is_never_submitted(url: str, word: str | None) -> None:
    assert refusal(url) == word


def test_an_archive_on_this_machine_may_see_what_the_operator_allows() -> None:
    allowed = ["127.0.0.0/8"]
    page = "http://127.0.0.1:8000/a"
    assert refusal(page, private_allowed=allowed, save_url=LOOPBACK) is None
    assert refusal(page, private_allowed=[], save_url=LOOPBACK) == "private-address"
    real = "https://web.archive.org/save"
    assert refusal(page, private_allowed=allowed, save_url=real) == "private-address"
    lan = "http://10.0.0.1/"
    assert refusal(lan, private_allowed=allowed, save_url=LOOPBACK) == "private-address"


def test_a_host_that_python_refuses_to_split_is_never_submitted() -> None:
    # "care of" becomes "c/o" under NFKC, which urlsplit answers with an error.
    assert refusal("http://\u2105/page") == "private-address"


@given(st.text(max_size=60))
def test_refusal_is_total(text: str) -> None:
    refusal("http://" + text.replace("[", "").replace("]", ""))
    refusal(text)


def test_keys_of_a_later_version_are_ignored_and_an_empty_record_is_small() -> None:
    assert to_json(ArchiveRecord()) == "{}"
    assert from_json('{"state": "queued", "brand_new": 1}').state.value == "queued"
