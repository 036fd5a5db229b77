"""The schema: tables, indexes and the contract's views, as migrations that are only appended.

Column names and orders of the views and tables named in contract §2 hold to the letter.
Times are `YYYY-MM-DDTHH:MM:SSZ` text; STRICT tables keep strangers' types out.
"""

from __future__ import annotations

from sqlite_utils import Database, Migrations

from archiver.model import PROBLEM_LEVELS

migrations = Migrations("archiver")

TABLES = """
CREATE TABLE files (
    path TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    read_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    path TEXT NOT NULL,
    line INTEGER NOT NULL,
    event_id TEXT,
    date TEXT,
    title TEXT,
    importance ANY
) STRICT;
CREATE INDEX events_path ON events(path);
CREATE INDEX events_event_id ON events(event_id);

CREATE TABLE links (
    id INTEGER PRIMARY KEY,
    url TEXT NOT NULL UNIQUE,
    wire TEXT NOT NULL,
    host TEXT NOT NULL,
    cited INTEGER NOT NULL DEFAULT 0,
    ignored INTEGER NOT NULL DEFAULT 0,
    first_seen_at TEXT NOT NULL,
    uncited_since TEXT,
    best_tier INTEGER,
    importance INTEGER,
    verdict TEXT NOT NULL DEFAULT 'unchecked',
    reason TEXT NOT NULL DEFAULT 'never-looked',
    verdict_since TEXT,
    last_look_at TEXT,
    next_look_at TEXT,
    last_seen_alive_at TEXT,
    last_seen_alive_by TEXT,
    final_url TEXT,
    http_status INTEGER,
    belief TEXT NOT NULL DEFAULT '{}',
    first_good TEXT,
    last_good TEXT,
    claimed_by TEXT,
    claimed_at TEXT,
    archive_state TEXT NOT NULL DEFAULT 'none',
    archive_next_at TEXT,
    archive_record TEXT NOT NULL DEFAULT '{}',
    archive_negatives INTEGER NOT NULL DEFAULT 0,
    capture_alive_at TEXT
) STRICT;
CREATE INDEX links_due ON links(next_look_at) WHERE cited = 1;
CREATE INDEX links_archive_due ON links(archive_next_at) WHERE archive_next_at IS NOT NULL;
CREATE INDEX links_host ON links(host);
CREATE INDEX links_claimed ON links(claimed_by) WHERE claimed_by IS NOT NULL;

CREATE TABLE citations (
    id INTEGER PRIMARY KEY,
    path TEXT NOT NULL,
    line INTEGER NOT NULL,
    position INTEGER NOT NULL,
    source_key TEXT NOT NULL,
    event_line INTEGER NOT NULL,
    event_id TEXT,
    event_date TEXT,
    event_title TEXT,
    importance ANY,
    source_title TEXT,
    publisher TEXT,
    tier ANY,
    source_date TEXT,
    access_date TEXT,
    cited_url TEXT NOT NULL,
    link_id INTEGER REFERENCES links(id),
    archive_url_in_file TEXT,
    archive_claim TEXT NOT NULL DEFAULT 'absent',
    claim_checked_at TEXT,
    chosen_capture_id INTEGER,
    archive_distance_days INTEGER,
    archive_flag TEXT,
    first_seen_at TEXT NOT NULL,
    missing_since TEXT,
    gone_at TEXT
) STRICT;
CREATE INDEX citations_path ON citations(path);
CREATE INDEX citations_link ON citations(link_id);
CREATE INDEX citations_missing ON citations(missing_since) WHERE missing_since IS NOT NULL;

CREATE TABLE problems (
    path TEXT NOT NULL,
    line INTEGER NOT NULL,
    position INTEGER,
    name TEXT NOT NULL,
    level TEXT NOT NULL,
    message TEXT NOT NULL,
    source_key TEXT,
    event_line INTEGER
) STRICT;
CREATE INDEX problems_path ON problems(path);

CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    started_at TEXT NOT NULL,
    ended_at TEXT,
    kind TEXT NOT NULL,
    outcome TEXT,
    detail TEXT NOT NULL DEFAULT '{}'
) STRICT;

CREATE TABLE looks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    link_id INTEGER NOT NULL REFERENCES links(id),
    looked_at TEXT NOT NULL,
    vantage TEXT NOT NULL,
    status INTEGER,
    error TEXT,
    final_url TEXT,
    redirects TEXT NOT NULL DEFAULT '[]',
    duration REAL,
    content_type TEXT,
    title TEXT,
    verdict TEXT,
    reason TEXT NOT NULL,
    facts TEXT NOT NULL DEFAULT '{}',
    run_id INTEGER,
    strength TEXT NOT NULL DEFAULT 'none'
) STRICT;
CREATE INDEX looks_link ON looks(link_id, id);

CREATE TABLE changes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    link_id INTEGER NOT NULL REFERENCES links(id),
    changed_at TEXT NOT NULL,
    from_verdict TEXT NOT NULL,
    to_verdict TEXT NOT NULL,
    reason TEXT NOT NULL,
    look_id INTEGER,
    notified_at TEXT
) STRICT;
CREATE INDEX changes_link ON changes(link_id);

CREATE TABLE captures (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    link_id INTEGER NOT NULL REFERENCES links(id),
    captured_at TEXT NOT NULL,
    archive_url TEXT NOT NULL,
    original_url TEXT NOT NULL,
    status INTEGER,
    source TEXT NOT NULL,
    first_seen_at TEXT NOT NULL,
    verified_at TEXT,
    judged TEXT,
    archive TEXT NOT NULL DEFAULT 'web.archive.org',
    mime TEXT,
    digest TEXT,
    passed_at TEXT,
    UNIQUE (link_id, archive_url)
) STRICT;

CREATE TABLE attempts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    link_id INTEGER NOT NULL REFERENCES links(id),
    url TEXT NOT NULL,
    archive TEXT NOT NULL,
    started_at TEXT NOT NULL,
    ended_at TEXT,
    http_status INTEGER,
    job_id TEXT,
    outcome TEXT,
    code TEXT,
    message TEXT,
    capture_url TEXT
) STRICT;
CREATE INDEX attempts_link ON attempts(link_id, id);
CREATE INDEX attempts_open ON attempts(id) WHERE ended_at IS NULL;
CREATE INDEX attempts_started ON attempts(started_at);

CREATE TABLE hosts (
    host TEXT PRIMARY KEY,
    last_request_at TEXT,
    not_before TEXT,
    consecutive_pauses INTEGER NOT NULL DEFAULT 0,
    leased_by TEXT,
    leased_until TEXT,
    last_answer_at TEXT,
    has_captures INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE probes (
    host TEXT NOT NULL,
    directory TEXT NOT NULL,
    asked_at TEXT NOT NULL,
    facts TEXT NOT NULL,
    PRIMARY KEY (host, directory)
) STRICT, WITHOUT ROWID;

CREATE TABLE requests (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    link_id INTEGER NOT NULL REFERENCES links(id),
    kind TEXT NOT NULL,
    asked_at TEXT NOT NULL,
    taken_at TEXT,
    done_at TEXT,
    state TEXT NOT NULL DEFAULT 'queued'
) STRICT;
CREATE INDEX requests_open ON requests(kind, id) WHERE done_at IS NULL;

CREATE TABLE state (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
"""


