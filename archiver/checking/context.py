"""What else was known when a look was judged, and how it is stored with the look.

`looks.facts` holds, beside the columns, what `judge` and `settle` need to come to the same
result again: the rest of the observation, the context, what was known, and the finding's
strength. Everything is JSON, defaults are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from archiver.checking.belief import Known
from archiver.clock import from_stamp, to_stamp
from archiver.model import Finding, Hop, Observation, PageFacts, Strength, Vantage, Verdict
from archiver.records import differing, record

# An opening is stored where a rule could read it again: on short pages, and in full only beside
# a sibling's (design §5).
_SHORT_PAGE = 1500
_STORED_OPENING = 300


@record
class SiblingFacts:
    """The answer to a random address beside the cited one (design §5, "one probe")."""

    url: str
    status: int | None
    final_url: str = ""
    title: str = ""
    opening: str = ""
    text_length: int = 0
    fingerprint: str = ""
    error: str | None = None

    @property
    def is_lasting(self) -> bool:
        """Say whether this tells something of the site, not of a bad hour or of our haste."""
        return self.status is not None and self.status < 500 and self.status != 429

    @classmethod
    def of(cls, observation: Observation) -> SiblingFacts:
        """Keep of a probe what a later look is compared with."""
        page = observation.page or PageFacts()
        return cls(
            url=observation.url,
            status=observation.status,
            final_url=observation.final_url or observation.url,
            title=page.title[:300],
            opening=page.opening[:500],
            text_length=page.text_length,
            fingerprint=page.fingerprint,
            error=observation.error,
        )


@record
class GoodLook:
    """What a good look of this link saw: the measure for drift and for a sibling's likeness."""

    title: str = ""
    fingerprint: str = ""
    text_length: int = 0

    def to_facts(self) -> dict[str, Any]:
        """Return this as JSON-ready data; defaults are left out."""
        return _compact(self)

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> GoodLook:
        """Read back what `to_facts` gave; unknown keys (older databases have some) are ignored."""
        return cls(**_known_fields(cls, facts))


@record
class Context:
    """What else was known at the moment of a look.

    `same_page_count`: how many different cited paths of this host, this one included, ended on
    this very page. `label`: the batch's, None, `offline`, `captive-portal`, `partial-outage` or
    `provider-outage`. `forged_names`: the resolver invents answers for names that do not exist,
    and this look rests on such a name.
    `first_good`: the first good look; `last_good`: the newest. `chosen`: the capture chosen for
    the citation, where one is known (drift older than our first look).
    """

    cited_titles: tuple[str, ...] = ()
    publishers: tuple[str, ...] = ()
    sibling: SiblingFacts | None = None
    same_page_count: int = 0
    first_good: GoodLook | None = None
    last_good: GoodLook | None = None
    chosen: GoodLook | None = None
    label: str | None = None
    forged_names: bool = False

    def to_facts(self) -> dict[str, Any]:
        """Return this as JSON-ready data."""
        return _compact(self)

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Context:
        """Read back what `to_facts` gave; unknown keys are ignored."""
        values = _known_fields(cls, facts)
        for name in ("cited_titles", "publishers"):
            values[name] = tuple(values.get(name, ()))
        if (sibling := values.get("sibling")) is not None:
            values["sibling"] = SiblingFacts(
                **{"url": "", "status": None, **_known_fields(SiblingFacts, sibling)}
            )
        for name in ("first_good", "last_good", "chosen"):
            if (look := values.get(name)) is not None:
                values[name] = GoodLook.from_facts(look)
        return cls(**values)


def good_look(observation: Observation) -> GoodLook:
    """Keep of a good look what drift is measured against.

    Every later look of the link stores it again, so nothing is kept that no rule reads.
    """
    page = observation.page or PageFacts()
    return GoodLook(page.title[:300], page.fingerprint, page.text_length)


