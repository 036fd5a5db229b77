"""A small fingerprint of a page's text that survives edits: a 64-bit simhash of its phrases.

The text is cut into runs of about four words at boundaries that depend on the content alone, so
an insertion disturbs only the run it falls into. Reference linkrot §4 measured overlapping
shingles; runs tell documents apart as well (measured on real articles in
`benchmarks/soft404.py`) at a tenth of the cost, and the cost decides: every good look keeps a
fingerprint. All loops below run inside C: over the runs, or over whole numbers with a byte for
every run.
"""

from __future__ import annotations

import sys
from array import array
from binascii import crc32

# Fewer visible characters give no fingerprint (issue "Content drift"; linkrot §4: 50 shingles).
SHORTEST = 500
# More text than this adds cost and no certainty.
LONGEST = 10_000
# Fewer runs than this make the bits a lottery.
_FEWEST_RUNS = 12
# Begins every fingerprint made as below: those made otherwise cannot be compared with it.
_METHOD = "r"

# No byte of UTF-8: stands for all that may end a run, so that one search finds every end.
_MARK = b"\xff"


def _marking(ends: bytes) -> bytes:
    return bytes.maketrans(ends, _MARK * len(ends))


# A word whose last byte is one of these (about a quarter in any script) ends its run.
_SPACED = _marking(bytes(byte for byte in range(0x30, 0xC0) if byte % 4 == 3)), _MARK + b" "
# Scripts without spaces, mostly three bytes a character: about every eighth ends a run.
_DENSE = _marking(bytes(byte for byte in range(0x80, 0xC0) if byte % 16 == 3)), _MARK
# A run's checksum has 32 bits. The other 32 are its bytes replaced by their inverses modulo 257:
# a permutation that is far from linear.
_INVERSES = bytes(pow(byte + 1, -1, 257) - 1 for byte in range(256))
# One bit of every byte, for as many runs as the longest text can have.
_BITS = tuple(int.from_bytes(bytes((1 << bit,)) * (4 * LONGEST + 1), "little") for bit in range(8))
_DIGITS = bytes.maketrans(b"\0\1", b"01")
# The bytes of a number in memory, lowest first.
_LOWEST_FIRST = range(4) if sys.byteorder == "little" else range(3, -1, -1)


def fingerprint(text: str) -> str:
    """Return 17 characters for a text of one-space-separated words, or "" for too little text.

    `text` is the page's main text; it is compared in lower case, digits kept.
    """
    if len(text) < SHORTEST:
        return ""
    data = text[:LONGEST].lower().encode("utf-8", "replace")
    marking, end = _SPACED if data.count(b" ") * 16 > len(data) else _DENSE
    runs = data.translate(marking).split(end)
    if len(runs) < _FEWEST_RUNS:
        return ""
    checksums = array("I", map(crc32, runs)).tobytes()
    columns = [checksums[position::4] for position in _LOWEST_FIRST]
    columns += [column.translate(_INVERSES) for column in columns]
    return f"{_METHOD}{_majority(columns, len(runs)):016x}"


def _majority(columns: list[bytes], count: int) -> int:
    """Return the 64 bits that more than half of the runs have set; a column has a byte of each."""
    half = count // 2
    numbers = [int.from_bytes(column, "little") for column in columns]
    held = bytes([(number & bit).bit_count() > half for number in numbers for bit in _BITS])
    return int(held.translate(_DIGITS), 2)


def distance(one: str, other: str) -> int | None:
    """Return in how many of 64 bits two fingerprints differ.

    None when one is missing, or was made by another version in another way.
    """
    if not (one.startswith(_METHOD) and other.startswith(_METHOD)):
        return None
    return (int(one[1:], 16) ^ int(other[1:], 16)).bit_count()
