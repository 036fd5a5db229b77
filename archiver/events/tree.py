"""What YAML and JSON files become here: one small tree of nodes that know their lines.

Nothing is constructed from the text (no timestamps, no numbers): a scalar stays the text a
person wrote, so that `2016-11-31` or a 5,000-digit integer can explode nowhere. The limits of
design §8 are held while the tree grows, so that a hostile file is given up early.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from archiver.model import Problem
from archiver.text import shown

MAX_DEPTH = 32
MAX_ALIASES = 100
# One slip repeated all over a file is one thing to mend; a hostile file must not flood a report.
MAX_PROBLEMS_OF_SHAPE = 50

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_DIGITS = re.compile(r"[-+]?[0-9_]+")
# Python, SQLite and JavaScript all stop far below this.
MAX_DIGITS = 1000


@dataclass(slots=True, eq=False)
class ScalarNode:
    """A text as written. `plain` says that it stood without quotes."""

    text: str
    line: int
    plain: bool

    @property
    def value(self) -> str | None:
        """Return the text without outer white space, None where the file says "nothing".

        NUL and lone surrogates become U+FFFD: no database column could hold them.
        """
        if self.plain and self.text in _NULLS:
            return None
        text = self.text.strip()
        if not text.isascii() or "\0" in text:
            text = _UNSTORABLE.sub("\ufffd", text)
        return text or None

    @property
    def number_or_text(self) -> int | str | None:
        """Return an integer when one was written as such, else the text (contract §2)."""
        if self.plain and _INTEGER.fullmatch(self.text):
            return int(self.text)
        return self.value


@dataclass(slots=True, eq=False)
class SequenceNode:
    """A list. `whole` is False when the file broke off inside it."""

    line: int
    items: list[Node] = field(default_factory=list)
    whole: bool = False


@dataclass(slots=True, eq=False)
class MappingNode:
    """A mapping of text keys; of a duplicate key the last value is kept, as parsers do."""

    line: int
    fields: dict[str, Node] = field(default_factory=dict)
    whole: bool = False


Node = ScalarNode | SequenceNode | MappingNode


@dataclass(slots=True)
class Document:
    """What could be read of one file, and what was wrong with it."""

    root: Node | None
    problems: list[Problem]


class BrokenOff(Exception):
    """Internal: the rest of the file is not read; what stands before it is kept."""

    def __init__(self, line: int, name: str, message: str) -> None:
        """Carry what becomes a problem of the file."""
        super().__init__(message)
        self.line = line
        self.name = name
        self.message = message


class TreeBuilder:
    """Grows the tree from a parser's events, which may end anywhere.

    A node hangs on its parent as soon as it opens: whatever ends the parse, what stands before
    it has been read. Raises BrokenOff at a limit.
    """

    def __init__(self, path: str) -> None:
        """Begin an empty tree of the file `path`."""
        self._path = path
        self.root: Node | None = None
        self.problems: list[Problem] = []
        self._open: list[SequenceNode | MappingNode] = []
        self._keys: list[Node | None] = []
        self._anchors: dict[str, Node] = {}
        self._aliases = 0
        self._latest: tuple[MappingNode, str, ScalarNode] | None = None

    def scalar(self, text: str, line: int, plain: bool, anchor: str | None = None) -> None:
        """Add a text; an integer that no program could take is a problem and counts as absent."""
        if len(text) > MAX_DIGITS and plain and _DIGITS.fullmatch(text):
            message = (
                f"An integer of {len(text):,} digits is not read; correct it or put it in quotes."
            )
            self.report(line, "bad-shape", message)
            text = ""
        self._place(ScalarNode(text, line, plain), anchor)

    def open_sequence(self, line: int, anchor: str | None = None) -> None:
        """Begin a list; what follows are its items until `close`."""
        self._enter(SequenceNode(line), anchor)

    def open_mapping(self, line: int, anchor: str | None = None) -> None:
        """Begin a mapping; what follows are keys and values in turn until `close`."""
        self._enter(MappingNode(line), anchor)

    def close(self) -> None:
        """End the list or mapping that was opened last."""
        self._open.pop().whole = True
        self._keys.pop()

    def alias(self, name: str, line: int) -> None:
        """Put the node with this anchor here once more."""
        self._aliases += 1
        if self._aliases > MAX_ALIASES:
            message = f"More than {MAX_ALIASES} aliases; write the values out."
            raise BrokenOff(line, "too-large", message)
        node = self._anchors.get(name)
        if node is None:
            message = f"The alias *{shown(name, 60)} has no anchor before it; write the value out."
            raise BrokenOff(line, "yaml-error", message)
        if any(node is parent for parent in self._open):
            message = f"The alias *{shown(name, 60)} contains itself; write the value out."
            raise BrokenOff(line, "yaml-error", message)
        self._place(node, None)

    def report(self, line: int, name: str, message: str) -> None:
        """Note a problem of the file; after the fiftieth the file is given up."""
        self.problems.append(Problem(self._path, line, None, name, message))
        if len(self.problems) >= MAX_PROBLEMS_OF_SHAPE:
            raise BrokenOff(line, "bad-shape", "Too many such problems; mend those above first.")

    def finish(self, stop: BrokenOff | None = None) -> Document:
        """Return the tree; with `stop`, what stands before it, less the text it stopped in."""
        if stop is not None:
            self.problems.append(Problem(self._path, stop.line, None, stop.name, stop.message))
            self._forget_cut_text(stop.line)
        return Document(self.root, self.problems)

    def _forget_cut_text(self, line: int) -> None:
        # Of `url: https://a b: c` libyaml gives out "https://a b" and only then objects.
        if self._latest is None:
            return
        mapping, key, node = self._latest
        if node.plain and node.line >= line and mapping.fields.get(key) is node:
            del mapping.fields[key]

    def _enter(self, node: SequenceNode | MappingNode, anchor: str | None) -> None:
        if len(self._open) >= MAX_DEPTH:
            message = f"Nested deeper than {MAX_DEPTH} levels; flatten it."
            raise BrokenOff(node.line, "bad-shape", message)
        self._place(node, anchor)
        self._open.append(node)
        self._keys.append(None)

    def _place(self, node: Node, anchor: str | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = node
        if not self._open:
            self.root = node
            return
        parent = self._open[-1]
        if type(parent) is SequenceNode:
            parent.items.append(node)
        elif (key := self._keys[-1]) is None:
            self._keys[-1] = node
        else:
            self._keys[-1] = None
            self._pair(parent, key, node)

    def _pair(self, parent: Node, key: Node, value: Node) -> None:
        if type(key) is not ScalarNode or type(parent) is not MappingNode:
            return  # a list or mapping as a key means nothing in an event
        name = key.text
        if name == "<<" and key.plain:
            self.report(key.line, "bad-shape", "Merge keys (<<) are not read; write the keys out.")
            return
        if name in parent.fields:
            message = f"The key {shown(name, 60)} stands twice; the last one counts. Remove one."
            self.report(key.line, "bad-shape", message)
        parent.fields[name] = value
        self._latest = (parent, name, value) if type(value) is ScalarNode else None
