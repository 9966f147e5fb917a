-- How far each cron expression has come: everything it matches up to `boundary` was fired or skipped. Apart from the instances that
-- a schedule made, which may have been removed. `kind` says whose the expression is: of a 'workflow', or of a 'worker'.
CREATE TABLE cron (
    kind       TEXT    NOT NULL,
    owner      TEXT    NOT NULL,
    expression TEXT    NOT NULL,
    boundary   INTEGER NOT NULL,
    PRIMARY KEY (kind, owner, expression)
) STRICT, WITHOUT ROWID;