def _severity_case() -> str:
    ranks = " ".join(f"WHEN '{name}' THEN {rank}" for rank, name in enumerate(PROBLEM_LEVELS))
    return f"CASE p.name {ranks} ELSE {len(PROBLEM_LEVELS)} END"


VIEWS = f"""
CREATE VIEW source_status AS
SELECT c.path, c.line, c.position, c.event_id, c.event_date, c.source_title, c.publisher, c.tier,
       c.source_date, c.cited_url, c.link_id, l.host, l.verdict,
       CASE WHEN l.id IS NOT NULL THEN l.reason END AS reason, l.verdict_since,
       l.last_look_at, l.next_look_at, l.archive_state,
       CASE WHEN l.archive_state IN ('captured', 'archived') THEN k.archive_url END AS archive_url,
       c.archive_url_in_file,
       (SELECT p.name FROM problems p
         WHERE p.path = c.path AND p.position = c.position AND p.source_key = c.source_key
           AND p.event_line = c.event_line
         ORDER BY {_severity_case()} LIMIT 1) AS problem,
       c.source_key, c.access_date, c.importance, l.final_url, l.http_status, c.first_seen_at,
       nullif(max(coalesce(l.last_seen_alive_at, ''), coalesce(l.capture_alive_at, '')), '')
           AS last_seen_alive_at,
       CASE WHEN l.capture_alive_at > coalesce(l.last_seen_alive_at, '') THEN 'capture'
            ELSE l.last_seen_alive_by END AS last_seen_alive_by,
       CASE WHEN l.archive_state IN ('captured', 'archived') THEN k.verified_at END
           AS archive_verified_at,
       CASE WHEN l.archive_state IN ('captured', 'archived') THEN c.archive_distance_days END
           AS archive_distance_days,
       c.archive_claim
  FROM citations c
  LEFT JOIN links l ON l.id = c.link_id
  LEFT JOIN captures k ON k.id = c.chosen_capture_id
 WHERE c.gone_at IS NULL;

CREATE VIEW rot AS
SELECT s.* FROM source_status s JOIN links l ON l.id = s.link_id
 WHERE s.verdict IN ('dead', 'failing') AND l.ignored = 0;

CREATE VIEW needs_archive AS
SELECT * FROM source_status
 WHERE archive_state IN
       ('none', 'searching', 'queued', 'pending', 'captured', 'lost', 'unarchivable');

CREATE VIEW suspect_citations AS
SELECT s.* FROM source_status s
  JOIN links l ON l.id = s.link_id
 WHERE l.verdict = 'dead' AND l.ignored = 0 AND l.last_seen_alive_at IS NULL
   AND l.capture_alive_at IS NULL AND l.archive_negatives >= 2
   AND NOT EXISTS (SELECT 1 FROM captures k WHERE k.link_id = l.id)
   AND (EXISTS (SELECT 1 FROM links o JOIN captures k ON k.link_id = o.id
                 WHERE o.host = l.host AND o.id <> l.id)
        OR EXISTS (SELECT 1 FROM hosts h WHERE h.host = l.host AND h.has_captures = 1));

CREATE VIEW by_host AS
SELECT l.host AS host, count(*) AS links,
       sum((SELECT count(*) FROM citations c WHERE c.link_id = l.id AND c.gone_at IS NULL))
           AS citations,
       sum(l.verdict = 'ok') AS ok, sum(l.verdict = 'moved') AS moved,
       sum(l.verdict = 'blocked') AS blocked, sum(l.verdict = 'failing') AS failing,
       sum(l.verdict = 'dead') AS dead, sum(l.verdict = 'unchecked') AS unchecked,
       sum(l.archive_state = 'archived') AS archived, max(l.last_look_at) AS last_look_at
  FROM links l WHERE l.cited = 1 GROUP BY l.host;

CREATE VIEW by_day AS
WITH seen AS (
    SELECT substr(looked_at, 1, 10) AS day, count(*) AS looks,
           sum(verdict IS 'ok') AS ok, sum(verdict IS 'moved') AS moved,
           sum(verdict IS 'blocked') AS blocked, sum(verdict IS 'failing') AS failing,
           sum(verdict IS 'failing' AND strength = 'strong') AS dead_findings
      FROM looks
     WHERE vantage <> 'human' AND (verdict IS NOT NULL OR reason = 'offline')
     GROUP BY 1),
changed AS (
    SELECT substr(changed_at, 1, 10) AS day, sum(to_verdict = 'dead') AS went_dead,
           sum(from_verdict = 'dead' AND to_verdict IN ('ok', 'moved')) AS recovered
      FROM changes GROUP BY 1),
passed AS (
    SELECT substr(passed_at, 1, 10) AS day, count(*) AS archived
      FROM captures WHERE passed_at IS NOT NULL GROUP BY 1),
days AS (SELECT day FROM seen UNION SELECT day FROM changed UNION SELECT day FROM passed)
SELECT days.day AS day, coalesce(looks, 0) AS looks, coalesce(ok, 0) AS ok,
       coalesce(moved, 0) AS moved, coalesce(blocked, 0) AS blocked,
       coalesce(failing, 0) AS failing, coalesce(dead_findings, 0) AS dead_findings,
       coalesce(went_dead, 0) AS went_dead, coalesce(recovered, 0) AS recovered,
       coalesce(archived, 0) AS archived
  FROM days LEFT JOIN seen USING (day) LEFT JOIN changed USING (day) LEFT JOIN passed USING (day);
"""


