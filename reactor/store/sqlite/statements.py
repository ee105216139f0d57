"""Every SQL statement of the SQLite store, by name."""

from __future__ import annotations

from typing import Any

from reactor.store.sqlite.many_rows import ManyRows

Row = tuple[Any, ...]
Statement = str | ManyRows

INSERT_EVENT = ManyRows(
    "INSERT INTO event_row (seq, source, id, sensor, type, subject, time, accepted_at, data, decisions)",
    10,
    usual={5: None},
)
# Those in ranges are found there. A number alone does not tell: it may have been a removed event's.
SELECT_TAIL = """
SELECT seq, source, id FROM event_row AS event
WHERE seq > ? AND NOT EXISTS (
    SELECT 1 FROM identity_range AS known
    WHERE known.first = (SELECT max(first) FROM identity_range WHERE first <= event.seq)
      AND known.last >= event.seq AND known.source = event.source
      AND known.series || (known.first_number + event.seq - known.first) = event.id)
ORDER BY seq LIMIT ?
"""
SELECT_RANGES_OF_TAIL = """
SELECT coalesce(sum(last - first + 1), 0), coalesce(max(last), -1) FROM identity_range WHERE first > ?
"""
SELECT_LAST_SEGMENT = "SELECT number, through FROM identity_segment ORDER BY number DESC LIMIT 1"
SELECT_FILTERS = "SELECT number, bits, places FROM identity_filter ORDER BY number"
# An identity may stand there from before a death, or from an event that was removed since.
INSERT_IDENTITY = ManyRows("INSERT OR REPLACE INTO identity (segment, id, source, event)", 4)
INSERT_SEGMENT = "INSERT INTO identity_segment (number, first, last, through) VALUES (?, ?, ?, ?)"
UPSERT_FILTER = """
INSERT INTO identity_filter (number, bits, places) VALUES (?, ?, ?)
ON CONFLICT (number) DO UPDATE SET bits = excluded.bits, places = excluded.places
"""
# The event must still be there, and be the same: after a clock was set back a number may be another's.
KNOWN_IN_SEGMENTS = ManyRows(
    "SELECT given.column4 FROM (",
    4,
    ") AS given CROSS JOIN identity AS known ON known.segment = given.column1 AND known.id = given.column2"
    " AND known.source = given.column3 CROSS JOIN event_row AS event"
    " ON event.seq = known.event AND event.id = known.id AND event.source = known.source",
)
# No range overlaps another, so the one that begins before this one's end, next to it, is the only one to look at.
_IN_NO_RANGE = """
coalesce((SELECT first_number + last - first FROM identity_range
          WHERE source = :source AND series = :series AND first_number <= :last_number
          ORDER BY first_number DESC LIMIT 1) < :first_number, TRUE)
"""
INSERT_RANGE = f"""
INSERT OR IGNORE INTO identity_range (first, last, source, series, first_number)
SELECT :first, :last, :source, :series, :first_number WHERE {_IN_NO_RANGE}
"""
KNOWN_IN_RANGES = ManyRows(
    "SELECT given.column1 FROM (",
    5,
    ") AS given CROSS JOIN identity_range AS known ON known.first = (SELECT first FROM identity_range"
    " WHERE source = given.column2 AND series = given.column3 AND first_number <= given.column4"
    " ORDER BY first_number DESC LIMIT 1)"
    " CROSS JOIN event_row AS event ON event.seq = known.first + given.column4 - known.first_number"
    " AND event.id = given.column5 AND event.source = given.column2",
)
RANGE_OF_EVENT = """
SELECT first, last FROM identity_range
WHERE first = (SELECT max(first) FROM identity_range WHERE first <= :seq) AND last >= :seq
"""
DELETE_DEAD_RANGE = """
DELETE FROM identity_range
WHERE first = ? AND NOT EXISTS (SELECT 1 FROM event_row WHERE seq BETWEEN first AND last)
"""
LOWER_THROUGH = "UPDATE identity_segment SET through = ?1 WHERE through > ?1"
SELECT_DEAD_SEGMENT = """
SELECT number FROM identity_segment AS segment
WHERE NOT EXISTS (SELECT 1 FROM event_row WHERE seq BETWEEN segment.first AND segment.last) ORDER BY number LIMIT 1
"""
DELETE_IDENTITIES = """
DELETE FROM identity WHERE segment = :segment
  AND (id, source) IN (SELECT id, source FROM identity WHERE segment = :segment LIMIT :limit)
"""
DELETE_SEGMENT = "DELETE FROM identity_segment WHERE number = ?"
DELETE_FILTER = """
DELETE FROM identity_filter WHERE number = ?
  AND NOT EXISTS (SELECT 1 FROM identity_segment WHERE number >= ? AND number < ?)
"""
# Only if all of them are new. The ids of a block have as many digits, so as text they have the order of its numbers;
# and blocks of a series do not overlap, so the first that ends behind this one's beginning is the only one to look at.
# Those that are in no segment are looked for in memory.
INSERT_BLOCK = f"""
INSERT INTO event_block (first, last, source, series, first_number, last_number, sensor, type, accepted_at, decisions,
                         parts, subjects, data)
SELECT :first, :last, :source, :series, :first_number, :last_number, :sensor, :type, :accepted_at, :decisions,
       :parts, :subjects, :data
WHERE coalesce((SELECT first_number FROM event_block
                WHERE source = :source AND series = :series AND last_number >= :first_number
                ORDER BY last_number LIMIT 1) > :last_number, TRUE)
  AND NOT EXISTS (SELECT 1 FROM identity_segment AS segment CROSS JOIN identity AS known
                  ON known.segment = segment.number AND known.id BETWEEN :first_id AND :last_id
                  AND known.source = :source)
  AND {_IN_NO_RANGE}
"""  # noqa: S608  # of constants
# The indexes begin with the source: one probe for each.
SOURCES = """
WITH RECURSIVE known (source) AS (
    SELECT min(source) FROM {table}
    UNION ALL
    SELECT (SELECT min(source) FROM {table} WHERE source > known.source)
    FROM known WHERE known.source IS NOT NULL
)
SELECT source FROM known WHERE source IS NOT NULL
"""
SOURCES_WITH_BLOCKS = SOURCES.format(table="event_block")
SOURCES_WITH_RANGES = SOURCES.format(table="identity_range")
BLOCKS_OF_SERIES = """
SELECT first_number, parts FROM event_block
WHERE source = ? AND series = ? AND last_number >= ? ORDER BY last_number
"""
# The columns, here and below, of which `blocks.unpack` makes events.
BLOCK_OF_EVENT = """
SELECT first, source, series, sensor, type, accepted_at, decisions, parts, subjects, data FROM event_block
WHERE first = (SELECT max(first) FROM event_block WHERE first <= :seq) AND last >= :seq
"""
# Blocks of a series do not overlap: only this one may hold the number.
BLOCK_BY_NUMBER = """
SELECT first, source, series, sensor, type, accepted_at, decisions, parts, subjects, data FROM event_block
WHERE source = ? AND series = ? AND last_number >= ? ORDER BY last_number LIMIT 1
"""
INSERT_RUN = ManyRows(
    "INSERT INTO run (id, workflow, event, key, state, created_at, started_at)",
    7,
    usual={3: None},
)
INSERT_DEAD_LETTER = ManyRows(
    "INSERT INTO dead_letter"
    " (id, sensor, event_id, workflow, event, run, reason, detail, subject, raw, created_at, outgoing)",
    12,
    usual={3: "", 4: None, 5: None, 11: None},
)
KNOWN_REJECTED = ManyRows(
    "SELECT given.column1, given.column2 FROM (",
    2,
    ") AS given CROSS JOIN dead_letter AS known ON known.sensor = given.column1"
    " AND known.event_id = given.column2 WHERE known.event IS NULL AND known.run IS NULL",
)
INSERT_SKIPPED = "INSERT INTO skipped (sensor, occurrence, reason, at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
UPSERT_CURSOR = """
INSERT INTO cursor (sensor, key, value) VALUES (?, ?, ?)
ON CONFLICT (sensor, key) DO UPDATE SET value = excluded.value
"""
DELETE_CURSOR = "DELETE FROM cursor WHERE sensor = ? AND key = ?"
SELECT_CURSOR = "SELECT key, value FROM cursor WHERE sensor = ?"
ADD_TALLY = ManyRows(
    "INSERT INTO tally (subject, name, kind, count)",
    4,
    "ON CONFLICT (subject, name, kind) DO UPDATE SET count = count + excluded.count",
)

