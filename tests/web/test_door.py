"""Who is let in: the names we answer to, and the token."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archiver.errors import ConfigurationError
from archiver.web.door import Door, read_token, require_servable

OPEN = Door(frozenset({("archiver.example.org", None), ("other.example.org", "8443")}), None)


def locked(tmp_path, configure, token="a-long-enough-token"):
    (tmp_path / "token").write_text(token + "\n")
    return Door.of(configure('enabled = true\ntoken_file = "token"'))


def basic(name_and_password: str) -> str:
    return "Basic " + base64.b64encode(name_and_password.encode()).decode()


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "localhost:8088", "LOCALHOST.", "127.0.0.1:8088", "127.9.9.9", "[::1]:8088"),
        *("archiver.example.org", "Archiver.Example.ORG:80", "archiver.example.org.:443"),
        "other.example.org:8443",
    ],
)
def test_names_of_this_machine_and_named_ones_are_known(host):
    assert OPEN.knows([host], "127.0.0.1")


@pytest.mark.parametrize(
    "hosts",
    [
        *(
            ["evil.example"],
            ["localhost.evil.example"],
            ["evil.example:8088"],
            ["127.0.0.1.nip.io"],
        ),
        *(["other.example.org"], ["other.example.org:80"], ["xarchiver.example.org"]),
        *([""], [], ["localhost", "localhost"], ["localhost, evil.example"], ["localhost@evil"]),
        *(["localhost/"], ["local host"], ["[::1"], ["2130706433"], ["192.0.2.9"], ["a" * 300]),
    ],
)
def test_every_other_name_is_unknown(hosts):
    assert not OPEN.knows(hosts, "127.0.0.1")


@pytest.mark.parametrize(
    ("host", "local", "known"),
    [
        ("192.0.2.9:8088", "192.0.2.9", True),
        ("192.0.2.9", "::ffff:192.0.2.9", True),
        ("[2001:db8::0:9]:80", "2001:db8::9", True),
        ("192.0.2.10", "192.0.2.9", False),
        ("192.0.2.9", "", False),
    ],
)
def test_the_address_a_request_came_in_by_is_no_rebinding(host, local, known):
    assert OPEN.knows([host], local) is known


def test_without_a_token_everybody_on_this_machine_is_admitted():
    assert OPEN.admits(None)
    assert OPEN.admits("Bearer whatever")


def test_the_token_opens_as_bearer_and_as_basic_password(tmp_path, configure):
    door = locked(tmp_path, configure)
    for right in (
        "Bearer a-long-enough-token",
        "bearer  a-long-enough-token ",
        basic("anybody:a-long-enough-token"),
        basic(":a-long-enough-token"),
    ):
        assert door.admits(right), right


@pytest.mark.parametrize(
    "wrong",
    [
        *(
            None,
            "",
            "Bearer",
            "Bearer ",
            "Bearer a-long-enough-toke",
            "Bearer a-long-enough-tokenx",
        ),
        *("a-long-enough-token", "Digest a-long-enough-token", "Basic a-long-enough-token"),
        *(basic("a-long-enough-token:"), basic("a-long-enough-token"), "Basic ===", "Basic \udcff"),
        *(basic(""), basic("x:A-LONG-ENOUGH-TOKEN"), "Bearer \u00e4"),
    ],
)
def test_nothing_else_opens(tmp_path, configure, wrong):
    assert not locked(tmp_path, configure).admits(wrong)


@given(st.text(alphabet=st.characters(max_codepoint=0xDFFF), max_size=60))
@settings(max_examples=200)
def test_no_authorization_breaks_the_door(text):
    door = Door(frozenset(), b"\0" * 32)
    assert not door.admits(text)
    assert not door.admits("Basic " + text)
    assert not door.admits("Bearer " + text)
    door.knows([text], text)


def test_a_door_open_to_others_needs_a_token(tmp_path, configure):
    with pytest.raises(ConfigurationError, match="set token_file"):
        configure('enabled = true\nbind = "0.0.0.0:8088"')
    # Also where the settings were not asked to serve when they were read.
    with pytest.raises(ConfigurationError, match="open to others"):
        Door.of(configure('bind = "[::]:8088"'))
    (tmp_path / "token").write_text("secret-word")
    door = Door.of(configure('enabled = true\nbind = "0.0.0.0:8088"\ntoken_file = "token"'))
    assert not door.admits(None)


@pytest.mark.parametrize("content", [b"", b"\n", b"two words", b"\xff\xfe", b"x" * 2000, b"a\nb"])
def test_a_file_without_a_token_is_a_configuration_error(tmp_path, content):
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match="does not hold a token"):
        read_token(str(file))
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_token(str(tmp_path / "nowhere"))


def test_an_allowed_host_that_is_none_is_a_configuration_error(configure):
    with pytest.raises(ConfigurationError, match="no host name"):
        Door.of(configure('enabled = true\nallowed_hosts = ["https://x.example/"]'))


def test_settings_that_cannot_be_served_are_refused_before_they_are_taken_over(configure):
    with pytest.raises(ConfigurationError, match="cannot be read"):
        require_servable(configure('enabled = true\ntoken_file = "nowhere"'))
    require_servable(configure('enabled = false\ntoken_file = "nowhere"'))
