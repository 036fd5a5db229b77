"""Write the parts of the documents that the program itself knows: `make docs`.

A part stands between `<!-- begin: NAME -->` and `<!-- end: NAME -->`; the rest of a document is
a person's. With `--check` nothing is written, and the exit code is 1 when something would be.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import click

from archiver.cli import command_line, main
from archiver.reasons import REASONS, advice, in_words

HERE = Path(__file__).resolve().parent
# As wide as a terminal of 80 columns: the width --help has in a pipe.
COLUMNS = "80"

# Which reasons go with which verdicts, in the order of reading. What stands nowhere is listed
# under "Other", so that no reason is ever left out.
GROUPS: Mapping[str, str] = {
    "`ok` and `moved`: the page is there": """
        ok moved redirected multiple-choices unreadable js-redirect blocked-now content-drift
        resurrected flapping tls-expired tls-not-yet tls-self-signed tls-chain tls-name""",
    "`blocked`: we were refused, which says nothing about the page": """
        challenge login-wall consent-wall region-locked refusal-page same-for-every-url
        ambiguous-host http-451 http-429 client-cert private-address bad-port skipped
        alive-elsewhere""",
    "`failing`, then `dead` after three looks over three days (strong evidence)": """
        http-404 http-410 dns-gone soft-404-title soft-404-heading soft-404-text
        soft-404-marker soft-404-path soft-404-sibling same-not-found-page redirected-home
        redirected-search redirected-section default-page parked title-missing""",
    "`failing`, then `dead` after five looks over thirty days (weak evidence)": """
        connect-timeout refused reset empty-answer unreachable dns-no-address http-52x
        http-530""",
    "`failing` for as long as it lasts, never `dead`": """
        http-5xx http-503 maintenance app-error suspended empty-page read-timeout
        redirect-loop bad-redirect unreadable-http odd-status too-large dns-error dns-timeout
        tls-handshake tls-old""",
    "Looks that count for nothing": "offline captive-portal partial-outage provider-outage",
    "What archives and people said": """
        archive-not-found no-newer-capture marked-alive marked-gone marked-ignored mark-cleared""",
    "Before the first look": "never-looked",
}


def commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of a command and of all below it, in the order of the help."""
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None:
                yield from commands(below, (*path, name))


def help_of(path: tuple[str, ...]) -> str:
    """Return what `archiver PATH --help` prints, at a width of 80 columns."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = COLUMNS
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            main([*path, "--help"])
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before
    return printed.getvalue()


def _commands() -> str:
    return "\n".join(
        f"## `{' '.join(('archiver', *path))}`\n\n```text\n{help_of(path)}```\n"
        for path in commands(command_line)
    )


def _reasons() -> str:
    groups = {heading: words.split() for heading, words in GROUPS.items()}
    left = sorted(REASONS.difference(*groups.values()))
    if left:
        groups["Other"] = left
    return "\n".join(_table(heading, words) for heading, words in groups.items())


def _table(heading: str, reasons: list[str]) -> str:
    rows = [f"| `{word}` | {in_words(word)} | {advice(word)} |" for word in reasons]
    return "\n".join(
        (f"### {heading}\n", "| reason | what it says | what you do |", "|---|---|---|", *rows, "")
    )


PARTS: Mapping[str, tuple[str, Callable[[], str]]] = {
    "commands.md": ("commands", _commands),
    "verdicts.md": ("reasons", _reasons),
}


def written(document: str) -> str:
    """Return a document with its part as the program knows it now."""
    name, part = PARTS[document]
    begin, end = f"<!-- begin: {name} -->\n", f"<!-- end: {name} -->"
    text = (HERE / document).read_text(encoding="utf-8")
    pattern = re.compile(f"{re.escape(begin)}.*{re.escape(end)}", re.DOTALL)
    if not pattern.search(text):
        raise SystemExit(f"{document} has no place for its part: {begin.strip()} … {end}")
    return pattern.sub(lambda _: f"{begin}\n{part()}\n{end}", text)


def stale() -> dict[Path, str]:
    """Return what every document that is not up to date should be."""
    texts = {HERE / document: written(document) for document in PARTS}
    return {path: text for path, text in texts.items() if path.read_text(encoding="utf-8") != text}


if __name__ == "__main__":
    for file, anew in stale().items():
        if "--check" in sys.argv:
            sys.exit(f"{file.name} is out of date: run `make docs`")
        file.write_text(anew, encoding="utf-8")
        print(f"{file.name} was written anew")
