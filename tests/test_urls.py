"""URLs: read as cited, sent as cited, compared by a canonical form that is never sent."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from archiver.urls import (
    Address,
    BadAddress,
    bare_host,
    capture_identity,
    grouping_key,
    host_of,
    is_expiring,
    is_home,
    parse_archive_url,
    read_address,
    site_of,
    slug_words,
)


def address(url: str) -> Address:
    read = read_address(url)
    assert isinstance(read, Address), read
    return read


def refusal(url: str) -> BadAddress:
    read = read_address(url)
    assert isinstance(read, BadAddress), read
    return read


@pytest.mark.parametrize(
    ("cited", "wire"),
    [
        ("https://example.org/a", "https://example.org/a"),
        ("  https://example.org/a\n", "https://example.org/a"),
        ("https://example.org", "https://example.org/"),
        ("https://example.org?q", "https://example.org/?q"),
        ("https://example.org/a#b", "https://example.org/a"),
        ("https://example.org#:~:text=x", "https://example.org/"),
        ("HTTPS://EXAMPLE.org/A", "https://example.org/A"),
        ("http://example.org:80/", "http://example.org/"),
        ("http://example.org:443/", "http://example.org:443/"),
        ("http://example.org:/x", "http://example.org/x"),
        ("https://example.org:8443/x", "https://example.org:8443/x"),
        ("https://example.org./x", "https://example.org./x"),
        # Path and query byte for byte:
        ("https://example.org/%7e/a/../b/./c", "https://example.org/%7e/a/../b/./c"),
        ("https://example.org//a//?", "https://example.org//a//?"),
        ("https://example.org/a?b=1&a=2&b=%2f", "https://example.org/a?b=1&a=2&b=%2f"),
        ("https://example.org/a;p=1?x=[1]|{2}^`", "https://example.org/a;p=1?x=[1]|{2}^`"),
        ("https://example.org/100%", "https://example.org/100%"),
        ("https://example.org/a?http://b.c/?d", "https://example.org/a?http://b.c/?d"),
        ("https://example.org/a+b%20c", "https://example.org/a+b%20c"),
        # … but for spaces and what is not ASCII:
        ("https://example.org/a b", "https://example.org/a%20b"),
        ("https://example.org/ä?ö=€", "https://example.org/%C3%A4?%C3%B6=%E2%82%AC"),
        ("https://Müller.example/", "https://xn--mller-kva.example/"),
        ("https://straße.example/", "https://xn--strae-oqa.example/"),
        ("https://☃.example/", "https://xn--n3h.example/"),
        ("https://ex%61mple.org/", "https://example.org/"),
        ("https://a_b.example/", "https://a_b.example/"),
        ("https://blog-.example.com/", "https://blog-.example.com/"),
        ("http://[2001:DB8::1]:80/x", "http://[2001:db8::1]/x"),
        ("http://0x7f.1/", "http://0x7f.1/"),
        ("http://localhost/", "http://localhost/"),
    ],
)
def test_the_wire_form_is_as_cited(cited: str, wire: str) -> None:
    read = address(cited)
    assert read.wire == wire
    assert read.cited == cited.strip()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://example.org", "https://EXAMPLE.org:443/#top"),
        ("https://example.org/%7ea/%2f", "https://example.org/~a/%2F"),
        ("https://example.org/a/./b/../c", "https://example.org/a/c"),
        ("https://example.org/a/%2E%2e/b", "https://example.org/b"),
        ("https://example.org/ä", "https://example.org/%c3%a4"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
    ],
)
def test_two_spellings_of_one_address_are_one_link(one: str, other: str) -> None:
    assert address(one).canonical == address(other).canonical


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *(("https://a.org/A", "https://a.org/a"), ("https://a.org/a", "https://a.org/a/")),
        *(("https://a.org/", "http://a.org/"), ("https://a.org/", "https://www.a.org/")),
        *(("https://a.org/", "https://a.org/index.html"), ("https://a.org/", "https://a.org/?")),
        *(
            ("https://a.org/?a&b", "https://a.org/?b&a"),
            ("https://a.org/a//b", "https://a.org/a/b"),
        ),
        *(("https://a.org/a+b", "https://a.org/a%20b"), ("https://a.org/%2F", "https://a.org//")),
        *(("https://a.org/", "https://a.org./"), ("https://a.org/", "https://a.org:8443/")),
        *(
            ("https://a.org/?utm_source=x", "https://a.org/"),
            ("https://a.org/a;b", "https://a.org/a"),
        ),
        ("https://a.org/100%", "https://a.org/100%25"),
    ],
)
def test_what_some_server_tells_apart_stays_two_links(one: str, other: str) -> None:
    assert address(one).canonical != address(other).canonical


@pytest.mark.parametrize(
    ("cited", "problem", "proposal"),
    [
        *(("", "missing-url", None), ("  \n", "missing-url", None)),
        *(
            ("N/A", "not-a-url", None),
            ("a book", "not-a-url", None),
            ("https://", "not-a-url", None),
        ),
        ("www.example.org/y", "not-a-url", "https://www.example.org/y"),
        ("example.org", "not-a-url", "https://example.org"),
        ("example.org:8080/y", "not-a-url", "https://example.org:8080/y"),
        ("//example.org/y", "not-a-url", "https://example.org/y"),
        ("https:/example.org/y", "not-a-url", "https://example.org/y"),
        ("https:example.org/y", "not-a-url", "https://example.org/y"),
        ("http//example.org/y", "not-a-url", "http://example.org/y"),
        ("https:///example.org/y", "not-a-url", "https://example.org/y"),
        ("https://https://example.org/y", "not-a-url", "https://example.org/y"),
        ("http://http//example.org/y", "not-a-url", "http://example.org/y"),
        ("hxxps://example.org/y", "not-a-url", "https://example.org/y"),
        ("ttps://example.org/y", "not-a-url", "https://example.org/y"),
        ("htp://example.org/y", "not-a-url", "http://example.org/y"),
        ("http%3A//example.org/y", "not-a-url", "http://example.org/y"),
        ("Paper: A headline https://example.org/y.", "not-a-url", "https://example.org/y"),
        ("<https://example.org/y>", "not-a-url", "https://example.org/y"),
        ("“https://example.org/y”", "not-a-url", "https://example.org/y"),
        ("„https://example.org/y“.", "not-a-url", "https://example.org/y"),
        ("[A page](https://example.org/y)", "not-a-url", "https://example.org/y"),
        ("(see https://example.org/Y_(film)).", "not-a-url", "https://example.org/Y_(film)"),
        ("[Y](https://example.org/Y_(film))", "not-a-url", "https://example.org/Y_(film)"),
        ("see http://a.b and http://c.d", "not-a-url", None),
        ("https://exa mple.org/", "not-a-url", None),
        ("https://example.org\\a", "not-a-url", None),
        ("https://example.org/a\tb", "not-a-url", None),
        ("https://example.org/a\nb", "not-a-url", None),
        ("https://a..b/", "not-a-url", None),
        ("https://[::1/", "not-a-url", None),
        ("https://[:::1]/", "not-a-url", None),
        ("https://example.org:99999/", "not-a-url", None),
        ("https://example.org:8o/", "not-a-url", None),
        ("https://" + "a" * 64 + ".org/", "not-a-url", None),
        ("https://example.org/" + "a" * 9000, "not-a-url", None),
        ("doi:10.1000/x", "unsupported-scheme", "https://doi.org/10.1000/x"),
        ("tel:123", "unsupported-scheme", None),
        *((f"{scheme}:x", "unsupported-scheme", None) for scheme in ("mailto", "urn", "data")),
        *((f"{scheme}://x/", "unsupported-scheme", None) for scheme in ("ftp", "file", "ws")),
        ("javascript:alert(1)", "unsupported-scheme", None),
        ("https://user@example.org/", "credentials-in-url", None),
        ("https://user:secret@example.org/", "credentials-in-url", None),
        ("https://example.org@evil.example/", "credentials-in-url", None),
    ],
)
def test_what_cannot_be_looked_at_says_why_and_what_may_be_meant(
    cited: str, problem: str, proposal: str | None
) -> None:
    read = refusal(cited)
    assert (read.problem, read.proposal) == (problem, proposal)
    assert "secret" not in read.message


@pytest.mark.parametrize(
    ("cited", "notes"),
    [
        ("https://example.org/a?b=c#d", ()),
        ("https://example.org/a b", ("unencoded-characters",)),
        ("https://example.org/#ä b", ()),
        ("https://müller.example/", ()),
        ("https://example.org/?token=x", ("expiring-url",)),
        ("https://example.org/?a=1&X-Amz-Signature=x", ("expiring-url",)),
        ("https://example.org/?tokens=x", ()),
        ("https://example.org/?utm_medium=x", ("tracking-parameters",)),
        ("https://web.archive.org/web/2016/http://a.b/", ("is-archive-url",)),
        ("https://archive.org/details/x", ()),
    ],
)
def test_notes_on_a_usable_address(cited: str, notes: tuple[str, ...]) -> None:
    assert address(cited).notes == notes


@pytest.mark.parametrize(
    ("url", "archive", "timestamp", "original"),
    [
        *(
            (f"https://web.archive.org/web/{middle}/http://a.b/c?d", "web.archive.org", stamp, "http://a.b/c?d")
            for middle, stamp in (
                *(("20200102030405", "20200102030405"), ("2020", "2020"), ("*", "*")),
                *(("2020*", "2020*"), ("20200102030405id_", "20200102030405")),
            )
        ),
        ("https://web.archive.org/web/20200102030405/a.b/c", "web.archive.org", "20200102030405", "http://a.b/c"),
        ("https://web.archive.org/web/2020/https:/a.b/c", "web.archive.org", "2020", "https://a.b/c"),
        ("https://web.archive.org/save/https://a.b/c", "web.archive.org", None, "https://a.b/c"),
        ("https://archive.ph/AbCdE", "archive.today", None, None),
        ("https://archive.is/20200102030405/https://a.b/c", "archive.today", "20200102030405", "https://a.b/c"),
        ("https://archive.today/newest/https://a.b/c", "archive.today", None, "https://a.b/c"),
        ("https://perma.cc/AAAA-BBBB", "perma.cc", None, None),
        ("https://arquivo.pt/wayback/20200102030405/https://a.b/c", "arquivo.pt", "20200102030405", "https://a.b/c"),
    ],
)  # fmt: skip
def test_an_archives_address_is_taken_apart(
    url: str, archive: str, timestamp: str | None, original: str | None
) -> None:
    archived = parse_archive_url(url)
    assert archived is not None
    assert (archived.archive, archived.timestamp, archived.original) == (
        archive,
        timestamp,
        original,
    )


def test_two_spellings_of_one_ipv6_address_are_one_host_and_one_link():
    spellings = ("[2606:4700::1111]", "[2606:4700:0::0:1111]", "[2606:4700:0000::1111]:443")
    read = [read_address(f"https://{spelling}/a") for spelling in spellings]
    assert {one.host for one in read} == {"2606:4700::1111"}
    assert {one.canonical for one in read} == {"https://[2606:4700::1111]/a"}


def test_an_ordinary_address_is_of_no_archive() -> None:
    for url in ("https://example.org/web/2020/http://a.b/", "https://archive.org/details/x", "x"):
        assert parse_archive_url(url) is None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("http://www.a.org", "https://a.org/", True),
        ("http://a.org:80/x", "https://a.org/x", True),
        ("http://a.org/%e4", "http://a.org/%E4", True),
        ("http://a.org/x#y", "http://a.org/x", True),
        ("http://a.org/ä", "http://a.org/%C3%A4", True),
        ("http://a.org/watch?v=AbC", "http://a.org/watch?v=abc", False),
        ("http://a.org/x", "http://a.org/x/", False),
        ("http://a.org/", "http://a.org/?", False),
        ("http://a.org/", "http://b.a.org/", False),
        ("http://a.org:8080/", "http://a.org/", False),
    ],
)
def test_a_capture_is_of_this_url_up_to_what_the_design_names(
    one: str, other: str, same: bool
) -> None:
    assert (capture_identity(one) == capture_identity(other)) is same


@pytest.mark.parametrize(
    ("url", "home"),
    [
        *(("https://a.org", True), ("https://a.org/", True), ("https://a.org/en/", True)),
        *(("https://a.org/index.html", True), ("https://a.org/en-US/home", True)),
        *(("https://a.org/?utm_source=x", True), ("https://a.org/?lang=en", True)),
        *(("https://a.org/?p=12", False), ("https://a.org/news", False)),
        *(("https://a.org/en/news", False), ("http://[", True)),
    ],
)
def test_a_home_page_is_known_by_its_address(url: str, home: bool) -> None:
    assert is_home(url) is home


def test_small_readings_of_hosts_and_paths() -> None:
    assert host_of("https://USER@Example.org:8/x") == "example.org"
    assert host_of("http://[") == ""
    assert bare_host("www.example.org") == bare_host("m.example.org") == "example.org"
    assert bare_host("www.org") == "www.org"
    assert site_of("news.bbc.co.uk") == "bbc.co.uk"
    assert site_of("a.b.example.org") == "example.org"
    assert site_of("10.0.0.1") == "10.0.0.1"
    assert grouping_key("https://www.a.org/x/?utm_source=y&b=1") == "a.org/x?b=1"
    assert slug_words("https://a.org/2020/01/the-quick-brown-fox-1234567.html") == [
        *("the", "quick", "brown", "fox")
    ]
    assert slug_words("https://a.org/12345") == []
    assert is_expiring("https://a.org/?Expires=1")


# Anything at all, with lone surrogates, and more often what looks like a URL.
ANY = st.text(st.characters(codec=None, exclude_categories=()))
PIECES = st.sampled_from(
    [
        *("http://", "https://", "HTTP:", "www.", "a.org", "[::1]", "[", "]", "@", ":", "/", "//"),
        *("?", "#", "&", "=", "%", "%2", "%41", "%2e", "%%34%31", "..", ".", "/../", ";", "\\"),
        *(" ", "é", "ß", "☃", "。", "xn--", "-", "_", "\u200d", "\ud800", "web.archive.org/web/"),
        *("20200102030405", "*", "id_", "utm_source", "token", "80", "99999"),
    ]
)
LIKE_A_URL = st.builds(
    lambda start, middle: start + "".join(middle),
    st.sampled_from(["", "http://", "https://a.org", "https://a.org/", "http://a.org?"]),
    st.lists(PIECES | st.text(max_size=3), max_size=12),
)


@settings(max_examples=300)
@given(ANY | LIKE_A_URL)
def test_reading_is_total_and_the_canonical_form_is_its_own(text: str) -> None:
    read = read_address(text)
    if isinstance(read, BadAddress):
        if read.proposal is not None:
            assert isinstance(read_address(read.proposal), Address)
        return
    again = address(read.canonical)
    assert again.canonical == read.canonical
    assert address(read.wire).wire == read.wire
    assert address(read.wire).canonical == read.canonical
    assert again.host == read.host
    assert read.wire.isascii()
    assert " " not in read.wire
    assert read.host == read.host.lower()


@settings(max_examples=200)
@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="#\\")))
@example("%%34%31")
@example("/../%2e%2E//?")
def test_an_ascii_target_goes_out_byte_for_byte(target: str) -> None:
    assert address(f"https://a.org/{target}").wire == f"https://a.org/{target}"


@settings(max_examples=200)
@given(ANY | LIKE_A_URL)
def test_the_small_readings_are_total(text: str) -> None:
    for read in (capture_identity, grouping_key, host_of, is_expiring, is_home):
        read(text)
    for read_more in (parse_archive_url, site_of, slug_words, bare_host):
        read_more(text)


@pytest.mark.parametrize(
    "text",
    [
        *("http://" + "a." * 50_000, "http://" + "ß" * 50_000, "a." * 50_000, "%" * 100_000),
        *("https://a.org/" + "../" * 30_000, "https://" * 12_000, "/" * 100_000, "-" * 100_000),
        "https://web.archive.org/web/" + "1" * 100_000,
        "https://arquivo.pt/" + "20200102030405/" * 6_000,
    ],
)
def test_no_reading_takes_long(text: str) -> None:
    began = time.monotonic()
    for read in (read_address, capture_identity, parse_archive_url, slug_words, grouping_key):
        read(text)
    is_home(text)
    assert time.monotonic() - began < 1
