-- When a finished instance is to be removed; nothing while it is not finished.
ALTER TABLE instance ADD COLUMN expires_at INTEGER;

-- Where the error happened, readable by people.
ALTER TABLE instance ADD COLUMN error_backtrace TEXT;

-- How the compensations went: 'complete' or 'failed', and with 'failed' why.
ALTER TABLE instance ADD COLUMN rollback TEXT;
ALTER TABLE instance ADD COLUMN rollback_error_name TEXT;
ALTER TABLE instance ADD COLUMN rollback_error_message TEXT;
ALTER TABLE instance ADD COLUMN rollback_error_backtrace TEXT;

-- What has finished already is removed when it would be if it finished under this version: after the time its creator asked
-- for, else after a week. A sum beyond the largest number is the largest number.
UPDATE instance
    SET expires_at = ended_at + min(
        coalesce(CASE status WHEN 'errored' THEN retain_error_ms ELSE retain_success_ms END, 604800000),
        9223372036854775807 - ended_at)
    WHERE status IN ('complete', 'errored', 'terminated');

-- Serves removal: what is due, longest first. Instances that are not finished are not in it.
CREATE INDEX instance_by_expiry ON instance (expires_at) WHERE expires_at IS NOT NULL;

-- The output of steps that is a stream, in pieces. Clustered by time, as the journal is.
CREATE TABLE chunk (
    seq      INTEGER PRIMARY KEY,
    instance INTEGER NOT NULL,
    step     INTEGER NOT NULL,
    attempt  INTEGER NOT NULL,
    idx      INTEGER NOT NULL,
    bytes    BLOB    NOT NULL
) STRICT;

-- Serves reading a piece, and dropping those of an attempt, of the steps from one on, and of an instance.
CREATE UNIQUE INDEX chunk_by_place ON chunk (instance, step, attempt, idx);
