"""The changes as an Atom feed (RFC 4287), for people who follow: one entry per flip.

Ids are made from what happened, so an entry stays the same entry in every report.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from itertools import islice
from xml.sax.saxutils import escape, quoteattr

from archiver.clock import to_stamp
from archiver.model import Row
from archiver.reporting.report import ReportData
from archiver.reporting.view import change_text, headline, safe_link
from archiver.reporting.wording import shown_address
from archiver.text import shown

MOST_ENTRIES = 200


def render(data: ReportData) -> Iterator[str]:
    """Stream the feed, newest change first, at most `MOST_ENTRIES` of them."""
    yield '<?xml version="1.0" encoding="utf-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom">\n'
    yield f"<id>{_id(*data.events_paths)}</id>\n<title>Changes of the cited sources</title>\n"
    yield f"<subtitle>{escape(headline(data))}</subtitle>\n"
    yield f"<updated>{to_stamp(data.generated_at)}</updated>\n"
    yield "<author><name>archiver</name></author>\n"
    for row in islice(data.changes(), MOST_ENTRIES):
        yield _entry(row)
    yield "</feed>\n"


def _entry(row: Row) -> str:
    url = str(row["url"])
    link = f'<link rel="related" href={quoteattr(url)}/>\n' if safe_link(url) else ""
    verdict, text = shown(row["to_verdict"]), change_text(row)
    return (
        f"<entry>\n<id>{_id(url, str(row['changed_at']), str(row['to_verdict']))}</id>\n"
        f"<title>{escape(f'{verdict}: {shown_address(url)}')}</title>\n"
        f"<updated>{escape(shown(row['changed_at']))}</updated>\n{link}"
        f"<summary>{escape(text)}</summary>\n"
        # An entry needs content, or a page that stands for it (RFC 4287 §4.1.2): we have none.
        f"<content>{escape(f'{text} {shown_address(url)}')}</content>\n</entry>\n"
    )


def _id(*parts: str) -> str:
    text = "\n".join(("source-link-archiver", *parts))
    return uuid.uuid5(uuid.NAMESPACE_URL, text.encode("utf-8", "replace").decode()).urn
