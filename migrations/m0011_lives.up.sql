-- breaking
-- An older program would take an open execution for one that ended.

-- Executions with a life: tracked completion, retries, deadlines.

ALTER TABLE scheduler.executions
    ADD COLUMN tracked    boolean NOT NULL DEFAULT false,
    ADD COLUMN started_at timestamptz,
    ADD COLUMN result     json,
    DROP CONSTRAINT executions_state,
    DROP CONSTRAINT executions_finished,
    ADD CONSTRAINT executions_state CHECK (state IN
        ('claimed', 'delivered', 'running', 'retry_wait', 'succeeded', 'dead', 'skipped', 'cancelled')),
    ADD CONSTRAINT executions_finished CHECK ((finished_at IS NULL) =
        (state IN ('claimed', 'running', 'retry_wait') OR (state = 'delivered' AND tracked)));
COMMENT ON COLUMN scheduler.executions.tracked IS 'its target tells how it ends: delivered is no end';
COMMENT ON COLUMN scheduler.executions.started_at IS 'when the worker of the last attempt said that it began';
COMMENT ON COLUMN scheduler.executions.result IS 'what the worker gave back: at most 4 KiB';

-- What ended never changes, and what is open changes as the core's machine does (Life), whoever asks.
DROP TRIGGER keep_terminal ON scheduler.executions;
CREATE OR REPLACE FUNCTION scheduler.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.finished_at IS NOT NULL THEN
        RAISE EXCEPTION 'execution % is %, which is terminal', OLD.id, OLD.state USING ERRCODE = 'CR002';
    END IF;
    RAISE EXCEPTION 'execution % cannot go from % to %', OLD.id, OLD.state, NEW.state USING ERRCODE = 'CR002';
END $$;
CREATE TRIGGER keep_terminal BEFORE UPDATE ON scheduler.executions FOR EACH ROW
    WHEN (OLD.finished_at IS NOT NULL) EXECUTE FUNCTION scheduler.refuse_change();
CREATE TRIGGER keep_order BEFORE UPDATE ON scheduler.executions FOR EACH ROW
    WHEN (OLD.state <> NEW.state AND OLD.finished_at IS NULL AND CASE OLD.state
        WHEN 'claimed' THEN false
        WHEN 'delivered' THEN NEW.state IN ('claimed', 'skipped')
        WHEN 'running' THEN NEW.state IN ('claimed', 'delivered', 'skipped')
        ELSE NEW.state IN ('delivered', 'running', 'dead', 'skipped') END)
    EXECUTE FUNCTION scheduler.refuse_change();

-- One row an open execution that is tracked, or that waits for a retry. Untracked ones that are delivered never have one.
-- It goes with the write that ends the execution. deadline_at is NULL while the claimant looks after it.
CREATE TABLE scheduler.runs (
    execution_id uuid        NOT NULL PRIMARY KEY,
    schedule_id  uuid        NOT NULL,
    opened_at    timestamptz NOT NULL,
    delivered_at timestamptz,
    started_at   timestamptz,
    run_until    timestamptz,
    deadline_at  timestamptz,
    fence        bigint      NOT NULL,
    attempt      integer     NOT NULL,
    tracked      boolean     NOT NULL,
    cancelling   boolean     NOT NULL DEFAULT false,
    state        text        NOT NULL,
    deadline     text,
    last_outcome text,
    reason       text,
    progress     json,
    CONSTRAINT runs_state CHECK (state IN ('claimed', 'delivered', 'running', 'retry_wait')),
    CONSTRAINT runs_deadline CHECK ((deadline IS NULL) = (deadline_at IS NULL)),
    CONSTRAINT runs_deadline_kind CHECK (deadline IN ('start', 'run', 'heartbeat', 'retry', 'cancel'))
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,
        autovacuum_vacuum_cost_delay = 0);
CREATE INDEX runs_due ON scheduler.runs (deadline_at) WHERE deadline_at IS NOT NULL;
CREATE INDEX runs_schedule ON scheduler.runs (schedule_id);
COMMENT ON TABLE scheduler.runs IS 'open executions that somebody must look after: tracked ones, and those that wait for a retry';
COMMENT ON COLUMN scheduler.runs.opened_at IS 'when the first attempt was due';
COMMENT ON COLUMN scheduler.runs.run_until IS 'the latest end of the attempt';
COMMENT ON COLUMN scheduler.runs.cancelling IS 'the worker was asked to stop';

-- What must be published after a transition, whole; a row goes when its acknowledgement is in.
CREATE TABLE scheduler.owed_messages (
    id           bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at           timestamptz NOT NULL,
    stream       text        NOT NULL,
    subject      text        NOT NULL,
    message_id   text        NOT NULL,
    content_type text        NOT NULL,
    body         bytea       NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
COMMENT ON TABLE scheduler.owed_messages IS 'events of transitions and dead letters that no acknowledgement has come for';

-- A day with something open stays.
CREATE OR REPLACE FUNCTION scheduler.drop_executions_partition(day_start timestamptz) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '100ms' AS $$
DECLARE
    first_ms bigint := floor(extract(epoch FROM day_start) * 1000)::bigint;
    part     text := 'executions_' || to_char(day_start AT TIME ZONE 'UTC', 'YYYYMMDD');
    low      uuid := (rpad(lpad(to_hex(first_ms), 12, '0'), 32, '0'))::uuid;
    high     uuid := (rpad(lpad(to_hex(first_ms + 86400000), 12, '0'), 32, '0'))::uuid;
BEGIN
    -- Looked at once before, so that nobody is locked out for a day that stays.
    IF EXISTS (SELECT FROM scheduler.claims WHERE oldest < high)
        OR EXISTS (SELECT FROM scheduler.runs WHERE execution_id >= low AND execution_id < high) THEN
        RETURN false;
    END IF;
    LOCK TABLE ONLY scheduler.executions IN ACCESS EXCLUSIVE MODE;
    -- From here on everybody waits: the other two locks are had at once, or not at all.
    EXECUTE format('LOCK TABLE scheduler.%I, scheduler.executions_default IN ACCESS EXCLUSIVE MODE NOWAIT', part);
    IF EXISTS (SELECT FROM scheduler.claims WHERE oldest < high)
        OR EXISTS (SELECT FROM scheduler.runs WHERE execution_id >= low AND execution_id < high) THEN
        RETURN false;
    END IF;
    EXECUTE format('DROP TABLE scheduler.%I', part);
    RETURN true;
END $$;
