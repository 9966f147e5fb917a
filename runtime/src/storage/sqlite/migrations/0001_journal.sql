-- What is fixed of an instance, and the summary of its journal.
CREATE TABLE instance (
    key               INTEGER PRIMARY KEY,
    workflow          TEXT    NOT NULL,
    id                TEXT    NOT NULL,
    status            TEXT    NOT NULL,
    created_at        INTEGER NOT NULL,
    wake_at           INTEGER,
    ended_at          INTEGER,
    trigger           TEXT    NOT NULL,
    payload           BLOB    NOT NULL,
    cron              TEXT,
    scheduled_time    INTEGER,
    retain_success_ms INTEGER,
    retain_error_ms   INTEGER,
    output            BLOB,
    error_name        TEXT,
    error_message     TEXT
) STRICT;

-- Serves every operation on an instance, and keeps ids unique.
CREATE UNIQUE INDEX instance_by_id ON instance (workflow, id);

-- Serves the start: what has to go on. Finished instances are not in it.
CREATE INDEX instance_unfinished ON instance (key)
    WHERE status NOT IN ('complete', 'errored', 'terminated');

-- Entries in the order of their commits; a row holds the entries of one instance in one commit (MessagePack).
-- Clustered by time, not by instance: appending at one end is three to five times faster in groups.
CREATE TABLE journal (
    seq      INTEGER PRIMARY KEY,
    instance INTEGER NOT NULL,
    entries  BLOB    NOT NULL
) STRICT;

-- Serves replay: the rows of an instance, in order.
CREATE INDEX journal_by_instance ON journal (instance);
