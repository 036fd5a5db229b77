"""The contract's views, as the first migration creates them (contract §2).

Names and orders of columns hold to the letter.
"""

from __future__ import annotations

from archiver.model import PROBLEM_LEVELS


def _severity_case() -> str:
    ranks = " ".join(f"WHEN '{name}' THEN {rank}" for rank, name in enumerate(PROBLEM_LEVELS))
    return f"CASE p.name {ranks} ELSE {len(PROBLEM_LEVELS)} END"


# One row a host; the view counts all cited links, a report leaves out the ignored ones.
HOSTS = """\
SELECT l.host AS host, count(*) AS links,
       sum((SELECT count(*) FROM citations c WHERE c.link_id = l.id AND c.gone_at IS NULL))
           AS citations,
       sum(l.verdict = 'ok') AS ok, sum(l.verdict = 'moved') AS moved,
       sum(l.verdict = 'blocked') AS blocked, sum(l.verdict = 'failing') AS failing,
       sum(l.verdict = 'dead') AS dead, sum(l.verdict = 'unchecked') AS unchecked,
       sum(l.archive_state = 'archived') AS archived, max(l.last_look_at) AS last_look_at
  FROM links l WHERE l.cited = 1"""

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
{HOSTS} GROUP BY l.host;

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
