"""From defaults, file, environment and command line to one `Loaded`, or to all that is wrong.

Search order, precedence and path rules are contract §3. The layers are laid over one another
by pydantic-settings; here stand finding them, naming their origins, and wording what is wrong.
"""

from __future__ import annotations

import contextlib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, get_origin

from pydantic import PlainValidator, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource

from archiver.config import catalogue, quantities
from archiver.config.problems import SettingProblem, SettingProblems
from archiver.config.sections import Settings, host_name
from archiver.errors import ConfigurationError
from archiver.records import record
from archiver.text import shown

SYSTEM_FILE = Path("/etc/archiver/archiver.toml")
LOCAL_FILE = Path("config/archiver.toml")
FILE_VARIABLE = "ARCHIVER_CONFIG"
_LARGEST_FILE = 1024 * 1024

DEFAULT, FILE, ENVIRONMENT, COMMAND_LINE = "default", "file", "environment", "command line"


@record
class Loaded:
    """Settings together with where they came from.

    `origins` says for every option `default`, `file`, `environment` or `command line`;
    `written` has each value as it was written; `base` is what relative paths start from.
    """

    settings: Settings
    file: Path | None
    found_in_working_directory: bool
    base: Path
    working_directory: Path
    origins: Mapping[str, str] = field(default_factory=dict)
    written: Mapping[str, object] = field(default_factory=dict)

    def resolve(self, key: str, text: str) -> Path:
        """Return the absolute path of `text`, which stands in option `key` (contract §3)."""
        here = self.origins.get(key, DEFAULT) in (ENVIRONMENT, COMMAND_LINE)
        return (self.working_directory if here else self.base) / text

    def path(self, key: str) -> Path | None:
        """Return the absolute path an option names, None when it is empty."""
        value: Any = self.settings
        for name in key.split("."):
            value = getattr(value, name)
        return self.resolve(key, value) if value else None

    @property
    def database_path(self) -> Path:
        """Return the database's absolute path."""
        return self.resolve("database.path", self.settings.database.path)

    @property
    def report_directory(self) -> Path:
        """Return the absolute path of the folder reports go to."""
        return self.resolve("report.directory", self.settings.report.directory)

    @property
    def event_folders(self) -> tuple[tuple[str, Path], ...]:
        """Return each events folder as written (the key in the database) and its real place."""
        paths = self.settings.events.paths
        return tuple((text, self.resolve("events.paths", text)) for text in paths)


@record
class _Layer:
    """What one place sets: nested values, and for each option the place's exact name."""

    origin: str
    values: dict[str, Any] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    problems: list[SettingProblem] = field(default_factory=list)

    def put(self, key: str, value: object, place: str) -> None:
        """Set one option, as typed as its field wants it."""
        *above, name = key.split(".")
        table = self.values
        for part in above:
            table = table.setdefault(part, {})
        table[name] = _typed(catalogue.options()[key], value)
        self.places[key] = place


def load_settings(
    explicit: Path | None,
    environ: Mapping[str, str],
    cwd: Path,
    flags: Mapping[str, object] | None = None,
) -> Loaded:
    """Find, read, lay over one another and validate all settings.

    `flags` are options given on the command line, by dotted name. Raises ConfigurationError:
    an unreadable file, or `SettingProblems` with everything that is wrong at once.
    """
    file = _find(explicit, environ, cwd)
    in_file = _file_layer(file) if file else _Layer(FILE)
    in_environment = _environment_layer(environ)
    in_flags = _Layer(COMMAND_LINE)
    for key, value in (flags or {}).items():
        in_flags.put(key, value, COMMAND_LINE)
    layers = (in_flags, in_environment, in_file)
    settings = _validated(layers, file)
    return Loaded(
        settings=settings,
        file=file,
        found_in_working_directory=bool(
            file and explicit is None and not environ.get(FILE_VARIABLE) and file != SYSTEM_FILE
        ),
        base=_base(file, cwd),
        working_directory=cwd,
        origins=_origins(layers),
        written=_written(layers),
    )