START_RUN = ManyRows(
    "UPDATE run SET state = 'running', started_at = coalesce(started_at, given.column1) FROM (",
    2,
    ") AS given WHERE run.id = given.column2 AND state IN ('pending', 'waiting')",
)
RELEASE_RUNS = "UPDATE run SET state = 'pending' WHERE state IN ('running', 'waiting')"
WAIT_RUN = "UPDATE run SET state = 'waiting' WHERE id = ? AND state = 'running'"
INSERT_STEP = ManyRows(
    "INSERT INTO step (run, name, outcome, attempt, started_at, finished_at, result, error)",
    8,
    usual={2: "succeeded", 3: 1, 7: None},
)
INSERT_ATTEMPT = """
INSERT INTO attempt (run, step, attempt, outcome, started_at, finished_at, error, next_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (run, step, attempt) DO NOTHING
"""
FINISH_RUN = ManyRows(
    "UPDATE run SET state = 'finished', outcome = given.column2, finished_at = given.column3,"
    " error = given.column4 FROM (",
    4,
    ") AS given WHERE run.id = given.column1 AND state <> 'finished'",
    usual={1: "succeeded", 3: None},
)
INSERT_OUTGOING = ManyRows(
    "INSERT INTO outbox (lane, workflow, run, step, part, outlet, options, target, key, attributes, payload,"
    " created_at)",
    12,
)
# The order in which one batch executes them: a start before an end, steps before the end of their run.
IN_ORDER: tuple[Statement, ...] = (
    *(START_RUN, INSERT_STEP, INSERT_OUTGOING, INSERT_ATTEMPT, WAIT_RUN, FINISH_RUN, RELEASE_RUNS),
    ADD_TALLY,
)
DELETE_OUTGOING = (
    "DELETE FROM outbox WHERE id IN (SELECT value FROM json_each(?)) RETURNING workflow"
)
OUTBOX_BACKLOGS = """
SELECT counted.lane, counted.workflow, counted.rows, outbox.outlet, outbox.options, outbox.target
FROM (SELECT lane, workflow, count(*) AS rows, min(id) AS first FROM outbox GROUP BY lane, workflow) AS counted
JOIN outbox ON outbox.id = counted.first
"""
# The size of a blob is told without reading it, so payloads are read for the chosen rows only.
OUTBOX_WINDOW = """
WITH oldest (id, size) AS (
    SELECT id, length(payload) FROM outbox WHERE lane = :lane ORDER BY id LIMIT :rows
), summed (id, size, total) AS (
    SELECT id, size, sum(size) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING) FROM oldest
)
SELECT id, lane, workflow, run, step, part, outlet, options, target, key, attributes, payload, created_at
FROM outbox WHERE id IN (SELECT id FROM summed WHERE total <= :size_bytes OR total = size) ORDER BY id
"""

