-- What steps emitted and nobody has acknowledged yet. A row is inserted with its step's result and removed when it is
-- delivered or parked. `lane` is a digest of outlet, options and target; rows of a lane with the same key are delivered
-- in the order of `id`, which is never used twice. It refers to no run, so that a run may be removed before it.
CREATE TABLE outbox (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    lane       TEXT    NOT NULL,
    workflow   TEXT    NOT NULL,
    run        INTEGER NOT NULL,
    step       TEXT    NOT NULL,
    part       INTEGER NOT NULL,
    outlet     TEXT    NOT NULL,
    options    TEXT    NOT NULL,
    target     TEXT    NOT NULL,
    key        BLOB,
    attributes TEXT    NOT NULL,
    payload    BLOB    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
-- The workflow is there for counts, which then need not read the rows.
CREATE INDEX outbox_lane ON outbox (lane, id, workflow);

-- For a dead letter that was in the outbox: what is needed to put it back, as JSON. Its payload is `raw`.
ALTER TABLE dead_letter ADD COLUMN outgoing TEXT;
