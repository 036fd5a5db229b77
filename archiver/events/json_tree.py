"""JSON read into the same tree as YAML, with the line of every value.

The `json` module keeps no positions, and YAML is not a superset of the JSON people write
(surrogate pairs, long keys, tabs). So the grammar of RFC 8259 is walked here, and each string
is decoded by the `json` module's own decoder.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left

from archiver.events.tree import BrokenOff, Document, TreeBuilder

_SPACE = re.compile(r"[ \t\n\r]*")
_ATOM = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null")
_NOT_A_NUMBER = re.compile(r"NaN|-?Infinity")
_decode = json.JSONDecoder().raw_decode


def read_json(path: str, text: str) -> Document:
    """Read the JSON text of the file `path`.

    Never raises for a bad file: what cannot be parsed is a problem, what stands before it is kept.
    """
    builder = TreeBuilder(path)
    try:
        _Walk(text, builder).document()
    except BrokenOff as stop:
        return builder.finish(stop)
    return builder.finish()


class _Walk:
    def __init__(self, text: str, builder: TreeBuilder) -> None:
        self._text = text
        self._builder = builder
        self._breaks = [match.start() for match in re.finditer("\n", text)]

    def document(self) -> None:
        at = self._skip(self._value(self._skip(0)))
        if at < len(self._text):
            raise self._broken(at, "more text after its end")

    def _line(self, at: int) -> int:
        return bisect_left(self._breaks, at) + 1

    def _skip(self, at: int) -> int:
        match = _SPACE.match(self._text, at)
        return match.end() if match else at

    def _broken(self, at: int, what: str) -> BrokenOff:
        at = min(at, max(len(self._text) - 1, 0))
        message = f"Not valid JSON: {what}. Correct the syntax."
        return BrokenOff(self._line(at), "yaml-error", message)

    def _value(self, at: int) -> int:
        """Read the value at `at` (the depth is bounded by the builder); return where it ends."""
        first = self._text[at : at + 1]
        if first == "{":
            return self._object(at)
        if first == "[":
            return self._array(at)
        if first == '"':
            return self._string(at)
        return self._atom(at)

    def _string(self, at: int) -> int:
        try:
            text, end = _decode(self._text, at)
        except json.JSONDecodeError as fault:
            raise self._broken(fault.pos, fault.msg[:1].lower() + fault.msg[1:]) from None
        self._builder.scalar(text, self._line(at), False)
        return end

    def _atom(self, at: int) -> int:
        line = self._line(at)
        if match := _ATOM.match(self._text, at):
            self._builder.scalar(match[0], line, True)
        elif match := _NOT_A_NUMBER.match(self._text, at):
            self._builder.scalar("null", line, True)
            message = f"{match[0]} is not JSON and is read as null; write null or a number."
            self._builder.report(line, "bad-shape", message)
        else:
            raise self._broken(at, "a value is missing, or a comma too many")
        return match.end()

    def _object(self, at: int) -> int:
        self._builder.open_mapping(self._line(at))
        at = self._skip(at + 1)
        while self._text[at : at + 1] != "}":
            if self._text[at : at + 1] != '"':
                raise self._broken(at, "a key in double quotes is missing, or a comma too many")
            at = self._skip(self._string(at))
            if self._text[at : at + 1] != ":":
                raise self._broken(at, "a colon is missing after a key")
            at = self._next(self._skip(self._value(self._skip(at + 1))), "}")
        self._builder.close()
        return at + 1

    def _array(self, at: int) -> int:
        self._builder.open_sequence(self._line(at))
        at = self._skip(at + 1)
        while self._text[at : at + 1] != "]":
            at = self._next(self._skip(self._value(at)), "]")
        self._builder.close()
        return at + 1

    def _next(self, at: int, end: str) -> int:
        """Return where the next member begins, or stay at the closing bracket."""
        found = self._text[at : at + 1]
        if found == end:
            return at
        if found != ",":
            raise self._broken(at, f"a comma or {end} is missing")
        after = self._skip(at + 1)
        if self._text[after : after + 1] == end:
            raise self._broken(at, "a comma before the closing bracket")
        return after
