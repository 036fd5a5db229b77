"""The schema: tables, indexes and the contract's views, as migrations that are only appended.

Column names and orders of the views and tables named in contract §2 hold to the letter.
Times are `YYYY-MM-DDTHH:MM:SSZ` text; STRICT tables keep strangers' types out.
"""

from __future__ import annotations

from sqlite_utils import Database, Migrations

from archiver.store.views import VIEWS

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


@migrations()
def m004_captured_pages(database: Database) -> None:
    """Keep of a good capture what content drift is measured against."""
    _run_script(database, "ALTER TABLE captures ADD COLUMN page TEXT")


def _run_script(database: Database, script: str) -> None:
    """Run statements one by one: `executescript` would commit the migration's transaction."""
    for statement in script.split(";\n"):
        if statement.strip():
            database.conn.execute(statement)
