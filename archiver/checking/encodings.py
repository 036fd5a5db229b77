"""In which encoding a page comes: by its marks, its headers and its own word (reference checking).

A stranger chooses the name: only what browsers know is believed (WHATWG Encoding).
"""

from __future__ import annotations

import codecs
import re
from functools import lru_cache

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# White space that two parts of a pattern could share would be tried in every division.
_CHARSET = re.compile(r"charset\s*=\s*(?:[\"']\s*)?([\w.:\-]{1,40})", re.I)
_META_CHARSET = re.compile(rb"<meta[^<>]{0,200}?charset\s*=\s*(?:[\"']\s*)?([\w.:\-]{1,40})", re.I)

# What pages mean by a name of which Python knows less, and labels that Python does not know
# (WHATWG Encoding, "Names and labels").
_MEANT = {
    **dict.fromkeys(("iso8859-1", "ascii"), "cp1252"),
    **dict.fromkeys(("gb2312", "gbk"), "gb18030"),
    **dict.fromkeys(("tis-620", "iso8859-11"), "cp874"),
    **{"shift_jis": "cp932", "euc_kr": "cp949", "iso8859-9": "cp1254", "big5": "big5hkscs"},
}
_LABELS = {
    **dict.fromkeys(("x-gbk", "gb_2312-80", "csgb2312"), "gb18030"),
    **dict.fromkeys(("x-sjis", "windows-31j"), "cp932"),
    **{"x-euc-jp": "euc_jp", "windows-949": "cp949", "x-x-big5": "big5hkscs"},
    **{"windows-874": "cp874", "iso-8859-8-i": "iso8859_8", "x-cp1251": "cp1251"},
}
# Python knows them, browsers do not: names of hosts and literals in a program. Half a megabyte
# of "punycode" takes minutes to decode.
_NO_PAGE_ENCODINGS = frozenset(
    {"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7"}
)


def as_utf8(body: bytes, content_type: str) -> bytes:
    """Return a body in UTF-8, most often as it came.

    BOM, then `content_type`, then `<meta>`, then UTF-8, then Windows-1252 (reference checking
    §5.1, row 70). What claims or seems to be UTF-8 is not mended: `markup.as_text` marks what is
    none.
    """
    for mark, encoding in _BOMS:
        if body.startswith(mark):
            rest = body[len(mark) :]
            return rest if encoding == "utf-8" else _encoded(rest.decode(encoding, "replace"))
    name = _declared_charset(content_type)
    if not name and (meta := _META_CHARSET.search(body, 0, 4096)):
        name = meta[1].decode("ascii", "replace")
    if name.lower() not in ("", "utf-8", "utf8") and (text := _decode_as(body, name)) is not None:
        return _encoded(text)
    if name or body.isascii():
        return body
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as fault:
        # A cut does not make a page Windows-1252.
        if fault.start <= len(body) - 4:
            return _encoded(body.decode("cp1252", "replace"))
    return body


@lru_cache(maxsize=256)
def _declared_charset(content_type: str) -> str:
    declared = _CHARSET.search(content_type)
    return declared[1] if declared else ""


def _encoded(text: str) -> bytes:
    # Some encodings can spell half a character, which UTF-8 has no bytes for.
    return text.encode("utf-8", "replace")


def _decode_as(body: bytes, name: str) -> str | None:
    """Decode by a name a stranger chose: only real text encodings, never an error."""
    try:
        encoding = codecs.lookup(_LABELS.get(name.lower(), name))
        if not encoding._is_text_encoding or encoding.name in _NO_PAGE_ENCODINGS:
            return None
        return body.decode(_MEANT.get(encoding.name, encoding.name), "replace")
    except (LookupError, ValueError):
        return None
