"""The settings: where they are found, what wins, what is refused and how that is said."""

from __future__ import annotations

import ipaddress
import os
import re
import tempfile
import tomllib
from datetime import UTC, time, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archiver.config import SettingProblems, Settings, has_effect, load_settings
from archiver.config.catalogue import NOT_YET_EFFECTIVE, options, sections, variable
from archiver.config.quantities import read_duration, read_size
from archiver.config.review import resolver_remark
from archiver.config.writing import annotated_example, effective, toml_value
from archiver.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[1]
FIXTURES = Path(__file__).parent / "config"
NO_ENVIRONMENT: dict[str, str] = {}


def write(folder: Path, text: str, name: str = "archiver.toml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def problems_of(file: Path | None, environ: dict[str, str], cwd: Path) -> list[str]:
    with pytest.raises(SettingProblems) as caught:
        load_settings(file, environ, cwd)
    assert caught.value.exit_code == 3
    return list(caught.value.details)


# -- the example file ---------------------------------------------------------------------


def test_the_example_file_is_the_one_config_init_prints():
    assert (ROOT / "config" / "archiver.toml").read_text(encoding="utf-8") == annotated_example()


def test_the_example_file_names_every_option_with_its_default():
    written = tomllib.loads(annotated_example())
    for key, option in options().items():
        value = written
        for part in key.split("."):
            value = value[part]
        assert value == option.default, key


def test_the_example_file_loads_and_equals_the_defaults(tmp_path):
    loaded = load_settings(ROOT / "config" / "archiver.toml", NO_ENVIRONMENT, tmp_path)
    assert loaded.settings == Settings()
    assert set(loaded.origins.values()) == {"file"}


# Contract §3, written down once more by hand: a renamed option or a changed default must fail.
CONTRACT = """
[events]
paths = ["events"]
include = ["**/*.md", "**/*.yaml", "**/*.yml", "**/*.json"]
source_keys = ["sources", "citations"]
body_links = false
[database]
path = "archiver.db"
backup_directory = ""
backup_keep = 7
keep_looks = "400d"
[schedule]
scan = "15m"
check = "10m"
archive = "2m"
verify = "30m"
report = "1d"
maintenance = "daily 03:30"
[check]
user_agent = ""
contact = ""
concurrency = 32
per_host = 1
host_delay = "5s"
timeout = "30s"
connect_timeout = "10s"
max_body = "512 KiB"
max_redirects = 10
interval_ok = "7d"
interval_ok_max = "30d"
intervals_failing = ["6h", "1d", "2d", "3d"]
interval_blocked = "14d"
interval_dead = "30d"
strong_looks = 3
strong_days = 3
weak_looks = 5
weak_days = 30
title_match = 70
canaries = []
[network]
allow_private = []
proxy = ""
ca_file = ""
[archive]
mode = "auto"
save_url = "https://web.archive.org/save"
cdx_url = "https://web.archive.org/cdx/search/cdx"
playback_url = "https://web.archive.org/web"
availability_url = "https://archive.org/wayback/available"
aggregator_url = ""
access_key_file = ""
secret_key_file = ""
submits_per_minute = 5
slots = 2
daily = 500
anonymous_per_minute = 1
anonymous_daily = 50
reads_per_minute = 20
submit_timeout = "120s"
verify_after = "26h"
reverify_every = "90d"
refresh_after = "365d"
[archive.local]
enabled = false
directory = "captures"
max_body = "20 MiB"
max_total = "5 GiB"
[report]
directory = "report"
formats = ["html", "json"]
[web]
enabled = false
bind = "127.0.0.1:8088"
token_file = ""
allowed_hosts = []
[notify]
webhook = ""
secret_file = ""
command = []
heartbeat = ""
on = ["dead", "recovered", "archive-failed"]
[log]
level = "info"
format = "auto"
"""


def test_names_and_defaults_are_those_of_the_contract():
    assert tomllib.loads(annotated_example()) == tomllib.loads(CONTRACT)


def test_every_option_is_explained():
    assert all(option.description for option in options().values())
    assert all(model.__doc__ for model in sections().values())


# -- good and bad files -------------------------------------------------------------------


@pytest.mark.parametrize("file", sorted(FIXTURES.glob("good-*.toml")), ids=lambda file: file.stem)
def test_a_good_file_loads(file, tmp_path):
    assert load_settings(file, NO_ENVIRONMENT, tmp_path).file == file


@pytest.mark.parametrize("file", sorted(FIXTURES.glob("bad-*.toml")), ids=lambda file: file.stem)
def test_a_bad_file_is_refused_with_every_problem_it_announces(file, tmp_path):
    announced = [
        line.removeprefix("# expect: ")
        for line in file.read_text(encoding="utf-8").splitlines()
        if line.startswith("# expect: ")
    ]
    found = [line.replace(f" ({file})", "") for line in problems_of(file, NO_ENVIRONMENT, tmp_path)]
    for expected in announced:
        assert [line for line in found if line.startswith(expected)], (expected, found)
    assert len(found) == len(announced), found


def test_values_arrive_as_durations_sizes_and_times(tmp_path):
    loaded = load_settings(FIXTURES / "good-everything-changed.toml", NO_ENVIRONMENT, tmp_path)
    found = loaded.settings
    assert found.schedule.scan == timedelta(hours=1)
    assert found.schedule.maintenance == time(23, 59, tzinfo=UTC)
    assert found.check.host_delay == timedelta(0)
    assert found.check.intervals_failing == (timedelta(hours=1), timedelta(hours=2))
    assert found.check.max_body == 1024**2
    assert found.archive.refresh_after is None
    assert found.archive.save_url == "http://127.0.0.1:8080/save"
    assert found.archive.local.max_total == 1024**3


def test_host_names_are_compared_in_one_spelling_and_the_longest_wins(tmp_path):
    loaded = load_settings(FIXTURES / "good-everything-changed.toml", NO_ENVIRONMENT, tmp_path)
    found = loaded.settings
    assert found.for_host("www.example.org") is found.hosts["example.org"]
    assert found.for_host("old.blog.example.org") is found.hosts["blog.example.org"]
    assert found.for_host("xn--bcher-kva.example").concurrency == 2
    assert found.for_host("notexample.org") is None


def test_settings_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Settings().check.timeout = timedelta(seconds=1)


def test_defaults_read_nothing_from_the_process_environment(monkeypatch):
    monkeypatch.setenv("ARCHIVER_CHECK__TIMEOUT", "1s")
    monkeypatch.setenv("CHECK", '{"timeout": "1s"}')
    assert Settings().check.timeout == timedelta(seconds=30)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[check\n", "is no TOML"),
        ("a = 1\na = 2\n", "is no TOML"),
        ("x = " + "[" * 5000, "is no TOML"),
        ("x = 1" + "0" * 6000, "is no TOML"),
    ],
)
def test_a_file_that_is_no_toml_is_one_plain_sentence(tmp_path, text, reason):
    file = write(tmp_path, text)
    with pytest.raises(ConfigurationError, match=reason) as caught:
        load_settings(file, NO_ENVIRONMENT, tmp_path)
    assert "\n" not in caught.value.message