def _find(explicit: Path | None, environ: Mapping[str, str], cwd: Path) -> Path | None:
    named = explicit or (Path(environ[FILE_VARIABLE]) if environ.get(FILE_VARIABLE) else None)
    if named is not None:
        return cwd / named
    candidates = (cwd / LOCAL_FILE, SYSTEM_FILE)
    try:
        return next((path for path in candidates if path.is_file()), None)
    except OSError as error:  # a folder we may not look into: not the same as no file
        raise _unreadable(str(error.filename), error) from None


def _base(file: Path | None, cwd: Path) -> Path:
    if file is None:
        return cwd
    folder = file.absolute().parent
    return folder.parent if folder.name == "config" else folder


def _file_layer(file: Path) -> _Layer:
    values = _read_toml(file)
    layer = _Layer(FILE, values)
    for section in ("hosts", *catalogue.sections()):
        _expect_table(layer, section, str(file))
    for key, option in catalogue.options().items():
        *above, name = key.split(".")
        table: Any = values
        for part in above:
            table = table.get(part, {})
        if name in table:
            table[name] = _typed(option, table[name])
            layer.places[key] = str(file)
    _expect_each_host_once(layer, str(file))
    for host, exceptions in values.get("hosts", {}).items():
        for name in exceptions if isinstance(exceptions, Mapping) else ():
            layer.places[f"hosts.{host}.{name}"] = str(file)
    return layer


def _expect_table(layer: _Layer, section: str, place: str) -> None:
    *above, name = section.split(".")
    table = layer.values
    for part in above:
        table = table.get(part, {})
    if name in table and not isinstance(table[name], dict):
        reason = f"this is a section; write [{section}] and its options below"
        layer.problems.append(SettingProblem(section, table.pop(name), place, reason))


def _expect_each_host_once(layer: _Layer, place: str) -> None:
    spellings: set[str] = set()
    for written, exceptions in layer.values.get("hosts", {}).items():
        with contextlib.suppress(ValueError):  # what is no host name is told with all the rest
            name = host_name(written)
            if name in spellings:
                reason = f"one host stands there twice, in two spellings: {shown(name)}"
                layer.problems.append(SettingProblem("hosts", exceptions, place, reason))
            spellings.add(name)


def _read_toml(file: Path) -> dict[str, Any]:
    name = shown(str(file))
    try:
        with file.open("rb") as stream:
            data = stream.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise _unreadable(str(file), error) from None
    if len(data) > _LARGEST_FILE:
        raise ConfigurationError(
            f"The configuration file {name} is larger than 1 MiB.", "Name the right file."
        )
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
        raise ConfigurationError(
            f"The configuration file {name} is no TOML: {shown(reason)}.",
            "Mend that line; 'archiver config init' prints a correct file.",
        ) from None


def _unreadable(name: str, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"The configuration file {shown(name)} cannot be read: {error.strerror}.",
        "Name another with --config, or mend its permissions.",
    )


def _environment_layer(environ: Mapping[str, str]) -> _Layer:
    layer = _Layer(ENVIRONMENT)
    for name in sorted(environ):
        if not name.upper().startswith(catalogue.PREFIX) or "__" not in name:
            continue
        key = name[len(catalogue.PREFIX) :].lower().replace("__", ".")
        if key in catalogue.options() and name == catalogue.variable(key):
            layer.put(key, _from_text(catalogue.options()[key], environ[name]), name)
        else:
            reason = _unknown_variable(key)
            layer.problems.append(SettingProblem(shown(name), environ[name], ENVIRONMENT, reason))
    return layer


def _unknown_variable(key: str) -> str:
    if key.startswith("hosts."):
        return "[hosts] cannot be set from the environment; write it into a file"
    meant = key if key in catalogue.options() else catalogue.nearest(key)
    if meant is None or meant not in catalogue.options():
        return "unknown setting"
    return f"unknown setting; did you mean {catalogue.variable(meant)}?"


def _from_text(option: FieldInfo, text: str) -> object:
    """Turn a variable's text into what a file would hold; what is no such thing stays text."""
    if get_origin(option.annotation) is tuple:
        return [part.strip() for part in text.split(",")] if text.strip() else []
    if option.annotation is bool:
        known = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
        return known.get(text.strip().lower(), text)
    if option.annotation is int and re.fullmatch(r"[+-]?\d{1,18}", text.strip(), re.ASCII):
        return int(text)
    return text


