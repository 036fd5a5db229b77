"""A small fingerprint of a page's text that survives edits: a 64-bit simhash of its phrases.

The text is cut into runs of about four words at boundaries that depend on the content alone, so
an insertion disturbs only the run it falls into. Reference linkrot §4 measured overlapping
shingles; runs tell documents apart as well (measured on real articles in
`benchmarks/soft404.py`) at a tenth of the cost, and the cost decides: every good look keeps a
fingerprint. All loops below run inside C: over the runs, or over whole numbers as wide as all
hashes together.
"""

from __future__ import annotations

import re
import sys
from array import array
from binascii import crc32

# Fewer visible characters give no fingerprint (issue "Content drift"; linkrot §4: 50 shingles).
SHORTEST = 500
# More text than this adds cost and no certainty.
LONGEST = 10_000
# Fewer runs than this make the bits a lottery.
_FEWEST_RUNS = 12

# A word whose last UTF-8 byte is in this class (about a quarter in any script) ends its run.
_ENDS = b"".join(re.escape(bytes((byte,))) for byte in range(0x30, 0xC0) if byte % 4 == 3)
_SPACED = re.compile(b" (?<=[" + _ENDS + b"] )")
# Scripts without spaces, three bytes a character: one in eight ends a run.
_DENSE_ENDS = b"".join(re.escape(bytes((byte,))) for byte in range(0x80, 0xC0) if byte % 8 == 3)
_DENSE = re.compile(b"(?<=[\xe0-\xed][\x80-\xbf][" + _DENSE_ENDS + b"])")
# A factor that spreads 32 bits of checksum over 64 (the golden ratio, odd).
_SPREAD = 0x9E3779B1


def fingerprint(text: str) -> str:
    """Return 16 hex digits for a text of one-space-separated words, or "" for too little text.

    `text` is the page's main text; it is compared in lower case, digits kept.
    """
    if len(text) < SHORTEST:
        return ""
    data = text[:LONGEST].lower().encode("utf-8", "replace")
    boundary = _SPACED if data.count(b" ") * 16 > len(data) else _DENSE
    runs = boundary.split(data)
    if len(runs) < _FEWEST_RUNS:
        return ""
    # One 64-bit lane per run; the product of two 32-bit numbers never leaves its lane.
    checksums = array("Q", map(crc32, runs)).tobytes()
    lanes = int.from_bytes(checksums, sys.byteorder) * _SPREAD
    return f"{_majority(lanes.to_bytes(8 * len(runs), sys.byteorder), len(runs)):016x}"


def _majority(hashes: bytes, count: int) -> int:
    """Return the 64 bits that more than half of the 64-bit hashes have set."""
    ones = int.from_bytes(b"\x01" * count, "little")
    half = count // 2
    result = 0
    for position in range(8):
        column = int.from_bytes(hashes[position::8], "little")
        for bit in range(8):
            if ((column >> bit) & ones).bit_count() > half:
                result |= 1 << (8 * position + bit)
    return result


def distance(one: str, other: str) -> int | None:
    """Return in how many of 64 bits two fingerprints differ, or None when either is missing."""
    if not one or not other:
        return None
    return (int(one, 16) ^ int(other, 16)).bit_count()