def test_a_file_that_is_not_utf8_or_too_large_is_refused(tmp_path):
    file = write(tmp_path, "")
    file.write_bytes(b'[check]\ncontact = "\xff"\n')
    with pytest.raises(ConfigurationError, match="is no TOML"):
        load_settings(file, NO_ENVIRONMENT, tmp_path)
    file.write_bytes(b"#" * (1024 * 1024 + 1))
    with pytest.raises(ConfigurationError, match="larger than 1 MiB"):
        load_settings(file, NO_ENVIRONMENT, tmp_path)


def test_a_byte_order_mark_does_no_harm(tmp_path):
    file = write(tmp_path, '\ufeff[check]\ncontact = "me@example.org"\n')
    assert load_settings(file, NO_ENVIRONMENT, tmp_path).settings.check.contact == "me@example.org"


def test_a_hostile_value_cannot_forge_a_line_of_the_message(tmp_path):
    file = write(tmp_path, '[check]\n"a\\nFAKE\\u001b[31m" = "x\\n\\u202eFAKE"\n')
    (line,) = problems_of(file, NO_ENVIRONMENT, tmp_path)
    assert line.isprintable()


# -- where the file is found --------------------------------------------------------------


def test_the_file_is_sought_in_the_order_of_the_contract(tmp_path):
    named = write(tmp_path / "a", '[check]\ncontact = "named"\n')
    variable_file = write(tmp_path / "b", '[check]\ncontact = "variable"\n')
    write(tmp_path / "config", '[check]\ncontact = "here"\n')
    environ = {"ARCHIVER_CONFIG": str(variable_file)}

    by_flag = load_settings(named, environ, tmp_path)
    by_variable = load_settings(None, environ, tmp_path)
    by_place = load_settings(None, NO_ENVIRONMENT, tmp_path)

    assert by_flag.settings.check.contact == "named"
    assert by_variable.settings.check.contact == "variable"
    assert by_place.settings.check.contact == "here"
    found_here = [loaded.found_in_working_directory for loaded in (by_flag, by_variable, by_place)]
    assert found_here == [False, False, True]


