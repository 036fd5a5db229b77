"""What the report says in sentences: distances, moments, and what to do next with each citation.

Every string from outside passes `shown()` here; formats only add their own escaping.
"""

from __future__ import annotations

import json
import re
import shlex
from datetime import UTC, datetime, timedelta

from archiver.clock import from_stamp
from archiver.model import ArchiveState, Claim, Row, Verdict
from archiver.reasons import OUR_REFUSALS, advice, in_words
from archiver.records import record
from archiver.reporting.report import has_good_claim
from archiver.text import shown

# Addresses must stay whole to be of use; a title of that length would only be a nuisance.
ADDRESS_LIMIT = 4_000
# Design §6: a capture further than this from the wanted date is flagged.
DISTANT_DAYS = 180


def shown_address(url: object) -> str:
    """Return a URL as one harmless line, cut only when it is absurdly long."""
    return shown(url, ADDRESS_LIMIT)


def distance_in_words(days: int | None) -> str:
    """Say how far a capture is from the wanted date; "" when there was no wanted date."""
    if days is None:
        return ""
    if days == 0:
        return "on the day wanted"
    return f"{_span(days)} from the date wanted"


def _span(days: int) -> str:
    if days == 1:
        return "1 day"
    if days < 60:
        return f"{days} days"
    if days < 730:
        return f"{round(days / 30.44)} months"
    return f"{round(days / 365.25)} years"


def day_of(stamp: str) -> str:
    """Return the day of a stored moment: `2026-03-01T07:00:00Z` → `2026-03-01`."""
    return shown(stamp)[:10]


