-- A run or a dead letter may be of an event that is part of a block, which no reference can name. SQLite's own way to
-- take a constraint away without writing every row anew: https://sqlite.org/lang_altertable.html#otheralter.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, ' REFERENCES event (seq)', '')
    WHERE type = 'table' AND name IN ('run', 'dead_letter');
PRAGMA writable_schema = RESET;

-- `event` is all events from here on, whether each has a row of its own or is part of a block.
ALTER TABLE event RENAME TO event_row;

-- Events that came in one call and only wait for batches: one row for all from `first` to `last`, which are numbers in
-- the sequence of all events, without a gap. They are alike but for what is in `parts`, a JSON list of [number, time,
-- start of data, length of data, start of subject, length of subject], positions being bytes in `data` and `subjects`.
-- An event's id is `series`, which does not end with a digit, and its number; all numbers of a block have as many
-- digits. Two blocks of a source and series never overlap from `first_number` to `last_number`.
CREATE TABLE event_block (
    first        INTEGER PRIMARY KEY,
    last         INTEGER NOT NULL,
    source       TEXT    NOT NULL,
    series       TEXT    NOT NULL,
    first_number INTEGER NOT NULL,
    last_number  INTEGER NOT NULL,
    sensor       TEXT    NOT NULL,
    type         TEXT    NOT NULL,
    accepted_at  INTEGER NOT NULL,
    decisions    TEXT    NOT NULL,
    parts        TEXT    NOT NULL,
    subjects     BLOB    NOT NULL,
    data         BLOB    NOT NULL
) STRICT;
CREATE UNIQUE INDEX event_block_identity ON event_block (source, series, last_number);

-- For whoever looks: to find one event by its number or id here, every block is read. json_each alone takes the parts
-- apart, since SQLite's other functions for JSON are not allowed in a view where schemas are not trusted. A part of
-- nothing is NULL to SQLite.
CREATE VIEW event (seq, source, id, sensor, type, subject, time, accepted_at, data, decisions) AS
    SELECT seq, source, id, sensor, type, subject, time, accepted_at, data, decisions FROM event_row
    UNION ALL
    SELECT block.first + part.key, block.source, block.series || number.value, block.sensor, block.type,
           CASE WHEN subject_length.value IS NOT NULL THEN
               coalesce(CAST(substr(block.subjects, subject_start.value + 1, subject_length.value) AS TEXT), '')
           END,
           time.value, block.accepted_at, coalesce(substr(block.data, start.value + 1, length.value), x''), block.decisions
    FROM event_block AS block
    JOIN json_each(block.parts) AS part
    JOIN json_each(part.value) AS number ON number.key = 0
    JOIN json_each(part.value) AS time ON time.key = 1
    JOIN json_each(part.value) AS start ON start.key = 2
    JOIN json_each(part.value) AS length ON length.key = 3
    JOIN json_each(part.value) AS subject_start ON subject_start.key = 4
    JOIN json_each(part.value) AS subject_length ON subject_length.key = 5;
