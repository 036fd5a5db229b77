"""The archive pipeline as a pure state machine (reference wayback §9.2, contract §2).

One `ArchiveRecord` per link; nothing here touches a network, a clock or a database. The caller
does, for one link at a time:

1. `action = plan(record, situation, now, settings)`;
2. by the kind of action:

   * `Wait(until)`, `Nothing`: store `until` as the link's next due moment, go to the next link;
   * `Conclude(record)`: store that record (no request is needed), then plan again;
   * `LookUp`: `IndexClient.look_up` → `after_lookup`;
   * `Submit`: in ONE transaction read the record again, plan again (another process may have
     been faster), store `begin_submit(record, action, now)` and an `attempts` row whose outcome
     is NULL; only then the wire → `after_submit`;
   * `Poll`: `SavePageNow.poll` → `after_poll`;
   * `Verify`: `PlaybackClient.play` (with `verify.leeway_for(capture)`), `verify.observe`, the
     checker's judgement, `verify.verify` → `after_verify`;

3. in ONE transaction store `step.record` and `step.captures`, and write `step.attempt`, when
   set, into the link's newest `attempts` row; then plan again. Only `plan` knows when a link is
   due: `record.next_at` is the moment of its state's own business, and a step may leave more
   urgent business behind (a witness to be played, a look-up that a belief waits for).

Killed between intent and answer, the record is found in phase SUBMITTING; after a grace `plan`
treats the submission as one of unknown outcome: look-ups ≥ 10 and ≥ 70 minutes after it, and no
other submission of this URL within 24 hours (design §6). Budgets, paces and breakers are asked
separately (`pacing`) before anything is sent; when they say wait, the record stays as it is.

The state says only what was seen; a submission has its own `phase`, so that a verified copy is
not forgotten while a newer one is being made.
"""

from __future__ import annotations

from archiver.archiving.actions import (
    Action,
    ArchiveLimits,
    AttemptEnd,
    Conclude,
    LookUp,
    Nothing,
    Poll,
    Purpose,
    Situation,
    Step,
    Submit,
    Verify,
    Wait,
)
from archiver.archiving.copies import adopt, after_verify
from archiver.archiving.planning import plan, priority
from archiver.archiving.record import ArchiveRecord, Phase, from_json, to_json
from archiver.archiving.steps import after_lookup, after_poll, after_submit, begin_submit
from archiver.archiving.transitions import submit_not_before

__all__ = [
    "Action",
    "ArchiveLimits",
    "ArchiveRecord",
    "AttemptEnd",
    "Conclude",
    "LookUp",
    "Nothing",
    "Phase",
    "Poll",
    "Purpose",
    "Situation",
    "Step",
    "Submit",
    "Verify",
    "Wait",
    "adopt",
    "after_lookup",
    "after_poll",
    "after_submit",
    "after_verify",
    "begin_submit",
    "from_json",
    "plan",
    "priority",
    "submit_not_before",
    "to_json",
]