@migrations()
def m001_initial(database: Database) -> None:
    """Create every table and the contract's views."""
    _run_script(database, TABLES + VIEWS)


NOTIFICATIONS = """
CREATE TABLE digests (
    digest INTEGER PRIMARY KEY AUTOINCREMENT,
    digest_id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    made_at TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;

CREATE TABLE deliveries (
    digest INTEGER NOT NULL REFERENCES digests(digest) ON DELETE CASCADE,
    channel TEXT NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    next_at TEXT,
    delivered_at TEXT,
    trouble TEXT,
    PRIMARY KEY (digest, channel)
) STRICT, WITHOUT ROWID;
CREATE INDEX deliveries_open ON deliveries(channel, digest) WHERE next_at IS NOT NULL;

ALTER TABLE links ADD COLUMN told_dead INTEGER NOT NULL DEFAULT 0;
ALTER TABLE links ADD COLUMN told_archive_state TEXT;
CREATE INDEX changes_untold ON changes(link_id) WHERE notified_at IS NULL;
"""


@migrations()
def m002_notifications(database: Database) -> None:
    """Create the outbox of notifications."""
    _run_script(database, NOTIFICATIONS)


LOCAL_COPIES = """
CREATE TABLE local_files (
    name TEXT PRIMARY KEY,
    opened_at TEXT NOT NULL,
    size INTEGER NOT NULL DEFAULT 0,
    closed_at TEXT,
    gone_at TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE local_copies (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    link_id INTEGER REFERENCES links(id) ON DELETE SET NULL,
    captured_at TEXT NOT NULL,
    url TEXT NOT NULL,
    status INTEGER NOT NULL,
    kind TEXT NOT NULL,
    file TEXT NOT NULL REFERENCES local_files(name),
    offset INTEGER NOT NULL,
    length INTEGER NOT NULL,
    digest TEXT NOT NULL,
    truncated TEXT,
    is_page INTEGER NOT NULL
) STRICT;
CREATE INDEX local_copies_link ON local_copies(link_id, id);
CREATE INDEX local_copies_digest ON local_copies(digest);

CREATE TABLE local_tries (
    link_id INTEGER PRIMARY KEY REFERENCES links(id) ON DELETE CASCADE,
    tried_at TEXT NOT NULL,
    copied_at TEXT,
    tries INTEGER NOT NULL DEFAULT 0,
    outcome TEXT
) STRICT;
"""


@migrations()
def m003_local_copies(database: Database) -> None:
    """Create the index of copies of our own."""
    _run_script(database, LOCAL_COPIES)


def _run_script(database: Database, script: str) -> None:
    """Run statements one by one: `executescript` would commit the migration's transaction."""
    for statement in script.split(";\n"):
        if statement.strip():
            database.conn.execute(statement)