RUNS_THAT_DIED = """
SELECT run.id, run.workflow, run.deaths, run.event, event.sensor, event.id, event.data
FROM run LEFT JOIN event_row AS event ON event.seq = run.event
WHERE run.state IN ('running', 'waiting') AND run.state = 'running' AND run.deaths >= ?
"""
# Both conditions, here and above: SQLite takes a partial index only where its own condition stands in the query.
COUNT_DEATHS = """
UPDATE run SET deaths = deaths + 1 WHERE state IN ('running', 'waiting') AND state = 'running'
"""
# A death that found a run at rest ends its row of deaths.
FORGET_DEATHS = "UPDATE run SET deaths = 0 WHERE deaths > 0 AND state IN ('pending', 'waiting')"
PARK_RUN = """
UPDATE run SET state = 'finished', outcome = 'dead', finished_at = ?, error = ? WHERE id = ?
"""
SELECT_DEAD_LETTERS = """
SELECT id, sensor, event_id, reason, detail, raw, created_at, workflow, event, run, subject,
       outgoing FROM dead_letter
WHERE redriven_at IS NULL AND (:ids IS NULL OR id IN (SELECT value FROM json_each(:ids)))
  AND (:reason IS NULL OR reason = :reason)
ORDER BY id
"""
SETTLE_DEAD_LETTER = "UPDATE dead_letter SET redriven_at = ? WHERE id = ? AND redriven_at IS NULL"
REVIVE_RUN = """
UPDATE run SET state = 'pending', outcome = NULL, deaths = 0, finished_at = NULL, error = NULL
WHERE id = ? AND state = 'finished' AND outcome = 'dead'
"""
DELETE_DEFINITIONS = "DELETE FROM workflow"
INSERT_DEFINITION = "INSERT INTO workflow (name, definition, loaded_at) VALUES (?, ?, ?)"

