"""The handler through which python-frontmatter reads event files.

python-frontmatter finds the front matter and hands it over; the library alone would parse it
without positions, and would say nothing of front matter that never closes or is no mapping.
"""

from __future__ import annotations

import re

import frontmatter
from frontmatter.default_handlers import BaseHandler

from archiver.events.tree import Document, MappingNode, Node
from archiver.events.yaml_tree import read_yaml
from archiver.model import Problem


def read_front_matter(path: str, text: str) -> Document:
    """Read the front matter of a Markdown file; a file without any is a note, no event."""
    handler = _PositionedFrontMatter(path, text)
    if not handler.detect(text.strip()):
        message = "No front matter, so no event; if it is one, begin the file with a line of ---."
        return Document(None, [Problem(path, 1, None, "no-front-matter", message)])
    frontmatter.parse(text, handler=handler)
    return handler.document


class _PositionedFrontMatter(BaseHandler):
    """Parses the YAML once into nodes that know their lines in the whole file."""

    FM_BOUNDARY = re.compile(r"^-{3,}[ \t]*\r?$", re.MULTILINE)

    def __init__(self, path: str, text: str) -> None:
        super().__init__()
        self._path = path
        # python-frontmatter strips the text before it asks for the split.
        self._opening_line = 1 + text[: len(text) - len(text.lstrip())].count("\n")
        self._closed = True
        self.document = Document(None, [])

    def split(self, text: str) -> tuple[str, str]:
        """Return front matter and body; front matter that never closes is the whole rest."""
        parts = self.FM_BOUNDARY.split(text, 2)
        self._closed = len(parts) == 3
        return parts[1], parts[2] if self._closed else ""

    def load(self, fm: str) -> dict[str, Node]:
        """Return the top-level keys with their nodes; problems are in `document`."""
        self.document = read_yaml(self._path, fm, self._opening_line)
        if not self._closed:
            # What follows from it (prose that is no YAML) is not worth a second problem.
            self.document.problems[:] = [self._unclosed()]
        root = self.document.root
        return root.fields if isinstance(root, MappingNode) else {}

    def _unclosed(self) -> Problem:
        message = "The front matter opens with --- and never closes; add a line of --- at its end."
        return Problem(self._path, self._opening_line, None, "yaml-error", message)
