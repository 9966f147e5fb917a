-- A message is a row as long as it may still be delivered.
CREATE TABLE message (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    queue TEXT NOT NULL,
    id TEXT NOT NULL,
    sent_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    -- From when it can be delivered. None while a handler has it.
    visible_at INTEGER,
    -- Deliveries so far.
    attempts INTEGER NOT NULL,
    content_type TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;

-- The next messages of a queue.
CREATE INDEX message_by_turn ON message (queue, visible_at, key);

-- What is too old.
CREATE INDEX message_by_expiry ON message (expires_at);

-- What a process that was killed was handling.
CREATE INDEX message_handled ON message (key) WHERE visible_at IS NULL;
