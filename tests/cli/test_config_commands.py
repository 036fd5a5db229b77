"""`archiver config check | show | init | schema`, as a person types them."""

from __future__ import annotations

import json
import tomllib

import pytest

from archiver.cli import main
from archiver.config.catalogue import NOT_YET_EFFECTIVE, options


@pytest.fixture(autouse=True)
def _own_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("ARCHIVER_CONFIG", "IA_ACCESS_KEY", "IA_SECRET_KEY", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "events").mkdir()
    (tmp_path / "config").mkdir()


def configure(tmp_path, text):
    (tmp_path / "config" / "archiver.toml").write_text(text, encoding="utf-8")


def test_check_of_a_right_configuration_exits_0_and_says_which(tmp_path, capsys):
    configure(tmp_path, '[check]\ncontact = "me@example.org"\n')
    assert main(["config", "check"]) == 0
    captured = capsys.readouterr()
    assert str(tmp_path / "config" / "archiver.toml") in captured.out
    assert str(tmp_path / "archiver.db") in captured.out
    assert "warning" not in captured.err


def test_check_names_what_has_no_effect_yet(capsys):
    assert main(["config", "check"]) == 0
    err = capsys.readouterr().err
    for name in NOT_YET_EFFECTIVE:
        assert name in err


def test_check_warns_of_what_is_allowed_but_perhaps_not_meant(tmp_path, capsys):
    configure(
        tmp_path,
        "[check]\nstrong_days = 0\n[events]\nbody_links = true\n",
    )
    assert main(["config", "check"]) == 0
    err = capsys.readouterr().err
    assert "check.contact is empty" in err
    assert "check.strong_days is below 3" in err
    assert "without effect in this version: events.body_links" in err


def test_check_warns_of_what_would_keep_digests_from_arriving(tmp_path, capsys):
    (tmp_path / "key").touch()
    configure(tmp_path, "[notify]\ncommand = ['scripts/mail', '-s']\nsecret_file = 'key'\n")
    assert main(["config", "check"]) == 0
    said = capsys.readouterr().err
    assert f"there is no program {tmp_path / 'scripts' / 'mail'}" in said
    assert "notify.secret_file is empty" in said
    assert "notify.secret_file signs what goes to notify.webhook" in said
    configure(tmp_path, "[notify]\ncommand = ['cat']\n")
    assert main(["config", "check"]) == 0
    assert "notify" not in capsys.readouterr().err


def test_check_warns_when_the_account_keys_will_not_be_sent(tmp_path, monkeypatch, capsys):
    configure(tmp_path, "[network]\nproxy = 'http://127.0.0.1:3128'\n")
    monkeypatch.setenv("IA_ACCESS_KEY", "access-word")
    monkeypatch.setenv("IA_SECRET_KEY", "secret-word")
    assert main(["config", "check"]) == 0
    captured = capsys.readouterr()
    assert "The account keys are not sent" in captured.err
    assert "-word" not in captured.out + captured.err


def test_quiet_check_is_silent_when_all_is_well(capsys):
    assert main(["config", "check", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


def test_check_names_every_problem_and_exits_3(tmp_path, capsys):
    configure(tmp_path, "[check]\ntimeot = '1s'\n[archive]\nmode = 'of'\n")
    assert main(["config", "check", "-q"]) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "did you mean check.timeout?" in captured.err
    assert "archive.mode" in captured.err
    assert "archiver config init" in captured.err


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[events]\npaths = ['nowhere']\n", "events folder nowhere"),
        ("[network]\nca_file = 'nowhere.pem'\n", "network.ca_file"),
        ("[archive]\naccess_key_file = 'nowhere'\n", "archive.access_key_file"),
        ("[archive]\nmode = 'spn2'\n", 'archive.mode is "spn2", but there are no account keys'),
    ],
)
def test_check_exits_3_when_something_named_cannot_be_read_or_is_lacking(
    tmp_path, capsys, text, named
):
    configure(tmp_path, text)
    assert main(["config", "check"]) == 3
    assert named in capsys.readouterr().err


def test_check_names_all_that_is_lacking_at_once(tmp_path, capsys):
    configure(
        tmp_path,
        "[events]\npaths = ['nowhere', 'elsewhere']\n[network]\nca_file = 'nowhere.pem'\n"
        "[archive]\nmode = 'spn2'\n[web]\nenabled = true\ntoken_file = 'no-token'\n",
    )
    assert main(["config", "check", "-q"]) == 3
    said = capsys.readouterr().err
    assert said.startswith("archiver: The configuration has 5 problems.\n")
    for named in ("nowhere", "elsewhere", "network.ca_file", "web.token_file", "no account keys"):
        assert named in said
    assert said.rstrip().endswith("'archiver config check' says whether all is well then.")


def test_show_prints_every_value_in_force_as_toml(capsys, monkeypatch):
    monkeypatch.setenv("ARCHIVER_CHECK__TIMEOUT", "7s")
    assert main(["config", "show"]) == 0
    shown = tomllib.loads(capsys.readouterr().out)
    assert shown["check"]["timeout"] == "7s"
    assert shown["archive"]["local"]["max_total"] == "5 GiB"


def test_show_hides_what_a_program_of_ours_is_called_with(tmp_path, capsys):
    configure(tmp_path, "[notify]\ncommand = ['curl', '-H', 'Authorization: s3cret']\n")
    assert main(["config", "show"]) == 0
    shown = capsys.readouterr().out
    assert tomllib.loads(shown)["notify"]["command"] == ["curl", "***", "***"]
    assert "s3cret" not in shown


def test_show_origin_says_where_each_value_comes_from(tmp_path, capsys, monkeypatch):
    configure(tmp_path, "[check]\nper_host = 2\n[hosts.'example.org']\nskip = true\n")
    monkeypatch.setenv("ARCHIVER_CHECK__TIMEOUT", "7s")
    assert main(["config", "show", "--origin", "--log-format", "json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    file = tmp_path / "config" / "archiver.toml"
    assert f"per_host = 2  # {file}" in lines
    assert 'timeout = "7s"  # ARCHIVER_CHECK__TIMEOUT' in lines
    assert 'host_delay = "5s"  # default' in lines
    assert 'format = "json"  # command line' in lines
    assert '[hosts."example.org"]' in lines
    assert f"skip = true  # {file}" in lines


def test_init_prints_a_file_that_is_right(tmp_path, capsys):
    assert main(["config", "init"]) == 0
    configure(tmp_path, capsys.readouterr().out)
    assert main(["config", "check"]) == 0


def test_init_works_where_the_configuration_is_wrong(tmp_path, capsys):
    configure(tmp_path, "nonsense")
    assert main(["config", "init"]) == 0
    assert "[check]" in capsys.readouterr().out


def test_schema_describes_every_option(capsys):
    assert main(["config", "schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    for key, option in options().items():
        node = schema
        for part in key.split("."):
            while "$ref" in node:
                node = schema["$defs"][node["$ref"].rpartition("/")[2]]
            node = node["properties"][part]
        assert node["default"] == option.default, key
        assert node["description"] == option.description
