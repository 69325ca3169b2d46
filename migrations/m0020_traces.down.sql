ALTER TABLE scheduler.audit_log DROP COLUMN trace;
ALTER TABLE scheduler.buffered DROP COLUMN trace;
ALTER TABLE scheduler.executions DROP COLUMN trace;
