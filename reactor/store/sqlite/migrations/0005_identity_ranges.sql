-- Identities of single events that came together with ids of one series, whose numbers ascend without a gap: from
-- `first_number` on, those of the events from `first` to `last`, which have no gap either. They are in no segment; an
-- event that is in no row any more is not known. Two ranges of a source and series never overlap.
CREATE TABLE identity_range (
    first        INTEGER PRIMARY KEY,
    last         INTEGER NOT NULL,
    source       TEXT    NOT NULL,
    series       TEXT    NOT NULL,
    first_number INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX identity_range_numbers ON identity_range (source, series, first_number);