PENDING_COUNTS = """
SELECT workflow, count(*) FROM run WHERE state = 'pending' AND id < ? GROUP BY workflow
"""
PENDING_RUNS = """
SELECT id, key FROM run WHERE workflow = ? AND state = 'pending' AND id > ? ORDER BY id LIMIT ?
"""
# A loose index scan: one probe per key, however many runs a key has waiting.
PENDING_HEADS = """
WITH RECURSIVE head (key) AS (
    SELECT (SELECT min(key) FROM run WHERE workflow = :workflow AND state = 'pending' AND key > :after)
    UNION ALL
    SELECT (SELECT min(key) FROM run WHERE workflow = :workflow AND state = 'pending' AND key > head.key)
    FROM head WHERE head.key IS NOT NULL
    LIMIT :limit
)
SELECT (SELECT min(id) FROM run WHERE workflow = :workflow AND state = 'pending' AND key = head.key), head.key
FROM head WHERE head.key IS NOT NULL
"""
SELECT_RUNS = """
SELECT run.id, run.workflow, run.key, run.state, run.deaths, run.created_at, run.started_at,
       run.event, event.source, event.id, event.sensor, event.type, event.subject, event.time,
       event.accepted_at, event.data, event.decisions, run.last_event
FROM run LEFT JOIN event_row AS event ON event.seq = run.event
WHERE run.id IN (SELECT value FROM json_each(?)) ORDER BY run.id
"""
INSERT_BATCH = """
INSERT INTO run (id, workflow, event, last_event, created_at, started_at, state)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, iif(?6 IS NULL, 'pending', 'running'))
"""
# Where the batches of a workflow have come to is kept as a cursor, under a name that no sensor has. LARGEST_ID looks at
# all of them.
BATCH_CURSOR = "batch of {}"
# Single events and blocks, each from its first to its last.
GATHERED_SINCE = """
SELECT seq, seq, accepted_at, decisions FROM event_row
WHERE seq > :since AND sensor IN (SELECT value FROM json_each(:sensors))
UNION ALL
SELECT max(first, :since + 1), last, accepted_at, decisions FROM event_block
WHERE first >= coalesce((SELECT max(first) FROM event_block WHERE first <= :since), 0) AND last > :since
  AND sensor IN (SELECT value FROM json_each(:sensors))
ORDER BY 1
"""
EVENTS_OF_BATCH = """
SELECT run.id, run.workflow, event.seq, event.source, event.id, event.sensor, event.type, event.subject, event.time,
       event.accepted_at, event.data, event.decisions
FROM run JOIN event_row AS event ON event.seq BETWEEN run.event AND run.last_event
WHERE run.id IN (SELECT value FROM json_each(?)) AND run.last_event IS NOT NULL ORDER BY run.id, event.seq
"""
BLOCKS_OF_BATCH = """
SELECT run.id, run.workflow, run.event, run.last_event,
       block.first, block.source, block.series, block.sensor, block.type, block.accepted_at, block.decisions,
       block.parts, block.subjects, block.data
FROM run JOIN event_block AS block
  ON block.first >= coalesce((SELECT max(first) FROM event_block WHERE first <= run.event), run.event)
 AND block.first <= run.last_event AND block.last >= run.event
WHERE run.id IN (SELECT value FROM json_each(?)) AND run.last_event IS NOT NULL ORDER BY run.id, block.first
"""
SELECT_EVENT = """
SELECT seq, source, id, sensor, type, subject, time, accepted_at, data, decisions FROM event_row WHERE seq = ?
"""
SELECT_STEPS = """
SELECT run, name, outcome, attempt, started_at, finished_at, result, error FROM step
WHERE run IN (SELECT value FROM json_each(?))
"""
SELECT_ATTEMPTS = """
SELECT run, step, attempt, outcome, started_at, finished_at, error, next_at FROM attempt
WHERE run IN (SELECT value FROM json_each(?)) ORDER BY run, step, attempt
"""
LARGEST_ID = """
SELECT max(coalesce((SELECT max(seq) FROM event_row), 0), coalesce((SELECT max(id) FROM run), 0),
           coalesce((SELECT last FROM event_block ORDER BY first DESC LIMIT 1), 0),
           coalesce((SELECT max(id) FROM dead_letter), 0),
           coalesce((SELECT max(CAST(value AS INTEGER)) FROM cursor
                     WHERE sensor >= 'batch of ' AND sensor < 'batch of!'), 0))
"""