def test_without_a_file_the_defaults_hold_relative_to_the_working_directory(tmp_path):
    loaded = load_settings(None, NO_ENVIRONMENT, tmp_path)
    assert loaded.file is None
    assert loaded.database_path == tmp_path / "archiver.db"
    assert loaded.event_folders == (("events", tmp_path / "events"),)


@pytest.mark.parametrize("how", ["flag", "variable"])
def test_a_named_file_that_is_missing_is_an_error(tmp_path, how):
    explicit = Path("nowhere.toml") if how == "flag" else None
    environ = {"ARCHIVER_CONFIG": "nowhere.toml"} if how == "variable" else {}
    with pytest.raises(ConfigurationError, match=r"nowhere\.toml cannot be read"):
        load_settings(explicit, environ, tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look into every folder")
def test_a_folder_we_may_not_look_into_is_an_error_not_an_absent_file(tmp_path):
    write(tmp_path / "config", "")
    (tmp_path / "config").chmod(0)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_settings(None, NO_ENVIRONMENT, tmp_path)


# -- what wins ----------------------------------------------------------------------------


def test_flags_win_over_the_environment_and_that_over_the_file(tmp_path):
    file = write(tmp_path, '[check]\ntimeout = "1s"\nper_host = 2\n[log]\nlevel = "error"\n')
    environ = {"ARCHIVER_CHECK__TIMEOUT": "2s", "ARCHIVER_LOG__LEVEL": "warning"}
    loaded = load_settings(file, environ, tmp_path, {"log.level": "debug"})

    assert loaded.settings.check.timeout == timedelta(seconds=2)
    assert loaded.settings.check.per_host == 2
    assert loaded.settings.log.level == "debug"
    origins = {key: loaded.origins[key] for key in ("check.timeout", "check.per_host", "log.level")}
    assert origins == {
        "check.timeout": "environment",
        "check.per_host": "file",
        "log.level": "command line",
    }
    assert loaded.origins["check.contact"] == "default"


def test_the_environment_carries_every_kind_of_value(tmp_path):
    environ = {
        "ARCHIVER_EVENTS__PATHS": "one, two",
        "ARCHIVER_EVENTS__BODY_LINKS": "true",
        "ARCHIVER_CHECK__CANARIES": "",
        "ARCHIVER_CHECK__MAX_BODY": "1 MiB",
        "ARCHIVER_CHECK__TITLE_MATCH": "80",
        "ARCHIVER_ARCHIVE__LOCAL__ENABLED": "1",
        "ARCHIVER_CHECK__INTERVALS_FAILING": "1h,2h",
        "ARCHIVER_SHARED": "/not/ours",
        "OTHER__THING": "x",
    }
    found = load_settings(None, environ, tmp_path).settings
    assert found.events.paths == ("one", "two")
    assert found.events.body_links is True
    assert found.check.canaries == ()
    assert found.check.max_body == 1024**2
    assert found.check.title_match == 80
    assert found.archive.local.enabled is True
    assert found.check.intervals_failing == (timedelta(hours=1), timedelta(hours=2))


def test_unknown_variables_are_errors_with_a_suggestion(tmp_path):
    environ = {
        "ARCHIVER_CHEK__TIMEOUT": "3s",
        "ARCHIVER_check__timeout": "3s",
        "ARCHIVER_HOSTS__EXAMPLE": "1",
        "ARCHIVER_CHECK__TIMEOUT": "soon",
        "ARCHIVER_NOTHING__LIKE_IT": "1",
    }
    found = problems_of(None, environ, tmp_path)
    assert "did you mean ARCHIVER_CHECK__TIMEOUT?" in found[0]
    assert len(found) == len(environ)
    assert any("[hosts] cannot be set from the environment" in line for line in found)
    assert any(
        line.startswith("check.timeout") and "ARCHIVER_CHECK__TIMEOUT" in line for line in found
    )


def test_problems_of_file_and_environment_come_together(tmp_path):
    file = write(tmp_path, "[check]\nconcurrency = 0\n")
    found = problems_of(file, {"ARCHIVER_LOG__LEVEL": "loud", "ARCHIVER_A__B": "1"}, tmp_path)
    assert len(found) == 3


def test_options_that_are_wrong_together_are_told_with_the_place_of_one(tmp_path):
    environ = {"ARCHIVER_WEB__ENABLED": "1", "ARCHIVER_WEB__BIND": "0.0.0.0:8088"}
    [found] = problems_of(None, environ, tmp_path)
    assert "(ARCHIVER_WEB__BIND)" in found
    assert "set token_file" in found


def test_every_option_can_be_set_by_its_variable(tmp_path):
    texts = {
        variable(key): ",".join(option.default)
        if isinstance(option.default, list)
        else str(option.default).lower()
        if isinstance(option.default, bool)
        else str(option.default)
        for key, option in options().items()
    }
    loaded = load_settings(None, texts, tmp_path)
    assert loaded.settings == Settings()
    assert set(loaded.origins.values()) == {"environment"}


# -- relative paths -----------------------------------------------------------------------


def test_paths_in_a_file_start_from_its_folder_or_the_one_above_config(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    text = '[events]\npaths = ["my/events", "/abs/events"]\n'
    plain = load_settings(write(tmp_path / "etc", text), NO_ENVIRONMENT, elsewhere)
    inside = load_settings(write(tmp_path / "repo" / "config", text), NO_ENVIRONMENT, elsewhere)

    assert plain.event_folders == (
        ("my/events", tmp_path / "etc" / "my/events"),
        ("/abs/events", Path("/abs/events")),
    )
    assert plain.database_path == tmp_path / "etc" / "archiver.db"
    assert inside.base == tmp_path / "repo"
    assert inside.database_path == tmp_path / "repo" / "archiver.db"
    assert inside.report_directory == tmp_path / "repo" / "report"


def test_paths_in_variables_and_flags_start_from_the_working_directory(tmp_path):
    file = write(tmp_path / "etc", '[network]\nca_file = "ca.pem"\n')
    here = tmp_path / "here"
    here.mkdir()
    environ = {"ARCHIVER_DATABASE__PATH": "mine.db"}
    loaded = load_settings(file, environ, here, {"report.directory": "out"})
    assert loaded.database_path == here / "mine.db"
    assert loaded.report_directory == here / "out"
    assert loaded.path("network.ca_file") == tmp_path / "etc" / "ca.pem"
    assert loaded.path("web.token_file") is None


def test_a_relative_config_flag_starts_from_the_working_directory(tmp_path):
    write(tmp_path / "etc", "")
    loaded = load_settings(Path("etc/archiver.toml"), NO_ENVIRONMENT, tmp_path)
    assert loaded.base == tmp_path / "etc"


# -- showing ------------------------------------------------------------------------------


def test_what_is_shown_loads_to_the_same_settings(tmp_path):
    environ = {"ARCHIVER_CHECK__TIMEOUT": "7s"}
    loaded = load_settings(FIXTURES / "good-everything-changed.toml", environ, tmp_path)
    shown_again = write(tmp_path, effective(loaded, with_origin=True))
    assert load_settings(shown_again, NO_ENVIRONMENT, tmp_path).settings == loaded.settings


def test_what_is_shown_hides_passwords_in_addresses(tmp_path):
    file = write(
        tmp_path,
        '[network]\nproxy = "http://me:hidden@proxy.example:3128"\n'
        '[notify]\nwebhook = "https://chat.example/hooks/hidden"\n',
    )
    text = effective(load_settings(file, NO_ENVIRONMENT, tmp_path))
    assert "hidden" not in text
    assert "proxy.example" in text


@given(st.text())
@settings(max_examples=150)
def test_any_text_is_written_as_toml_on_one_harmless_line(text):
    written = toml_value(text)
    assert written.isprintable()
    assert tomllib.loads(f"x = {written}") == {"x": text}


@given(st.integers(0, 10**6), st.sampled_from("smhd"))
def test_durations_are_what_they_say(number, unit):
    seconds = number * {"s": 1, "m": 60, "h": 3600, "d": 86400}[unit]
    if seconds <= 36500 * 86400:
        assert read_duration(f"{number}{unit}").total_seconds() == seconds


@given(st.text(max_size=12).filter(lambda text: not text[:1].isdigit()))
@settings(max_examples=150)
def test_what_does_not_begin_with_a_number_is_no_quantity(text):
    for read in (read_duration, read_size):
        with pytest.raises(ValueError, match="expected a "):
            read(text)


# -- the resolver and the unit ------------------------------------------------------------


@pytest.mark.parametrize(
    ("servers", "warned"),
    [
        (["127.0.0.53"], False),
        (["9.9.9.9", "2620:fe::fe"], False),
        (["9.9.9.9", "192.168.1.1"], True),
        (["fe80::1%eth0"], True),
        (["fd00::53"], True),
        (["nonsense"], False),
    ],
)
def test_a_resolver_the_unit_would_block_is_named(tmp_path, servers, warned):
    file = write(
        tmp_path, "\n".join(["# mine", "nameserver", *map("nameserver {}".format, servers)])
    )
    assert bool(resolver_remark(file)) is warned
    assert resolver_remark(tmp_path / "absent") is None


def test_the_remark_knows_the_ranges_the_unit_denies():
    unit = (ROOT / "systemd" / "archiver.service").read_text(encoding="utf-8")
    (denied,) = re.findall(r"^IPAddressDeny=(.*)$", unit, re.M)
    for block in denied.split():
        if "/" in block:
            server = f"nameserver {ipaddress.ip_network(block)[1]}\n"
            with tempfile.NamedTemporaryFile("w") as file:
                file.write(server)
                file.flush()
                assert resolver_remark(Path(file.name)), block


# -- not yet ------------------------------------------------------------------------------


def test_what_has_no_effect_yet_names_real_options_and_sections():
    assert set(options()).union(sections()) >= NOT_YET_EFFECTIVE
    assert has_effect("check.timeout")
    for name in NOT_YET_EFFECTIVE:
        below = [key for key in options() if key == name or key.startswith(name + ".")]
        assert below
        assert not any(map(has_effect, below))
