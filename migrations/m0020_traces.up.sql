-- W3C trace context of the command that asked for an execution or made a change: "<traceparent>", or "<traceparent>
-- <tracestate>". Written by commands only; an occurrence of a schedule's own time has none, and costs nothing more.
ALTER TABLE scheduler.executions ADD COLUMN trace text;
ALTER TABLE scheduler.buffered ADD COLUMN trace text;
ALTER TABLE scheduler.audit_log ADD COLUMN trace text;
COMMENT ON COLUMN scheduler.executions.trace IS 'W3C trace context of the command that asked for it.';
COMMENT ON COLUMN scheduler.buffered.trace IS 'W3C trace context of the command that asked for it.';
COMMENT ON COLUMN scheduler.audit_log.trace IS 'W3C trace context of the command that made the change; no part of the chain of hashes.';
