"""What options there are: one list walked off the models, and what is not built yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cache

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from archiver.config.sections import HostSettings, Settings

PREFIX = "ARCHIVER_"

# Options that are read and validated but change nothing yet, by name or by section.
# Whoever builds what one of them steers takes its row out; `config check` names the rest.
NOT_YET_EFFECTIVE = frozenset(
    {
        "events.body_links",
        "archive.availability_url",
    }
)
FORMATS_NOT_BUILT: frozenset[str] = frozenset()


@cache
def options() -> Mapping[str, FieldInfo]:
    """Return every option but `[hosts]` by its dotted name, in the order of the contract."""
    return dict(_walk(Settings, ""))


@cache
def sections() -> Mapping[str, type[BaseModel]]:
    """Return every section but `[hosts]` by its dotted name."""
    found: dict[str, type[BaseModel]] = {}
    for name, field in Settings.model_fields.items():
        if isinstance(model := field.annotation, type) and issubclass(model, BaseModel):
            found[name] = model
            for inner, deeper in model.model_fields.items():
                kind = deeper.annotation
                if isinstance(kind, type) and issubclass(kind, BaseModel):
                    found[f"{name}.{inner}"] = kind
    return found


def _walk(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _walk(kind, f"{prefix}{name}.")
        elif name != "hosts":
            yield prefix + name, field


def has_effect(option: str) -> bool:
    """Say whether setting this option changes anything in this version."""
    parts = option.split(".")
    return all(".".join(parts[:end]) not in NOT_YET_EFFECTIVE for end in range(1, len(parts) + 1))


def variable(option: str) -> str:
    """Return the environment variable that sets an option."""
    return PREFIX + option.upper().replace(".", "__")


def nearest(key: str) -> str | None:
    """Return the option or section a person probably meant by an unknown dotted key.

    The own section is asked first; then the same last name in any other section.
    """
    if key.startswith("hosts."):
        names = [f"{key.rpartition('.')[0]}.{name}" for name in HostSettings.model_fields]
        return _first(get_close_matches(key, names, 1, 0.6))
    section, dot, name = key.rpartition(".")
    if not dot:
        return _first(get_close_matches(key, [*sections(), "hosts"], 1, 0.5)) or _elsewhere(key)
    siblings = [option for option in options() if option.rpartition(".")[0] == section]
    short = {option.rpartition(".")[2]: option for option in siblings}
    close = _first(get_close_matches(name, short, 1, 0.6))
    return short[close] if close else _elsewhere(name) or _whole(key)


def _elsewhere(name: str) -> str | None:
    """Find an option of exactly this last name, in whichever section."""
    return next((option for option in options() if option.rpartition(".")[2] == name), None)


def _whole(key: str) -> str | None:
    return _first(get_close_matches(key, options(), 1, 0.75))


def _first(found: list[str]) -> str | None:
    return found[0] if found else None