# Settled: old enough, every run finished before then, and no dead letter that still waits for a human.
SETTLED_EVENTS = """
SELECT seq, seq, sensor FROM event_row AS event WHERE accepted_at < :before
  AND NOT EXISTS (SELECT 1 FROM run WHERE run.event = event.seq
                  AND (run.state <> 'finished' OR run.finished_at >= :before OR run.outcome = 'dead'))
  AND NOT EXISTS (SELECT 1 FROM dead_letter WHERE dead_letter.event = event.seq AND redriven_at IS NULL)
  AND NOT EXISTS (SELECT 1 FROM run WHERE run.last_event IS NOT NULL AND event.seq BETWEEN run.event AND run.last_event
                  AND (run.state <> 'finished' OR run.finished_at >= :before OR run.outcome = 'dead'))
ORDER BY seq LIMIT :limit
"""
# The same of a block, which goes when all its events may.
SETTLED_BLOCKS = """
SELECT first, last, sensor FROM event_block AS block WHERE accepted_at < :before
  AND NOT EXISTS (SELECT 1 FROM run WHERE run.event BETWEEN block.first AND block.last
                  AND (run.state <> 'finished' OR run.finished_at >= :before OR run.outcome = 'dead'))
  AND NOT EXISTS (SELECT 1 FROM dead_letter WHERE dead_letter.event BETWEEN block.first AND block.last
                  AND redriven_at IS NULL)
  AND NOT EXISTS (SELECT 1 FROM run WHERE run.last_event IS NOT NULL AND run.event < block.first
                  AND run.last_event >= block.first
                  AND (run.state <> 'finished' OR run.finished_at >= :before OR run.outcome = 'dead'))
ORDER BY first LIMIT :limit
"""
RUNS_OF_EVENTS = "SELECT id, workflow, outcome FROM run WHERE event BETWEEN ? AND ?"
DELETE_STEPS = "DELETE FROM step WHERE run = ?"
DELETE_ATTEMPTS = "DELETE FROM attempt WHERE run = ?"
DELETE_LETTERS_OF_RUN = "DELETE FROM dead_letter WHERE run = ?"
DELETE_LETTERS_OF_EVENTS = "DELETE FROM dead_letter WHERE event BETWEEN ? AND ?"
DELETE_RUN = "DELETE FROM run WHERE id = ?"
DELETE_EVENT = "DELETE FROM event_row WHERE seq = ? RETURNING source, id"
DELETE_BLOCK = "DELETE FROM event_block WHERE first = ?"
