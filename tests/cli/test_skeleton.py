"""The face every command has: global options, errors, exit codes, colour, broken pipes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from archiver import __version__
from archiver.cli import COMMANDS, Entry, main
from archiver.cli.common import Application, global_options, pass_application, wants_color
from archiver.errors import CannotWork, ConfigurationError, Offline

ROOT = Path(__file__).resolve().parents[2]


# Commands of the tests' own, entered into the table: what a face may do.
@click.command()
@click.argument("what", default="")
@click.option("--json", "as_json", is_flag=True)
@pass_application
def trial(application: Application, what: str, as_json: bool) -> int | None:
    """Try something."""
    outcomes = {
        "offline": Offline("There is no way out.", "Try again later."),
        "hostile": CannotWork("a\nFAKE \x1b[31m\u202eline", "Look\nhere."),
        "bug": ValueError("a\nmistake of ours"),
        "disk-full": OSError(28, "No space left on device", "archiver.db"),
        "interrupt": KeyboardInterrupt(),
    }
    if what in outcomes:
        raise outcomes[what]
    if what == "findings":
        return 1
    click.echo(f"{application.verbose} {application.quiet} {application.color}")
    return None


@pytest.fixture(autouse=True)
def _trial_command(monkeypatch):
    monkeypatch.setitem(COMMANDS, "trial", Entry(__name__, "trial", "Try something."))
    monkeypatch.delenv("ARCHIVER_CONFIG", raising=False)


# -- global options -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["-vv", "--color", "never", "trial"],
        ["trial", "-vv", "--color", "never"],
        ["-v", "trial", "-v", "--color=never"],
        ["--color", "always", "trial", "--verbose", "--verbose", "--color", "never"],
    ],
)
def test_global_options_work_before_and_after_the_command(arguments, capsys):
    assert main(arguments) == 0
    assert capsys.readouterr().out == "2 False never\n"


def test_global_options_work_behind_the_command_of_a_group(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "mine.toml"
    file.write_text('[check]\ncontact = "me@example.org"\n')
    for arguments in (["-c", "mine.toml", "config", "show"], ["config", "show", "-c", "mine.toml"]):
        assert main(arguments) == 0
        assert 'contact = "me@example.org"' in capsys.readouterr().out


def test_the_version_is_told_anywhere(capsys):
    for arguments in (["--version"], ["trial", "--version"]):
        assert main(arguments) == 0
        assert capsys.readouterr().out == f"archiver {__version__}\n"


def test_giving_a_command_the_global_options_twice_changes_nothing():
    before = len(global_options(trial).params)
    assert len(global_options(trial).params) == before


# -- errors -------------------------------------------------------------------------------


def test_an_error_is_one_sentence_and_a_next_step_on_standard_error(capsys):
    assert main(["trial", "offline"]) == 4
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "archiver: There is no way out.\nTry again later.\n"


def test_with_json_the_error_object_stands_on_standard_output_too(capsys):
    assert main(["trial", "offline", "--json"]) == 4
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {
        "error": {
            "code": "offline",
            "message": "There is no way out.",
            "next": "Try again later.",
        }
    }
    assert "Try again later." in captured.err


def test_a_mistyped_option_is_a_usage_error_also_in_json(capsys):
    assert main(["trial", "--json", "--nonsense"]) == 2
    captured = capsys.readouterr()
    assert json.loads(captured.out)["error"]["code"] == "usage"
    assert "'archiver trial --help'" in captured.err


def test_no_hostile_text_forges_a_line_or_steers_the_terminal(capsys):
    assert main(["trial", "hostile"]) == 4
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all(line.isprintable() for line in lines)


def test_a_mistake_of_ours_shows_no_trace_unless_asked_for(capsys):
    assert main(["trial", "bug"]) == 4
    quiet = capsys.readouterr().err
    assert "Traceback" not in quiet
    assert "-vv" in quiet
    assert len(quiet.splitlines()) == 2
    assert main(["trial", "bug", "-vv"]) == 4
    assert "Traceback" in capsys.readouterr().err


def test_a_full_disk_is_named_with_its_file(capsys):
    assert main(["trial", "disk-full"]) == 4
    err = capsys.readouterr().err
    assert "archiver.db: No space left on device." in err
    assert "Free some space" in err


def test_exit_codes_of_a_command_pass_through(capsys):
    assert main(["trial", "findings"]) == 1
    assert main(["trial", "interrupt"]) == 130
    assert main(["trial"]) == 0
    assert main([]) == 2
    assert main(["config"]) == 2
    capsys.readouterr()


@pytest.mark.parametrize(
    ("typed", "meant"), [("confg", "config"), ("complete", "completion"), ("trail", "trial")]
)
def test_a_mistyped_command_gets_the_nearest_one_proposed(typed, meant, capsys):
    assert main([typed]) == 2
    assert f"Did you mean '{meant}'?" in capsys.readouterr().err


def test_a_working_directory_that_is_gone_is_a_plain_sentence(tmp_path, monkeypatch, capsys):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert main(["config", "show"]) == 2
    assert "does not exist any more" in capsys.readouterr().err


def test_details_of_an_error_stand_below_it(capsys, tmp_path):
    file = tmp_path / "bad.toml"
    file.write_text('[check]\ntimeot = "1s"\nconcurrency = 0\n')
    assert main(["config", "show", "--json", "-c", str(file)]) == 2  # config has no --json
    capsys.readouterr()
    assert main(["config", "show", "-c", str(file)]) == 3
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "archiver: The configuration has 2 problems."
    assert all(line.startswith("  check.") for line in lines[1:3])
    assert len(lines) == 4


def test_every_error_says_what_to_do_next():
    for kind in (ConfigurationError, CannotWork):
        assert kind("x.", "Do y.").next_step


# -- colour -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "environ", "terminal", "expected"),
    [
        ("auto", {}, True, True),
        ("auto", {}, False, False),
        ("auto", {"NO_COLOR": "1"}, True, False),
        ("auto", {"NO_COLOR": "0"}, True, False),
        ("auto", {"NO_COLOR": ""}, True, True),
        ("auto", {"FORCE_COLOR": "1"}, False, True),
        ("auto", {"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
        ("auto", {"TERM": "dumb"}, True, False),
        ("always", {"NO_COLOR": "1"}, False, True),
        ("never", {"FORCE_COLOR": "1"}, True, False),
    ],
)
def test_colour_is_decided_by_the_flag_then_the_environment(choice, environ, terminal, expected):
    assert wants_color(choice, environ, terminal) is expected


@pytest.mark.parametrize(("choice", "colored"), [("always", True), ("never", False)])
def test_the_consoles_obey_and_take_no_markup(choice, colored, capsys):
    application = Application({"TERM": "xterm"})
    application.color = choice
    application.stdout.print("[bold]x[/bold]", style="red")
    out = capsys.readouterr().out
    assert "[bold]x[/bold]" in out
    assert ("\x1b[" in out) is colored


# -- as a process -------------------------------------------------------------------------


def start(*arguments: str, **options) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "archiver", *arguments],
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        **options,
    )


def test_a_reader_that_leaves_early_is_no_error():
    reader, writer = os.pipe()
    os.close(reader)
    process = start("config", "init", stdout=writer)
    os.close(writer)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, b"")


def test_an_error_that_nobody_reads_keeps_its_exit_code():
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "archiver", "config", "show", "-c", "nowhere.toml"]
    done = subprocess.run(command, stdout=writer, stderr=writer, cwd=ROOT, timeout=30, check=False)
    os.close(writer)
    assert done.returncode == 3


@pytest.mark.parametrize(
    ("arguments", "code"), [("config init", 0), ("config show -c nowhere.toml", 3)]
)
def test_a_command_started_without_outputs_keeps_its_exit_code(arguments, code):
    command = f'"{sys.executable}" -m archiver {arguments} >&- 2>&-'
    assert subprocess.run(command, shell=True, cwd=ROOT, timeout=30, check=False).returncode == code


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_standard_output_is_said_and_exits_4():
    with open("/dev/full", "wb") as full:
        process = start("config", "init", stdout=full)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 4
    assert b"No space left" in err
    assert b"Traceback" not in err


@pytest.mark.parametrize(
    ("command", "code"), [("config check", 130), ("run --once", 130), ("run", 0)]
)
@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_interruption_and_termination_exit_130_and_a_service_0_without_a_trace(
    tmp_path, signal_number, command, code
):
    fifo = tmp_path / "never-written.toml"
    os.mkfifo(fifo)
    process = start(*command.split(), "-c", str(fifo), stdout=subprocess.PIPE)
    # Opening the pipe for writing succeeds as soon as the command waits for its other end.
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            writer = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
            break
        except OSError:
            time.sleep(0.05)
    for _ in range(20):
        # Between two system calls one signal waits for the next.
        process.send_signal(signal_number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            _, err = process.communicate(timeout=1)
            break
    os.close(writer)
    assert process.returncode == code
    assert b"Traceback" not in err


def test_a_terminal_without_unicode_gets_escapes_not_an_exception():
    done = subprocess.run(
        [sys.executable, "-m", "archiver", "config", "init"],
        capture_output=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        timeout=30,
        check=False,
    )
    assert done.returncode == 0
    assert b"second, \\u2026 bad look" in done.stdout