def since_in_words(stamp: str | None, now: datetime) -> str:
    """Say since when something is so: `since 2026-03-01 (8 months)`; "" when unknown."""
    if not stamp:
        return ""
    try:
        passed = now - from_stamp(stamp)
    except ValueError:
        return f"since {shown(stamp)}"
    if passed < timedelta(0):
        return f"since {day_of(stamp)}"
    if passed < timedelta(days=1):
        hours = int(passed.total_seconds() // 3600)
        span = "less than an hour" if hours == 0 else f"{hours} hour{'s' if hours > 1 else ''}"
    else:
        span = _span(passed.days)
    return f"since {day_of(stamp)} ({span})"


def reason_in_words(reason: str | None) -> str:
    """Say a reason as a clause that goes on after a colon; "" when there is none."""
    return _lower(shown(in_words(reason)).removesuffix(".")) if reason else ""


_WITNESSES = {
    "here": "by us on {day}",
    "capture": "in a capture of {day}",
    "human": "by a person on {day}",
}


def alive_in_words(row: Row) -> str:
    """Say when and by whom the page was last seen alive."""
    if row["verdict"] is None or row["verdict"] == Verdict.UNCHECKED:
        return ""
    stamp = row["last_seen_alive_at"]
    if not stamp:
        return "never seen alive, neither by us nor in a capture"
    witness = _WITNESSES.get(row["last_seen_alive_by"] or "here", "on {day}")
    return "last seen alive " + witness.format(day=day_of(stamp))


_CAPTURE_STAMP = re.compile(r"/(\d{14})(?:[a-z]{2}_)?/")


def captured_at(archive_url: str | None) -> datetime | None:
    """Read the moment of a capture from its address; None when it carries none."""
    match = _CAPTURE_STAMP.search(archive_url or "")
    if match is None:
        return None
    try:
        return datetime.strptime(match[1], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def is_before_publication(row: Row) -> bool:
    """Say whether the best capture is older than the source itself (design §6).

    A publication date counts from 24 hours earlier, because of time zones; a partial one means
    its first day.
    """
    moment, published = captured_at(row["archive_url"]), _first_day(row["source_date"])
    # A day before the first one of the calendar, which a stranger may cite, cannot be written.
    return bool(moment and published and published - moment > timedelta(days=1))


def _first_day(date: object) -> datetime | None:
    match = re.match(r"(\d{4})(?:-(\d{2}))?(?:-(\d{2}))?", str(date or ""))
    if match is None:
        return None
    try:
        return datetime(int(match[1]), int(match[2] or 1), int(match[3] or 1), tzinfo=UTC)
    except ValueError:
        return None


_ARCHIVE_WORDS: dict[str, str] = {
    ArchiveState.NONE: "no archive has been asked yet",
    ArchiveState.SEARCHING: "no capture known; the archive is still being asked",
    ArchiveState.QUEUED: "no capture; a request to make one is waiting for its turn",
    ArchiveState.PENDING: "no capture yet; the archive has been asked to make one",
    ArchiveState.CAPTURED: "not yet played back",
    ArchiveState.ARCHIVED: "played back",
    ArchiveState.LOST: "was archived, and cannot be played back any more",
    ArchiveState.EXCLUDED: "the archive excludes this site",
    ArchiveState.UNARCHIVABLE: "the archive could not make a capture",
    ArchiveState.UNRECOVERABLE: "no archive we asked has a capture",
}


def archive_in_words(row: Row) -> str:
    """Say what is known of the link's captures, with the distance of the best one."""
    if row["archive_state"] is None:
        return ""
    words = _ARCHIVE_WORDS.get(row["archive_state"], shown(row["archive_state"]))
    if not row["archive_url"]:
        return words
    parts = [words, distance_in_words(row["archive_distance_days"])]
    if is_before_publication(row):
        parts.append("older than the source's own date")
    return ", ".join(part for part in parts if part)


_CLAIM_WORDS: dict[str, str] = {
    Claim.MISSING: "the archive has no capture at the archive_url in the file",
    Claim.WRONG_URL: "the archive_url in the file is a capture of another address",
    Claim.NOT_A_CAPTURE: "the archive_url in the file shows no page, but an error or a wall",
    Claim.REDIRECTS_ELSEWHERE: "the archive_url in the file leads to another capture",
    Claim.EXCLUDED: "the archive does not show the archive_url in the file any more",
}


@record
class NextStep:
    """What a person does next: a sentence, and the line or command to paste, if there is one."""

    sentence: str
    paste: str = ""

    def __str__(self) -> str:
        return f"{self.sentence} {self.paste}".strip()


def next_step(row: Row) -> str:
    """Return the next step with a citation as one plain sentence, the line to paste at its end."""
    return str(step_of(row))


def step_of(row: Row) -> NextStep:
    """Return the next step with a citation of `source_status`."""
    if row["verdict"] is None:
        return _problem_step(row) or NextStep(
            "Mend the address in the file: it cannot be looked at."
        )
    steps = {
        Verdict.DEAD: _dead_step,
        Verdict.FAILING: _failing_step,
        Verdict.BLOCKED: _blocked_step,
        Verdict.MOVED: _moved_step,
    }
    step = steps.get(row["verdict"])
    if step is not None:
        return step(row)
    return _claim_step(row) or _problem_step(row) or _quiet_step(row)


def _yaml_line(key: str, url: str) -> str:
    """Write a line that can be pasted into an event file and read back as this very URL."""
    text = shown_address(url)
    plain = re.fullmatch(r"https?://[^\s,\[\]{}]*[^\s,\[\]{}:]", text)
    return f"{key}: {text if plain else json.dumps(text, ensure_ascii=False)}"


def _command(verb: str, row: Row, *words: str) -> str:
    """Write a command with the cited URL quoted for a shell: it was written by a stranger."""
    return shlex.join(["archiver", verb, shown_address(row["cited_url"]), *words])


def _paste_capture(row: Row) -> NextStep:
    if is_before_publication(row):
        return NextStep(
            "The only capture is older than the source's own date: read it, check the date in the"
            " file, and use it only if it shows what is cited:",
            shown_address(row["archive_url"]),
        )
    claim = _CLAIM_WORDS.get(row["archive_claim"] or "")
    if claim and row["archive_url_in_file"]:
        start = f"Replace it, for {claim}{_nearest_in_words(row)}:"
    elif row["archive_url_in_file"]:
        start = "Replace the archive_url in the file:"
    else:
        start = "Add this line below the url:"
    cautions = []
    if row["archive_state"] != ArchiveState.ARCHIVED:
        cautions.append("it has not been played back yet")
    distance = row["archive_distance_days"]
    if distance is not None and distance > DISTANT_DAYS:
        cautions.append(f"it is {distance_in_words(distance)}")
    if cautions:
        start = f"Read the capture first ({' and '.join(cautions)}), then: {_lower(start)}"
    return NextStep(start, _yaml_line("archive_url", row["archive_url"]))


_DEAD_WITHOUT_CAPTURE: dict[str, str] = {
    ArchiveState.SEARCHING: "Wait: the archive is still being asked for a capture.",
    ArchiveState.QUEUED: "Wait: the archive is asked once more, as a courtesy.",
    ArchiveState.PENDING: "Wait: the archive was asked once more, as a courtesy.",
    ArchiveState.LOST: "Its capture is gone: find the document elsewhere and replace the url.",
    ArchiveState.EXCLUDED: (
        "The archive excludes this site: find the document elsewhere and replace the url."
    ),
    ArchiveState.UNARCHIVABLE: (
        "The archive could not make a capture: find the document elsewhere and replace the url."
    ),
}


def _dead_step(row: Row) -> NextStep:
    if has_good_claim(row):
        return NextStep("Nothing to mend: the file already names a capture.")
    if row["archive_url"]:
        return _paste_capture(row)
    state = row["archive_state"] or ArchiveState.NONE
    if state == ArchiveState.NONE:
        return NextStep("No archive has been asked yet; this asks now:", _command("archive", row))
    waiting = _DEAD_WITHOUT_CAPTURE.get(state)
    if waiting:
        return NextStep(waiting)
    if not row["last_seen_alive_at"]:
        return NextStep(
            "Check the address for a mistake: nobody we asked has ever seen this page. If it is"
            " right, find another source for the statement."
        )
    return NextStep(
        "No archive we asked has it: find where the document is now, or another source, and"
        " replace the url."
    )


# After so long a person's eyes are worth more than another look of ours.
_LONG_FAILING = timedelta(days=30)


def _failing_step(row: Row) -> NextStep:
    if _lasts(row) >= _LONG_FAILING:
        return _ask_a_person(row, "It has failed for long, but not in a way that proves its death:")
    sentence = "Nothing to do yet: we look again before we believe it."
    if row["next_look_at"]:
        sentence = sentence.replace("again", f"again on {day_of(row['next_look_at'])}")
    if row["archive_url"]:
        sentence += " Should it be gone, a capture is known."
    return NextStep(sentence)


def _lasts(row: Row) -> timedelta:
    """Return how long the verdict held at the last look; zero when that is unknown."""
    try:
        return from_stamp(row["last_look_at"]) - from_stamp(row["verdict_since"])
    except (TypeError, ValueError):
        return timedelta(0)


def _ask_a_person(row: Row, why: str) -> NextStep:
    sentence = f"{why} open it in a browser, then say what you saw, alive or gone:"
    return NextStep(sentence, _command("mark", row, "alive"))


def _blocked_step(row: Row) -> NextStep:
    if row["reason"] == "alive-elsewhere":
        return NextStep(
            "Nothing to mend: we are refused, but a newer capture shows the page alive."
        )
    if row["reason"] in OUR_REFUSALS:
        return NextStep(advice(row["reason"]))
    return _ask_a_person(row, "We are refused:")


def _moved_step(row: Row) -> NextStep:
    if not row["final_url"]:
        return NextStep("Replace the url in the file with the new address.")
    return NextStep("Replace the url in the file:", _yaml_line("url", row["final_url"]))


def _claim_step(row: Row) -> NextStep | None:
    claim = _CLAIM_WORDS.get(row["archive_claim"] or "")
    if claim is None or not row["archive_url_in_file"]:
        return None
    if row["archive_url"]:
        return _paste_capture(row)
    nearest = row.get("claim_nearest")
    if nearest:
        return NextStep(
            f"Replace it, for {claim}{_nearest_in_words(row)}:",
            _yaml_line("archive_url", nearest["archive_url"]),
        )
    return NextStep(f"Remove it, for {claim}.")


def _nearest_in_words(row: Row) -> str:
    """Say how far the nearest real capture is from the claimed moment, where that is known."""
    nearest = row.get("claim_nearest")
    if not nearest:
        return ""
    days = nearest["distance_days"]
    away = "on the same day" if days == 0 else f"{days} day{'s' * (days != 1)} away"
    return f" (the real capture nearest to it is of {day_of(nearest['captured_at'])}, {away})"


# Reasons of a living page that still ask something of a person.
_ALIVE_BUT = frozenset({"content-drift", "flapping"})


def _quiet_step(row: Row) -> NextStep:
    if row["verdict"] == Verdict.UNCHECKED:
        when = f" It comes on {day_of(row['next_look_at'])}." if row["next_look_at"] else ""
        return NextStep(f"Wait for the first look.{when}")
    if row["reason"] in _ALIVE_BUT:
        return NextStep(advice(row["reason"]))
    state = row["archive_state"]
    if state in (ArchiveState.EXCLUDED, ArchiveState.UNARCHIVABLE, ArchiveState.LOST):
        return NextStep(f"Keep a copy of your own while it is there: {_ARCHIVE_WORDS[state]}.")
    return NextStep("Nothing to do.")


_PROBLEM_STEPS = {
    "yaml-error": "Mend the file: it cannot be read as YAML.",
    "bad-shape": "Mend the entry: write it with url, title, publisher and date.",
    "too-large": "Split the file: it is larger than what is read.",
    "unreadable-file": "Make the file a readable, ordinary file in the events folder.",
    "not-a-url": "Mend the address: what is written there is no URL.",
    "missing-url": "Add the url of the source, or remove the entry.",
    "unsupported-scheme": "Cite an http or https address: others cannot be looked at.",
    "credentials-in-url": "Remove the name and password from the address.",
    "duplicate-event-id": "Give the event an id of its own: another file bears the same.",
    "bad-date": "Mend the date: write it as 2016, 2016-11 or 2016-11-30.",
    "is-archive-url": "Cite the original address as url, and put this one under archive_url.",
    "expiring-url": "Cite a lasting address: this one is a permission that runs out.",
    "unencoded-characters": "Write the address percent-encoded, as a browser copies it.",
    "duplicate-source": "Remove the entry: the event cites the same source above.",
    "archive-url-mismatch": "Mend the archive_url: it is no single capture of this url.",
    "no-front-matter": "Add front matter if this is meant to be an event.",
    "tracking-parameters": "Shorten the address: part of it only tells where a reader came from.",
    "missing-title": "Add the title of the source: it is evidence of what was there.",
    "missing-date": "Add the date of the source: it finds the right capture.",
    "invented-timestamp": "Check the archive_url: its time of day was made up.",
}


def _problem_step(row: Row) -> NextStep | None:
    """Return what to do about the citation's own problem, None when it has none."""
    sentence = _PROBLEM_STEPS.get(row["problem"] or "")
    if row["problem"] == "archive-url-mismatch" and row["archive_url"]:
        return _paste_capture(row)
    return NextStep(sentence) if sentence else None


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
