"""From the tree of a file to its events, citations and problems."""

from __future__ import annotations

from collections.abc import Sequence

from archiver.events.claims import claim_problems
from archiver.events.dates import is_date, proposed_date
from archiver.events.tree import Document, MappingNode, Node, ScalarNode, SequenceNode
from archiver.model import Citation, Event, Problem
from archiver.records import record
from archiver.text import shown
from archiver.urls import Address, BadAddress, is_tracking, parse_archive_url, read_address

# Events and sources together: aliases can make a small file cite a million times.
MAX_ENTRIES = 5_000
MAX_CITED_URL = 8_192
MAX_TEXT = 4_000

PUBLISHER_KEYS = ("publisher", "outlet", "publication")
DATE_KEYS = ("date", "publication_date", "published")
# Design §6, in its order.
ACCESS_DATE_KEYS = (
    *("access_date", "accessed_date", "date_accessed", "accessed"),
    *("retrieved", "retrieved_date", "retrieval_date"),
)

# What to do about a cited string that is no usable URL.
_NEXT_STEP = {
    "missing-url": "Add the page's address as url, or remove the entry.",
    "not-a-url": "Write the page's full address, beginning with https://.",
    "unsupported-scheme": "Cite the page's http(s) address.",
    "credentials-in-url": "Cite the address without them.",
}


@record
class Shaped:
    """The events of one file with their citations and all problems of the file."""

    events: tuple[Event, ...]
    citations: tuple[Citation, ...]
    problems: tuple[Problem, ...]


def shape(path: str, document: Document, source_keys: Sequence[str], *, many: bool) -> Shaped:
    """Read the events out of a document; `many` allows a list of events. Total."""
    reader = _Reader(path, source_keys, list(document.problems))
    reader.document(document, many)
    problems = sorted(reader.problems, key=lambda problem: problem.line)
    return Shaped(tuple(reader.events), tuple(reader.citations), tuple(problems))


class _TooMany(Exception):
    """Internal: this file has more events and sources than we read."""

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line


