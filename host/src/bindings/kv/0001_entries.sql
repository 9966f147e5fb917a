-- What is kept under a key of a namespace. The value comes last: what is before it is read without it.
CREATE TABLE entry (
    namespace TEXT NOT NULL,
    -- Ordered by its bytes.
    key TEXT NOT NULL,
    -- Seconds since 1970. From then on it is as if it were not there.
    expires_at INTEGER,
    -- JSON.
    metadata BLOB,
    value BLOB NOT NULL
) STRICT;

-- An entry by its key; the keys of a namespace in order.
CREATE UNIQUE INDEX entry_by_key ON entry (namespace, key);

-- What is to be taken away.
CREATE INDEX entry_by_expiry ON entry (expires_at) WHERE expires_at IS NOT NULL;
