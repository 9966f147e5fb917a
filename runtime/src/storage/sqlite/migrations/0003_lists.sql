-- When the first run began, and when the status changed last. Of what was there before, only the end is known.
ALTER TABLE instance ADD COLUMN started_at INTEGER;
ALTER TABLE instance ADD COLUMN modified_at INTEGER;
UPDATE instance
    SET started_at = CASE status WHEN 'queued' THEN NULL ELSE created_at END,
        modified_at = coalesce(ended_at, created_at);

-- Serves lists of a workflow's instances by the time of their creation, and from any place of them on.
CREATE INDEX instance_by_creation ON instance (workflow, created_at);

-- Serves lists of one status, and counting by status.
CREATE INDEX instance_by_status ON instance (workflow, status, created_at);