def observation_to_facts(observation: Observation, context: Context) -> dict[str, Any]:
    """Return of an observation what the columns of `looks` do not hold."""
    facts: dict[str, Any] = {}
    page = observation.page
    if page is not None:
        stored = _compact(page)
        # The title has a column of its own.
        stored.pop("title", None)
        if "opening" in stored:
            opening = _stored_opening(page, context)
            stored["opening"] = opening
            if not opening:
                del stored["opening"]
        facts["page"] = stored
    if observation.headers:
        facts["headers"] = dict(observation.headers)
    if observation.retry_after is not None:
        facts["retry_after"] = observation.retry_after
    return facts


def _stored_opening(page: PageFacts, context: Context) -> str:
    if context.sibling is not None:
        return page.opening
    if page.kind == "html" and page.text_length >= _SHORT_PAGE:
        return ""
    return page.opening[:_STORED_OPENING]


def observation_from_facts(
    url: str, columns: Mapping[str, Any], facts: Mapping[str, Any]
) -> Observation:
    """Build an observation again from a row of `looks`.

    `columns` are the row's, `redirects` already a list of `[status, url]`; `looked_at` may be
    text or a datetime. The page's title is the column's.
    """
    page = None
    if "page" in facts:
        values = _known_fields(PageFacts, facts["page"])
        for name in ("headings", "subheadings", "signs"):
            values[name] = tuple(values.get(name, ()))
        page = PageFacts(**{**values, "title": columns.get("title") or ""})
    looked_at = columns["looked_at"]
    return Observation(
        url=url,
        looked_at=looked_at if isinstance(looked_at, datetime) else from_stamp(looked_at),
        status=columns.get("status"),
        error=columns.get("error"),
        final_url=columns.get("final_url"),
        redirects=tuple(Hop(status, hop) for status, hop in columns.get("redirects") or ()),
        duration=columns.get("duration") or 0.0,
        headers=dict(facts.get("headers", {})),
        content_type=columns.get("content_type"),
        page=page,
        retry_after=facts.get("retry_after"),
        vantage=Vantage(columns.get("vantage") or Vantage.HERE),
    )


def finding_to_facts(finding: Finding) -> dict[str, Any]:
    """Return of a finding what the columns `verdict` and `reason` do not hold."""
    facts: dict[str, Any] = {}
    if finding.strength is not Strength.NONE:
        facts["strength"] = finding.strength.value
    if finding.signs:
        facts["signs"] = list(finding.signs)
    if finding.retry_after is not None:
        facts["retry_after"] = finding.retry_after
    if not finding.answered:
        facts["answered"] = False
    return facts


def finding_from_facts(verdict: str | None, reason: str, facts: Mapping[str, Any]) -> Finding:
    """Build a finding again from its columns and `finding_to_facts`."""
    return Finding(
        verdict=Verdict(verdict) if verdict else None,
        reason=reason,
        strength=Strength(facts.get("strength", Strength.NONE)),
        signs=tuple(facts.get("signs", ())),
        retry_after=facts.get("retry_after"),
        answered=bool(facts.get("answered", True)),
    )


def known_to_facts(known: Known) -> dict[str, Any]:
    """Return what else was known as JSON-ready data."""
    return _compact(known)


def known_from_facts(facts: Mapping[str, Any]) -> Known:
    """Read back what `known_to_facts` gave."""
    values = _known_fields(Known, facts)
    for name in ("host_answered_at", "living_capture_at", "until"):
        if values.get(name):
            values[name] = from_stamp(values[name])
    return Known(**values)


def _compact(value: Any) -> dict[str, Any]:
    """Return a record as a dictionary of what differs from its defaults."""
    return {name: _plain(item) for name, item in differing(value)}


def _plain(item: Any) -> Any:
    if isinstance(item, datetime):
        return to_stamp(item)
    if isinstance(item, tuple):
        return list(item)
    return _compact(item) if hasattr(item, "__dataclass_fields__") else item


def _known_fields(kind: Any, facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if name in kind.__dataclass_fields__}
