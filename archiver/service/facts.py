"""What is stored with every look so that it can be judged and settled again.

`looks.facts` holds four parts beside the columns: the rest of the observation, the context of
the judgement, what else was known when it was settled, and the rest of the finding.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from archiver.checking.belief import Known
from archiver.checking.context import (
    Context,
    finding_from_facts,
    finding_to_facts,
    known_from_facts,
    known_to_facts,
    observation_from_facts,
    observation_to_facts,
)
from archiver.clock import from_stamp
from archiver.model import Finding, Observation


def look_facts(
    observation: Observation, context: Context, known: Known, finding: Finding
) -> dict[str, Any]:
    """Return `looks.facts` of one look; empty parts are left out."""
    parts = {
        "observation": observation_to_facts(observation, context),
        "context": context.to_facts(),
        "known": known_to_facts(known),
        "finding": finding_to_facts(finding),
    }
    return {name: part for name, part in parts.items() if part}


def stored_finding(row: sqlite3.Row) -> tuple[Finding, Known, datetime]:
    """Read from a row of `looks` what `settle` folds."""
    facts = json.loads(row["facts"])
    finding = finding_from_facts(row["verdict"], row["reason"], facts.get("finding", {}))
    return finding, known_from_facts(facts.get("known", {})), from_stamp(row["looked_at"])


def stored_observation(url: str, row: sqlite3.Row) -> tuple[Observation, Context]:
    """Read from a row of `looks` what `judge` judges."""
    facts: Mapping[str, Any] = json.loads(row["facts"])
    columns = {**dict(row), "redirects": json.loads(row["redirects"])}
    observation = observation_from_facts(url, columns, facts.get("observation", {}))
    return observation, Context.from_facts(facts.get("context", {}))
