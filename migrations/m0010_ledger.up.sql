-- breaking
-- An older program cannot read an execution that was cancelled.

-- The audit log's hash chain, what lists of it need, and executions that were cancelled or made again.

-- Entries are written unsealed, by many transactions at once; a sealer gives each its place in the chain and a hash over
-- its content and the hash before it. The place is its own number: ids are taken in another order than they commit in.
ALTER TABLE scheduler.audit_log
    ADD COLUMN sealed_seq bigint,
    ADD COLUMN sealed_at  timestamptz,
    ADD COLUMN hash       bytea,
    ADD CONSTRAINT audit_log_sealed CHECK ((sealed_seq IS NULL) = (hash IS NULL) AND (hash IS NULL) = (sealed_at IS NULL));
COMMENT ON COLUMN scheduler.audit_log.hash IS 'SHA-256 of the hash before it and of the entry''s canonical form (docs/audit.md).';
CREATE UNIQUE INDEX audit_log_sealed_seq ON scheduler.audit_log (sealed_seq) WHERE sealed_seq IS NOT NULL;
-- What is to be sealed: a second's entries, as a rule.
CREATE INDEX audit_log_unsealed ON scheduler.audit_log (id) WHERE sealed_seq IS NULL;

-- Lists are by time, newest first. The retention goes along the chain and needs no index on the time alone.
DROP INDEX scheduler.audit_log_at, scheduler.audit_log_schedule;
CREATE INDEX audit_log_schedule ON scheduler.audit_log (schedule_id, at, id) WHERE schedule_id IS NOT NULL;
CREATE INDEX audit_log_namespace ON scheduler.audit_log (namespace, at, id);

-- Where the chain ends, and where it begins since the retention dropped what was before. Its lock makes one sealer.
CREATE TABLE scheduler.audit_chain (
    only_row    boolean NOT NULL PRIMARY KEY DEFAULT true,
    head_seq    bigint  NOT NULL,
    head_hash   bytea   NOT NULL,
    anchor_seq  bigint  NOT NULL,
    anchor_hash bytea   NOT NULL,
    CONSTRAINT audit_chain_only_row CHECK (only_row)
) WITH (fillfactor = 50);
COMMENT ON COLUMN scheduler.audit_chain.anchor_hash IS 'The hash of the last entry that the retention dropped; 32 zero bytes before any.';
INSERT INTO scheduler.audit_chain (head_seq, head_hash, anchor_seq, anchor_hash)
VALUES (0, decode(repeat('00', 32), 'hex'), 0, decode(repeat('00', 32), 'hex'));

-- What a command opened for past times (a backfill, a retry) lies far before everything else that is open: where the
-- search for open executions begins, it does not count.
ALTER TABLE scheduler.claims ADD COLUMN commanded boolean NOT NULL DEFAULT false;
CREATE INDEX claims_own ON scheduler.claims (oldest) WHERE NOT commanded;
CREATE INDEX claims_commanded ON scheduler.claims (id) WHERE commanded;

ALTER TABLE scheduler.executions ADD COLUMN retry_of uuid;
COMMENT ON COLUMN scheduler.executions.retry_of IS 'The execution that this one was made again of, by a command.';
ALTER TABLE scheduler.executions DROP CONSTRAINT executions_state;
ALTER TABLE scheduler.executions
    ADD CONSTRAINT executions_state CHECK (state IN ('claimed', 'delivered', 'dead', 'skipped', 'cancelled'));
