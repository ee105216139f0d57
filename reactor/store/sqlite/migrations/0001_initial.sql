-- Instants are microseconds since 1970 (UTC). Names of sensors, workflows and steps are text as defined.

-- What happened. `decisions` is a JSON list of [workflow, verdict, clause, actual], one per workflow that listens
-- to the sensor; verdict is 'fired', 'gathered', 'refused' or 'failed', and for 'fired' the clause is the run's id.
CREATE TABLE event (
    seq         INTEGER PRIMARY KEY,
    source      TEXT    NOT NULL,
    id          TEXT    NOT NULL,
    sensor      TEXT    NOT NULL,
    type        TEXT    NOT NULL,
    subject     TEXT,
    time        INTEGER NOT NULL,
    accepted_at INTEGER NOT NULL,
    data        BLOB    NOT NULL,
    decisions   TEXT    NOT NULL
) STRICT;
CREATE UNIQUE INDEX event_identity ON event (source, id);

-- One execution of a workflow, for `event` or, with `last_event`, for all events from one to the other that were
-- gathered for it. `state` is pending, running, waiting (for a retry) or finished; `outcome` is
-- succeeded, failed, timed_out, cancelled or dead, and only then. `deaths` counts the deaths of the process in a
-- row that found this run in flight.
CREATE TABLE run (
    id          INTEGER PRIMARY KEY,
    workflow    TEXT    NOT NULL,
    event       INTEGER NOT NULL REFERENCES event (seq),
    last_event  INTEGER,
    key         TEXT,
    state       TEXT    NOT NULL CHECK (state IN ('pending', 'running', 'waiting', 'finished')),
    outcome     TEXT    CHECK ((outcome IS NULL) = (state <> 'finished')),
    deaths      INTEGER NOT NULL DEFAULT 0,
    created_at  INTEGER NOT NULL,
    started_at  INTEGER,
    finished_at INTEGER,
    error       TEXT
) STRICT;
CREATE INDEX run_event ON run (event);
CREATE INDEX run_pending ON run (workflow, id) WHERE state = 'pending';
CREATE INDEX run_pending_key ON run (workflow, key, id) WHERE state = 'pending' AND key IS NOT NULL;
CREATE INDEX run_in_flight ON run (id) WHERE state IN ('running', 'waiting');
CREATE INDEX run_that_died ON run (id) WHERE deaths > 0;
CREATE INDEX run_of_batch ON run (event, last_event) WHERE last_event IS NOT NULL;
CREATE INDEX run_finished ON run (finished_at) WHERE state = 'finished';

-- The one recorded end of a step of a run; `attempt` is the attempt that ended it, 0 for a skipped step.
CREATE TABLE step (
    run         INTEGER NOT NULL REFERENCES run (id),
    name        TEXT    NOT NULL,
    outcome     TEXT    NOT NULL,
    attempt     INTEGER NOT NULL,
    started_at  INTEGER NOT NULL,
    finished_at INTEGER NOT NULL,
    result      BLOB,
    error       TEXT,
    PRIMARY KEY (run, name)
) STRICT, WITHOUT ROWID;

-- Attempts that failed and are, or were, followed by another.
CREATE TABLE attempt (
    run         INTEGER NOT NULL REFERENCES run (id),
    step        TEXT    NOT NULL,
    attempt     INTEGER NOT NULL,
    outcome     TEXT    NOT NULL,
    started_at  INTEGER NOT NULL,
    finished_at INTEGER NOT NULL,
    error       TEXT    NOT NULL,
    next_at     INTEGER NOT NULL,
    PRIMARY KEY (run, step, attempt)
) STRICT, WITHOUT ROWID;

-- Where each sensor resumes.
CREATE TABLE cursor (
    sensor TEXT NOT NULL,
    key    TEXT NOT NULL,
    value  BLOB NOT NULL,
    PRIMARY KEY (sensor, key)
) STRICT, WITHOUT ROWID;

-- What was parked for a human: input that is no event (raw), an event whose trigger failed (event), or a run that
-- was in flight at too many deaths (run).
CREATE TABLE dead_letter (
    id          INTEGER PRIMARY KEY,
    sensor      TEXT    NOT NULL,
    event_id    TEXT    NOT NULL,
    workflow    TEXT    NOT NULL DEFAULT '',
    event       INTEGER REFERENCES event (seq),
    run         INTEGER REFERENCES run (id),
    reason      TEXT    NOT NULL,
    detail      TEXT    NOT NULL,
    subject     TEXT,
    raw         BLOB    NOT NULL,
    created_at  INTEGER NOT NULL,
    redriven_at INTEGER
) STRICT;
CREATE INDEX dead_letter_identity ON dead_letter (sensor, event_id);
CREATE INDEX dead_letter_event ON dead_letter (event) WHERE event IS NOT NULL;
CREATE INDEX dead_letter_run ON dead_letter (run) WHERE run IS NOT NULL;

-- Occurrences that were seen and on purpose not fired.
CREATE TABLE skipped (
    sensor     TEXT    NOT NULL,
    occurrence TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    at         INTEGER NOT NULL,
    PRIMARY KEY (sensor, occurrence)
) STRICT, WITHOUT ROWID;

-- Counted apart from the rows they count, in the transaction that made or removed those rows: `reactor audit`
-- compares. `subject` is sensor or workflow; `kind` is accepted, rejected, skipped, fired, or removed_<outcome>.
CREATE TABLE tally (
    subject TEXT    NOT NULL,
    name    TEXT    NOT NULL,
    kind    TEXT    NOT NULL,
    count   INTEGER NOT NULL,
    PRIMARY KEY (subject, name, kind)
) STRICT, WITHOUT ROWID;

-- The definitions last loaded, for commands that read while the daemon is down.
CREATE TABLE workflow (
    name       TEXT    NOT NULL PRIMARY KEY,
    definition TEXT    NOT NULL,
    loaded_at  INTEGER NOT NULL
) STRICT;
