-- Takes everything with it: schedules, history, audit. There is nothing below the first schema to keep them in.
DROP FUNCTION scheduler.hold_membership(uuid);
DROP FUNCTION scheduler.ensure_executions_partition(timestamptz);
DROP TABLE scheduler.requests, scheduler.outbox, scheduler.audit_log, scheduler.namespaces, scheduler.locks,
    scheduler.instances, scheduler.claims, scheduler.executions, scheduler.timers, scheduler.schedules;
DROP FUNCTION scheduler.refuse_change();
