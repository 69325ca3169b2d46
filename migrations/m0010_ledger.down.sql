-- The chain is forgotten; its entries stay. What was cancelled is told as given up, which is the nearest that an older
-- program knows. Terminal rows change here and nowhere else.
DROP TRIGGER keep_terminal ON scheduler.executions;
UPDATE scheduler.executions
SET state = 'dead', reason = 'cancelled: ' || coalesce(reason, 'no reason was given'), last_outcome = 'cancelled'
WHERE state = 'cancelled';
CREATE TRIGGER keep_terminal BEFORE UPDATE ON scheduler.executions FOR EACH ROW
    WHEN (OLD.state <> 'claimed') EXECUTE FUNCTION scheduler.refuse_change();
ALTER TABLE scheduler.executions DROP CONSTRAINT executions_state;
ALTER TABLE scheduler.executions
    ADD CONSTRAINT executions_state CHECK (state IN ('claimed', 'delivered', 'dead', 'skipped'));
ALTER TABLE scheduler.executions DROP COLUMN retry_of;

DROP INDEX scheduler.claims_own, scheduler.claims_commanded;
ALTER TABLE scheduler.claims DROP COLUMN commanded;

DROP TABLE scheduler.audit_chain;
DROP INDEX scheduler.audit_log_namespace, scheduler.audit_log_schedule, scheduler.audit_log_unsealed,
    scheduler.audit_log_sealed_seq;
CREATE INDEX audit_log_schedule ON scheduler.audit_log (schedule_id, id);
CREATE INDEX audit_log_at ON scheduler.audit_log (at);
ALTER TABLE scheduler.audit_log
    DROP CONSTRAINT audit_log_sealed, DROP COLUMN sealed_seq, DROP COLUMN sealed_at, DROP COLUMN hash;
