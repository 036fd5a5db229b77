"""Links as archives write them, in a header or a TimeMap (RFC 8288, RFC 6690, RFC 7089)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

_VALUE = r"\"[^\"]*\"|[^\s;,\"]+"
# Parameters stand in any order, and some have no value.
_ENTRY = re.compile(rf"<([^<>]+)>((?:\s*;\s*[a-z*-]+(?:\s*=\s*(?:{_VALUE}))?)*)", re.I)
_PARAMETER = re.compile(rf";\s*([a-z*-]+)\s*=\s*({_VALUE})", re.I)


def read_links(text: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield (address, parameters by name in lower case) of every link."""
    for entry in _ENTRY.finditer(text):
        parameters = _PARAMETER.findall(entry[2])
        yield entry[1], {name.lower(): value.strip("\"'") for name, value in parameters}


def is_rel(parameters: Mapping[str, str], word: str) -> bool:
    """Say whether a link's relation types hold a word."""
    return word in parameters.get("rel", "").lower().split()
