-- breaking
-- An older program would open what should wait, and never open what waits.

-- Occurrences that wait for a place: due, claimed by nobody, without a row in the ledger. A row goes with the write that
-- opens the execution or tells that it was skipped. Whoever changes rows of a schedule holds its timer's lock.
CREATE TABLE scheduler.buffered (
    seq           bigint      GENERATED ALWAYS AS IDENTITY,
    execution_id  uuid        NOT NULL PRIMARY KEY,
    schedule_id   uuid        NOT NULL,
    scheduled_for timestamptz NOT NULL,
    due_at        timestamptz NOT NULL,
    since         timestamptz NOT NULL,
    ordinal       bigint      NOT NULL,
    missed_count  bigint      NOT NULL,
    retry_of      uuid,
    caused_by     uuid,
    generation    integer     NOT NULL,
    origin        text        NOT NULL,
    trigger       text        NOT NULL,
    payload       json
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX buffered_schedule ON scheduler.buffered (schedule_id, due_at, seq);
COMMENT ON TABLE scheduler.buffered IS 'occurrences that wait until an execution before them has ended';
COMMENT ON COLUMN scheduler.buffered.execution_id IS 'the id that the execution will have';
COMMENT ON COLUMN scheduler.buffered.payload IS 'what a trigger sends in place of the schedule''s';
