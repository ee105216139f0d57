-- Which identities are known. An index over all of them would have a page of its own to change for each event whose id
-- is in no order; so the newest are found in the rows themselves, from the last segment's `through` on, and all others
-- in segments, each written once, in the order of its ids. An identity whose `event` has no row any more is of no
-- account. A segment that is not in `identity_segment` is not whole: its events are found in the rows.
CREATE TABLE identity (
    segment INTEGER NOT NULL,
    id      TEXT    NOT NULL,
    source  TEXT    NOT NULL,
    event   INTEGER NOT NULL,
    PRIMARY KEY (segment, id, source)
) STRICT, WITHOUT ROWID;

-- The events of a segment lie from `first` to `last`; all that lie up to `through` are in this segment or in one before.
CREATE TABLE identity_segment (
    number  INTEGER PRIMARY KEY,
    first   INTEGER NOT NULL,
    last    INTEGER NOT NULL,
    through INTEGER NOT NULL
) STRICT;

-- Eight segments to a filter, from 8 * number on: three places of `bits`, by a digest of the id, have a segment's bit
-- where the segment may have the id.
CREATE TABLE identity_filter (
    number INTEGER PRIMARY KEY,
    bits   BLOB NOT NULL
) STRICT;

DROP INDEX event_identity;
