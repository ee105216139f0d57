-- How many places of `bits` each id of the filter's segments has: four until this version, six in those that are new.
ALTER TABLE identity_filter ADD COLUMN places INTEGER NOT NULL DEFAULT 4;