class _Reader:
    def __init__(self, path: str, source_keys: Sequence[str], problems: list[Problem]) -> None:
        self._path = path
        self._source_keys = tuple(dict.fromkeys(source_keys))
        self._entries_read = 0
        self._owner: tuple[str | None, int | None] = (None, None)
        self.problems = problems
        self.events: list[Event] = []
        self.citations: list[Citation] = []

    def document(self, document: Document, many: bool) -> None:
        root = document.root
        try:
            if isinstance(root, MappingNode):
                self._event(root)
            elif isinstance(root, SequenceNode) and many:
                for item in root.items:
                    self._listed_event(item)
            elif not document.problems:
                self._bad_root(root)
        except _TooMany as stop:
            message = f"More than {MAX_ENTRIES:,} events and sources in one file; split it."
            self._report(stop.line, None, "too-large", message)

    def _bad_root(self, root: Node | None) -> None:
        line = root.line if root is not None else 1
        message = "No event here: an event is a mapping of keys (id, date, title, sources)."
        self._report(line, None, "bad-shape", message)

    def _count(self, node: Node) -> None:
        self._entries_read += 1
        if self._entries_read > MAX_ENTRIES:
            raise _TooMany(node.line)

    def _listed_event(self, item: Node) -> None:
        self._count(item)
        if isinstance(item, MappingNode):
            self._event(item)
        elif not isinstance(item, SequenceNode) or item.whole:
            message = "Not an event: write it as a mapping (id, date, title, sources)."
            self._report(item.line, None, "bad-shape", message)

    def _report(self, line: int, position: int | None, name: str, message: str) -> None:
        key, event_line = self._owner if position is not None else (None, None)
        self.problems.append(Problem(self._path, line, position, name, message, key, event_line))

    def _event(self, node: MappingNode) -> None:
        importance = node.fields.get("importance")
        event = Event(
            path=self._path,
            line=node.line,
            event_id=self._text(node, ("id",), None),
            date=self._date(node, ("date",), None),
            title=self._text(node, ("title",), None),
            importance=importance.number_or_text if isinstance(importance, ScalarNode) else None,
        )
        self.events.append(event)
        seen: dict[str, int] = {}
        for key in self._source_keys:
            for index, entry in enumerate(self._entries(node, key)):
                self._entry(event, key, index + 1, entry, seen)

    def _entries(self, node: MappingNode, key: str) -> Sequence[Node]:
        value = node.fields.get(key)
        if isinstance(value, SequenceNode):
            return value.items
        if value is None or (isinstance(value, ScalarNode) and value.value is None):
            return ()
        message = f"{shown(key, 60)} is no list; begin each entry with a dash, also a single one."
        self._report(value.line, None, "bad-shape", message)
        return (value,)

    def _entry(
        self, event: Event, key: str, position: int, entry: Node, seen: dict[str, int]
    ) -> None:
        self._count(entry)
        self._owner = (key, event.line)
        if isinstance(entry, SequenceNode):
            message = "This source is a list; write it as a mapping with url and title."
            self._report(entry.line, position, "bad-shape", message)
            return
        fields = entry if isinstance(entry, MappingNode) else MappingNode(entry.line, whole=True)
        url = fields.fields.get("url") if isinstance(entry, MappingNode) else entry
        if url is None and not fields.whole:
            return  # the file broke off before its URL
        citation = self._citation(event, key, position, fields, url)
        self.citations.append(citation)
        self._repeated(citation, seen)

    def _citation(
        self, event: Event, key: str, position: int, entry: MappingNode, url: Node | None
    ) -> Citation:
        line = url.line if url is not None else entry.line
        cited = (url.value or "") if isinstance(url, ScalarNode) else ""
        address = self._address(line, position, cited, url)
        title = self._text(entry, ("title",), position)
        date = self._date(entry, DATE_KEYS, position)
        if entry.whole:
            self._missing(entry, line, position, title)
        tier = entry.fields.get("tier")
        return Citation(
            path=self._path,
            line=line,
            position=position,
            source_key=key,
            event=event,
            cited_url=cited[:MAX_CITED_URL],
            link=address.canonical if address else None,
            wire=address.wire if address else None,
            host=address.host if address else None,
            title=title,
            publisher=self._text(entry, PUBLISHER_KEYS, position),
            tier=tier.number_or_text if isinstance(tier, ScalarNode) else None,
            date=date,
            access_date=self._date(entry, ACCESS_DATE_KEYS, position),
            archive_url=self._claim(entry, position, address),
        )

    def _address(self, line: int, position: int, cited: str, url: Node | None) -> Address | None:
        if url is not None and not isinstance(url, ScalarNode):
            message = "The url is a list or a mapping; write one address as text."
            self._report(line, position, "bad-shape", message)
            return None
        read = read_address(cited)
        if isinstance(read, BadAddress):
            step = _NEXT_STEP[read.problem]
            if read.proposal:
                step = f"Perhaps {shown(read.proposal, 180)} is meant."
            self._report(line, position, read.problem, f"{shown(read.message, 110)} {step}")
            return None
        for note in read.notes:
            self._report(line, position, note, _NOTE_MESSAGES[note](read))
        return read

    def _repeated(self, citation: Citation, seen: dict[str, int]) -> None:
        if citation.link is None:
            return
        first = seen.get(citation.link)
        if first is None:
            seen[citation.link] = citation.line
            return
        message = f"The same page is cited at line {first}; keep one of the two."
        self._report(citation.line, citation.position, "duplicate-source", message)

    def _missing(self, entry: MappingNode, line: int, position: int, title: str | None) -> None:
        if title is None:
            message = "No title; add the page's title, it tells a living page from another."
            self._report(line, position, "missing-title", message)
        if self._first(entry, DATE_KEYS) is None:
            message = "No date; add the day the page was published, it finds the right capture."
            self._report(line, position, "missing-date", message)

    def _first(self, node: MappingNode, keys: Sequence[str]) -> tuple[str, Node] | None:
        """Return the first of these keys that has a value, with its node."""
        for key in keys:
            value = node.fields.get(key)
            if value is None or (isinstance(value, ScalarNode) and value.value is None):
                continue
            return key, value
        return None

    def _text(self, node: MappingNode, keys: Sequence[str], position: int | None) -> str | None:
        found = self._first(node, keys)
        if found is None:
            return None
        key, value = found
        if isinstance(value, ScalarNode):
            text = value.value
            return text[:MAX_TEXT] if text else None
        self._report(value.line, position, "bad-shape", f"The {key} is no text; write one text.")
        return None

    def _date(self, node: MappingNode, keys: Sequence[str], position: int | None) -> str | None:
        text = self._text(node, keys, position)
        if text is None or is_date(text):
            return text
        found = self._first(node, keys)
        line = found[1].line if found else node.line
        proposal = proposed_date(text)
        step = f"Write {proposal}." if proposal else "Write YYYY-MM-DD, YYYY-MM or YYYY."
        message = f"{shown(text, 60)} is no date of the calendar and is not used. {step}"
        self._report(line, position, "bad-date", message)
        return None

    def _claim(self, entry: MappingNode, position: int, address: Address | None) -> str | None:
        claim = self._text(entry, ("archive_url",), position)
        if claim is not None:
            line = entry.fields["archive_url"].line
            for name, message in claim_problems(claim, address):
                self._report(line, position, name, message)
        return claim


def _archive_message(address: Address) -> str:
    archived = parse_archive_url(address.cited)
    if archived is not None and archived.original:
        original = shown(archived.original, 150)
        return f"An archived copy is cited; cite {original} and put this address in archive_url."
    return "An archived copy is cited; cite the original page and put this address in archive_url."


def _tracking_message(address: Address) -> str:
    query = address.cited.partition("?")[2].partition("#")[0]
    keys = [part.partition("=")[0] for part in query.split("&")]
    tracking = shown(", ".join(key for key in keys if is_tracking(key)), 80)
    return f"The address says where its reader came from ({tracking}); cite it without that."


# What to say of a usable address, by the note that `read_address` makes.
_NOTE_MESSAGES = {
    "unencoded-characters": lambda address: (
        f"The address has unencoded characters; write {shown(address.wire, 220)}"
    ),
    "expiring-url": lambda _: (
        "The address is a permission that expires; cite the page's lasting address."
    ),
    "is-archive-url": _archive_message,
    "tracking-parameters": _tracking_message,
}
