"""YAML read once, by libyaml's event parser, into the tree.

libyaml's composer recurses on the C stack and dies of tens of thousands of brackets; its event
parser does not, so the events are walked and the tree is grown here (design §8). That also
gives every node its line from the one parse (reference perf §5).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from archiver.events.tree import BrokenOff, Document, TreeBuilder
from archiver.text import shown

# libyaml counts these as line ends, editors and git do not; a lone CR is one of them.
_FALSE_BREAKS = re.compile("\r(?!\n)|[\x85\u2028\u2029]")
# YAML 1.2 §5.1: what may not stand in a stream unescaped.
_UNPRINTABLE = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)


def read_yaml(path: str, text: str, first_line: int = 1) -> Document:
    """Read one YAML document of the file `path` whose text begins at line `first_line`.

    Never raises for a bad file: what cannot be parsed is a problem, what stands before it is kept.
    """
    builder = TreeBuilder(path)
    try:
        text = _cleaned(text, first_line, builder)
        _build(yaml.CSafeLoader(text), first_line, builder)
    except BrokenOff as stop:
        return builder.finish(stop)
    except yaml.YAMLError as fault:
        return builder.finish(_explained(fault, text, first_line))
    except (ValueError, RecursionError, OverflowError) as fault:
        message = f"This cannot be read as YAML ({shown(type(fault).__name__)}); simplify it."
        return builder.finish(BrokenOff(first_line, "yaml-error", message))
    return builder.finish()


def _cleaned(text: str, first_line: int, builder: TreeBuilder) -> str:
    found = _UNPRINTABLE.search(text)
    if found is not None:
        line = first_line + text.count("\n", 0, found.start())
        message = f"The character U+{ord(found[0]):04X} is not allowed in YAML; remove it."
        builder.report(line, "yaml-error", message)
        text = _UNPRINTABLE.sub("\ufffd", text)
    return _FALSE_BREAKS.sub("\ufffd", text)


def _events(parser: Any) -> Iterator[Any]:
    while (event := parser.get_event()) is not None:
        yield event


def _build(parser: Any, first_line: int, builder: TreeBuilder) -> None:
    documents = 0
    for event in _events(parser):
        kind = type(event)
        line = first_line + event.start_mark.line
        if kind is yaml.ScalarEvent:
            builder.scalar(event.value, line, event.implicit[0], event.anchor)
        elif kind is yaml.MappingStartEvent:
            builder.open_mapping(line, event.anchor)
        elif kind is yaml.SequenceStartEvent:
            builder.open_sequence(line, event.anchor)
        elif kind in (yaml.MappingEndEvent, yaml.SequenceEndEvent):
            builder.close()
        elif kind is yaml.AliasEvent:
            builder.alias(event.anchor, line)
        elif kind is yaml.DocumentStartEvent:
            documents += 1
            if documents > 1:
                message = "A second YAML document begins here and is not read; use a list instead."
                raise BrokenOff(line, "bad-shape", message)


def _explained(fault: yaml.YAMLError, text: str, first_line: int) -> BrokenOff:
    mark = getattr(fault, "problem_mark", None) or getattr(fault, "context_mark", None)
    # The end of a file without a last newline is on a line of its own for libyaml.
    last_line = text.rstrip("\n").count("\n")
    line = first_line + min(mark.line if mark is not None else 0, last_line)
    problem = getattr(fault, "problem", None) or getattr(fault, "reason", None) or "bad syntax"
    advice = "Correct the syntax; a text with a colon or a special first character needs quotes."
    return BrokenOff(line, "yaml-error", f"Not valid YAML: {shown(str(problem), 120)}. {advice}")
