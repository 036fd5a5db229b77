"""Settings as text: the annotated example, the effective values, and the JSON schema."""

from __future__ import annotations

import re
import textwrap
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from archiver.config import catalogue
from archiver.config.loading import ENVIRONMENT, FILE, Loaded
from archiver.config.sections import HostSettings, Settings

_HEAD = """\
# Every option of archiver with its default; what is left out keeps it.
#
# Found by --config, $ARCHIVER_CONFIG, ./config/archiver.toml or /etc/archiver/archiver.toml.
# ARCHIVER_SECTION__OPTION in the environment wins over this file, for example
# ARCHIVER_CHECK__HOST_DELAY=10s; lists are comma-separated there.
# Durations: a whole number and s, m, h or d. Sizes: a whole number and B, KiB, MiB or GiB.
# Relative paths start from this file's folder, or from the one above when it is named config;
# a service with its file in /etc/archiver writes absolute paths (/var/lib/archiver/archiver.db).
# The keys of an archive.org account never stand here: see access_key_file below, or set
# IA_ACCESS_KEY and IA_SECRET_KEY.
"""

_HOSTS = """\
# Exceptions for one host and its subdomains; the longest name wins. For example:
# [hosts."example.org"]
"""

_HOST_EXAMPLES = {
    "delay": '"30s"',
    "concurrency": "1",
    "headers": '{ "Accept-Language" = "en" }',
    "skip": "false",
}


def annotated_example() -> str:
    """Return the example file: each option explained, with its default."""
    blocks = [_HEAD]
    for name, model in catalogue.sections().items():
        if name == "archive":
            blocks.append(_hosts_example())
        lines = [*_comment(model.__doc__ or ""), f"[{name}]"]
        for key, option in catalogue.options().items():
            if key.rpartition(".")[0] == name:
                lines += _comment(option.description or "")
                lines.append(f"{key.rpartition('.')[2]} = {toml_value(option.default)}")
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def _hosts_example() -> str:
    lines = []
    for name, field in HostSettings.model_fields.items():
        lines.append(f"# # {field.description}")
        lines.append(f"# {name} = {_HOST_EXAMPLES[name]}")
    return _HOSTS + "\n".join(lines) + "\n"


def _comment(text: str) -> list[str]:
    return [
        line
        for part in text.strip().split("\n\n")
        for line in textwrap.wrap(
            " ".join(part.split()), 98, initial_indent="# ", subsequent_indent="# "
        )
    ]


def effective(loaded: Loaded, *, with_origin: bool = False) -> str:
    """Return all values in force as TOML, as they were written; secrets are masked."""
    lines: list[str] = []
    section = None
    for key, value in loaded.written.items():
        table, _, name = key.rpartition(".")
        if key.startswith("hosts."):
            table = f"hosts.{toml_value(table.removeprefix('hosts.'))}"
        if table != section:
            lines += ["", f"[{table}]"] if lines else [f"[{table}]"]
            section = table
        line = f"{name} = {toml_value(_masked(key, value))}"
        lines.append(f"{line}  # {_place(loaded, key)}" if with_origin else line)
    return "\n".join(lines) + "\n"


def _place(loaded: Loaded, key: str) -> str:
    origin = loaded.origins[key]
    if origin == ENVIRONMENT:
        return catalogue.variable(key)
    return str(loaded.file) if origin == FILE else origin


def _masked(key: str, value: object) -> object:
    """Hide what may be a password: in addresses, and in what a program is called with."""
    if key == "notify.command" and isinstance(value, list | tuple):
        return [*value[:1], *("***" for _ in value[1:])]
    if not isinstance(value, str) or not value:
        return value
    if key in ("notify.webhook", "notify.heartbeat"):
        return re.sub(r"^(https?://[^/?#]+).*", r"\1/***", value)
    return re.sub(r"//[^/@]*@", "//***@", value)


def toml_value(value: object) -> str:
    """Write a value as TOML on one line; characters that could steer a terminal as escapes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + "".join(map(_toml_character, value)) + '"'
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    if isinstance(value, dict):
        pairs = (f"{toml_value(str(key))} = {toml_value(inner)}" for key, inner in value.items())
        return "{ " + ", ".join(pairs) + " }"
    return str(value)


def _toml_character(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"


class _AsWritten(GenerateJsonSchema):
    """Keeps defaults as a file writes them; a whole section's default is to leave it out."""

    def encode_default(self, dft: Any) -> Any:
        """Return the default of an option as it is, of a section as an empty table."""
        return {} if isinstance(dft, BaseModel) else dft


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a configuration file, for editors that complete TOML."""
    described = Settings.model_json_schema(schema_generator=_AsWritten)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **described}
