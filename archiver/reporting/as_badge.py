"""The report as a badge: one small SVG for a README, made here, from no service."""

from __future__ import annotations

import math
from collections.abc import Iterator

from archiver.reporting.report import ReportData

_LABEL = "sources"
# White text on each of these has a contrast of at least 4.5:1 (WCAG 2.2).
_GREEN, _YELLOW, _RED, _GREY = "#1a7f37", "#8a5a00", "#c01c28", "#57606a"
_GREENEST, _REDDEST = 0.95, 0.80
# The mean width of a character of Verdana at 11 px; `textLength` makes the text fit exactly.
_CHARACTER = 6.6
_PADDING = 12


def render(data: ReportData) -> Iterator[str]:
    """Give the badge `sources N% alive`: the share of the links that could be judged."""
    dead = data.totals["among_decided"]
    if dead is None:
        yield _badge("unknown", _GREY)
        return
    alive = 1 - dead
    colour = _GREEN if alive >= _GREENEST else _YELLOW if alive >= _REDDEST else _RED
    # Rounded down: a project with a dead source is never "100% alive".
    yield _badge(f"{math.floor(alive * 100 + 1e-9)}% alive", colour)


def _badge(text: str, colour: str) -> str:
    left, right = _width(_LABEL), _width(text)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img"'
        f' aria-label="{_LABEL}: {text}">\n<title>{_LABEL}: {text}</title>\n'
        f'<clipPath id="r"><rect width="{left + right}" height="20" rx="3"/></clipPath>\n'
        f'<g clip-path="url(#r)"><rect width="{left}" height="20" fill="#3d444d"/>'
        f'<rect x="{left}" width="{right}" height="20" fill="{colour}"/></g>\n'
        '<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif"'
        ' font-size="11">\n'
        f"{_words(_LABEL, left / 2, left)}{_words(text, left + right / 2, right)}</g>\n</svg>\n"
    )


def _width(text: str) -> int:
    return round(len(text) * _CHARACTER) + _PADDING


def _words(text: str, middle: float, width: int) -> str:
    return f'<text x="{middle:g}" y="14" textLength="{width - _PADDING}">{text}</text>\n'
