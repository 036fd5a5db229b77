"""What every room's data is made of: records that nobody changes once they are made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform

_Record = TypeVar("_Record")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(cls: type[_Record]) -> type[_Record]:
    """Make a dataclass with slots, equality and a hash, which mypy lets nobody change.

    A dataclass that is frozen at run time sets each of its fields by a call of
    `object.__setattr__` and takes four times as long to make; a look makes a dozen of them. The
    types say the same and cost nothing. `dataclasses.replace` works as usual.
    """
    return dataclass(slots=True, unsafe_hash=True)(cls)


def differing(value: Any) -> list[tuple[str, Any]]:
    """Return the names and values of a record's fields that differ from their defaults, in order.

    That is all of a record that is worth storing; fields without a default are always there.
    """
    names, defaults, read = _make(value.__class__)
    return [
        (name, item)
        for name, item, default in zip(names, read(value), defaults, strict=True)
        if item is not default and item != default
    ]


@cache
def _make(kind: type[Any]) -> tuple[tuple[str, ...], tuple[Any, ...], Callable[[Any], Any]]:
    """Return the names of a record's fields, their defaults, and what reads all of them at once."""
    entries = fields(kind)
    names = tuple(entry.name for entry in entries)
    defaults = tuple(
        entry.default if entry.default_factory is MISSING else entry.default_factory()
        for entry in entries
    )
    return names, defaults, attrgetter(*names)
