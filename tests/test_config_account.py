"""The account keys: where they come from, where they may go, and that they never show."""

from __future__ import annotations

from pathlib import Path

import pytest

from archiver.config import Keys, account_keys, keys_refusal, load_settings, may_send_keys
from archiver.errors import ConfigurationError


def loaded_with(folder: Path, text: str = "", environ: dict[str, str] | None = None):
    file = folder / "archiver.toml"
    file.write_text(text, encoding="utf-8")
    return load_settings(file, environ or {}, folder)


def test_without_keys_there_are_none(tmp_path):
    assert account_keys(loaded_with(tmp_path), {}) is None


def test_keys_come_from_the_variables(tmp_path):
    environ = {"IA_ACCESS_KEY": "access", "IA_SECRET_KEY": " secret\n"}
    assert account_keys(loaded_with(tmp_path), environ) == Keys("access", "secret")


def test_credentials_win_over_files_and_files_over_variables(tmp_path):
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "archiver.ia-access-key").write_text("from-credential\n")
    (credentials / "archiver.ia-secret-key").write_text("")  # as systemd leaves a missing one
    (tmp_path / "access").write_text("from-file")
    (tmp_path / "secret").write_text("from-file")
    environ = {
        "CREDENTIALS_DIRECTORY": str(credentials),
        "IA_ACCESS_KEY": "from-variable",
        "IA_SECRET_KEY": "from-variable",
    }
    text = '[archive]\naccess_key_file = "access"\nsecret_key_file = "secret"\n'
    found = account_keys(loaded_with(tmp_path, text), environ)
    assert found == Keys("from-credential", "from-file")


@pytest.mark.parametrize(
    "environ",
    [
        {"IA_ACCESS_KEY": "only-one"},
        {"IA_SECRET_KEY": "only-one"},
        {"IA_ACCESS_KEY": "two words", "IA_SECRET_KEY": "x"},
        {"IA_ACCESS_KEY": "x", "IA_SECRET_KEY": "a\r\nX-Evil: 1"},
        {"IA_ACCESS_KEY": "x", "IA_SECRET_KEY": "s" * 300},
    ],
)
def test_half_a_pair_or_no_key_at_all_is_an_error_that_does_not_show_it(tmp_path, environ):
    with pytest.raises(ConfigurationError) as caught:
        account_keys(loaded_with(tmp_path), environ)
    assert not any(len(key) > 1 and key in str(caught.value) for key in environ.values())


def test_a_key_file_that_cannot_be_read_is_an_error(tmp_path):
    loaded = loaded_with(tmp_path, '[archive]\naccess_key_file = "nowhere"\n')
    with pytest.raises(ConfigurationError, match="nowhere cannot be read"):
        account_keys(loaded, {})


def test_keys_never_show_themselves():
    keys = Keys("access-word", "secret-word")
    assert "word" not in f"{keys} {keys!r}"


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://web.archive.org/save", True),
        ("https://web.archive.org:443/save", True),
        ("http://127.0.0.1:8080/save", True),
        ("http://127.8.9.1/save", True),
        ("http://[::1]:8080/save", True),
        ("http://localhost:8080/save", True),
        ("http://web.archive.org/save", False),
        ("https://web.archive.org:8443/save", False),
        ("https://web.archive.org.evil.example/save", False),
        ("https://web.archive.org@evil.example/save", False),
        ("https://evil.example/web.archive.org", False),
        ("https://localhost.evil.example/save", False),
        ("https://10.0.0.1/save", False),
        ("ftp://127.0.0.1/save", False),
        ("https://[::1/save", False),
        ("", False),
    ],
)
def test_keys_go_only_to_the_archive_or_to_this_machine(tmp_path, url, allowed):
    assert may_send_keys(loaded_with(tmp_path), url) is allowed


@pytest.mark.parametrize(
    "line", ['proxy = "http://proxy.example:3128"', 'ca_file = "/tmp/evil-ca.pem"']
)
def test_a_checkout_that_reroutes_traffic_gets_no_keys_unless_its_file_is_named(tmp_path, line):
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "archiver.toml").write_text(f"[network]\n{line}\n")
    url = "https://web.archive.org/save"

    merely_found = load_settings(None, {}, tmp_path)
    named = load_settings(Path("config/archiver.toml"), {}, tmp_path)
    by_variable = load_settings(None, {"ARCHIVER_CONFIG": "config/archiver.toml"}, tmp_path)

    assert "merely found" in (keys_refusal(merely_found, url) or "")
    assert keys_refusal(named, url) is None
    assert keys_refusal(by_variable, url) is None


def test_a_proxy_the_operator_set_in_the_environment_is_trusted(tmp_path):
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "archiver.toml").write_text("")
    environ = {"ARCHIVER_NETWORK__PROXY": "http://proxy.example:3128"}
    loaded = load_settings(None, environ, tmp_path)
    assert loaded.found_in_working_directory
    assert may_send_keys(loaded, "https://web.archive.org/save")
