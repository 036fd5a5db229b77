"""The help is complete, and so light that it is there at once."""

from __future__ import annotations

import json
import subprocess
import sys

import click
import pytest

from archiver.cli import COMMANDS, command_line

# What would make `--help` slow (reference perf §7), or is of no use to it.
HEAVY = (
    "aiohttp",
    "apscheduler",
    "asyncio",
    "frontmatter",
    "importlib.metadata",
    "jinja2",
    "pydantic",
    "pydantic_settings",
    "rapidfuzz",
    "rich",
    "selectolax",
    "sqlite3",
    "sqlite_utils",
    "waybackpy",
    "yaml",
)

LIST_MODULES = """
import json, sys
from archiver.cli import main
code = main({arguments!r})
print(json.dumps([code, sorted(sys.modules)]), file=sys.stderr)
"""

LIST_MODULES_OF_COMPLETION = """
import atexit, json, os, sys
atexit.register(lambda: print(json.dumps([0, sorted(sys.modules)]), file=sys.stderr))
os.environ["_ARCHIVER_COMPLETE"] = "bash_complete"
os.environ["COMP_WORDS"] = "archiver co"
os.environ["COMP_CWORD"] = "1"
from archiver.cli import main
main([])
"""


def modules_after(script: str) -> tuple[int, set[str], str]:
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False
    )
    code, names = json.loads(done.stderr.splitlines()[-1])
    return code, set(names), done.stdout


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["--version"], ["no-such-command"]])
def test_help_imports_nothing_heavy(arguments):
    code, modules, _ = modules_after(LIST_MODULES.format(arguments=arguments))
    assert code == (2 if arguments == ["no-such-command"] else 0)
    assert modules.isdisjoint(HEAVY)
    assert not {name for name in modules if name.startswith("archiver.cli.")} - {
        "archiver.cli.common"
    }


def test_completing_a_command_imports_nothing_heavy():
    _, modules, output = modules_after(LIST_MODULES_OF_COMPLETION)
    assert {"plain,config", "plain,completion"} <= set(output.split())
    assert modules.isdisjoint(HEAVY)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_table_exists_and_explains_itself(name):
    context = click.Context(command_line, info_name="archiver")
    command = command_line.get_command(context, name)
    assert command is not None
    assert command.help
    with click.Context(command, info_name=name, parent=context) as below:
        assert command.help.split(".")[0].split("\n")[0][:20] in command.get_help(below)
    for deeper in command.commands.values() if isinstance(command, click.Group) else ():
        assert deeper.help


def test_the_help_lists_every_command_of_the_table():
    text = command_line.get_help(click.Context(command_line, info_name="archiver"))
    for name, entry in COMMANDS.items():
        assert f"  {name} " in text
        assert entry.summary.split()[0] in text


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_that_asks_archiver(shell, capsys):
    from archiver.cli import main

    assert main(["completion", shell]) == 0
    assert f"_ARCHIVER_COMPLETE={shell}_complete" in capsys.readouterr().out


def test_the_table_follows_the_order_of_the_contract():
    order = "run check archive mark why status report events config db demo completion".split()
    assert list(COMMANDS) == [name for name in order if name in COMMANDS]