def _typed(option: FieldInfo, value: object) -> object:
    """Keep a bare number from passing for a size in bytes: sizes need their unit."""
    is_size = any(
        isinstance(mark, PlainValidator) and mark.func is quantities.read_size
        for mark in option.metadata
    )
    return str(value) if is_size and isinstance(value, int) else value


def _validated(layers: Sequence[_Layer], file: Path | None) -> Settings:
    class Layered(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,  # noqa: ARG003
            *_: Any,
            **__: Any,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return tuple(InitSettingsSource(settings_cls, layer.values) for layer in layers)

    problems = [problem for layer in reversed(layers) for problem in layer.problems]
    try:
        settings = Layered()
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=True)
        problems += [_problem(detail, layers, file) for detail in details]
        raise SettingProblems(problems) from None
    if problems:
        raise SettingProblems(problems)
    return Settings(**{name: getattr(settings, name) for name in Settings.model_fields})


def _problem(detail: ErrorDetails, layers: Sequence[_Layer], file: Path | None) -> SettingProblem:
    location = detail["loc"]
    if location[-1] == "[key]":  # of a table whose name is wrong, the reason has the name
        return SettingProblem("hosts", {}, str(file), _reason(detail, "hosts"))
    key = _dotted(location)
    # Only a file can hold a name that is no option: variables and flags were looked up before.
    place = _place(key.partition("[")[0], layers) or str(file)
    return SettingProblem(shown(key), detail["input"], place, _reason(detail, key))


def _place(key: str, layers: Sequence[_Layer]) -> str | None:
    """Return where an option is set, or the first of a section's that are wrong together."""
    places = (
        place
        for layer in layers
        for option, place in layer.places.items()
        if option == key or option.startswith(f"{key}.")
    )
    return next(places, None)


def _dotted(location: Sequence[int | str]) -> str:
    key = ""
    for part in location:
        if isinstance(part, int):
            key += f"[{part}]"
        else:
            key += f".{part}" if key else part
    return key


# The library's kinds of error in our words; `{…}` is filled from what it knows of the case.
_REASONS = {
    "int_type": "expected a whole number",
    "bool_type": "expected true or false",
    "string_type": "expected text in quotes",
    "tuple_type": 'expected a list, such as ["one", "two"]',
    "dict_type": "expected a table",
    "mapping_type": "expected a table",
    "model_type": "this is a section; write its options below it",
    "greater_than_equal": "expected at least {ge}",
    "less_than_equal": "expected at most {le}",
    "too_short": "expected at least {min_length}",
    "literal_error": "expected one of {expected}",
}


def _reason(detail: ErrorDetails, key: str) -> str:
    if detail["type"] == "extra_forbidden":
        meant = catalogue.nearest(key)
        return "unknown setting" + (f"; did you mean {shown(meant)}?" if meant else "")
    context = detail.get("ctx", {})
    if detail["type"] == "value_error":
        return shown(str(context.get("error", detail["msg"])))
    pattern = _REASONS.get(detail["type"])
    return pattern.format(**context) if pattern else shown(detail["msg"])


def _origins(layers: Sequence[_Layer]) -> dict[str, str]:
    return {
        key: next((layer.origin for layer in layers if key in layer.places), DEFAULT)
        for key in _all_keys(layers)
    }


def _written(layers: Sequence[_Layer]) -> dict[str, object]:
    written: dict[str, object] = {
        key: option.default for key, option in catalogue.options().items()
    }
    for layer in reversed(layers):
        for key in layer.places:
            value: Any = layer.values
            for part in _parts(key):
                value = value[part]
            written[key] = value
    return {key: written[key] for key in _all_keys(layers)}


def _all_keys(layers: Sequence[_Layer]) -> Iterator[str]:
    yield from catalogue.options()
    for layer in layers:
        yield from (key for key in layer.places if key.startswith("hosts."))


def _parts(key: str) -> list[str]:
    """Split a dotted key; a host's own dots stay together."""
    if not key.startswith("hosts."):
        return key.split(".")
    host, _, name = key.removeprefix("hosts.").rpartition(".")
    return ["hosts", host, name]
