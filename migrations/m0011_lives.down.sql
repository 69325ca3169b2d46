-- What is open of tracked executions ends: an older program cannot look after it. Terminal rows change here only.
DROP TRIGGER keep_order ON scheduler.executions;
DROP TRIGGER keep_terminal ON scheduler.executions;
ALTER TABLE scheduler.executions DROP CONSTRAINT executions_finished;
UPDATE scheduler.executions SET state = 'delivered' WHERE state = 'succeeded';
UPDATE scheduler.executions
SET state = 'dead', finished_at = now(), reason = 'open when the schema went back', last_outcome = 'failed'
WHERE finished_at IS NULL AND (tracked OR state <> 'claimed');
ALTER TABLE scheduler.executions
    DROP CONSTRAINT executions_state,
    ADD CONSTRAINT executions_state CHECK (state IN ('claimed', 'delivered', 'dead', 'skipped', 'cancelled')),
    ADD CONSTRAINT executions_finished CHECK ((state = 'claimed') = (finished_at IS NULL)),
    DROP COLUMN tracked, DROP COLUMN started_at, DROP COLUMN result;
CREATE OR REPLACE FUNCTION scheduler.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'execution % is %, which is terminal', OLD.id, OLD.state USING ERRCODE = 'CR002';
END $$;
CREATE TRIGGER keep_terminal BEFORE UPDATE ON scheduler.executions FOR EACH ROW
    WHEN (OLD.state <> 'claimed') EXECUTE FUNCTION scheduler.refuse_change();

CREATE OR REPLACE FUNCTION scheduler.drop_executions_partition(day_start timestamptz) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '100ms' AS $$
DECLARE
    first_ms bigint := floor(extract(epoch FROM day_start) * 1000)::bigint;
    part     text := 'executions_' || to_char(day_start AT TIME ZONE 'UTC', 'YYYYMMDD');
    high     uuid := (rpad(lpad(to_hex(first_ms + 86400000), 12, '0'), 32, '0'))::uuid;
BEGIN
    -- Looked at once before, so that nobody is locked out for a day that stays.
    IF EXISTS (SELECT FROM scheduler.claims WHERE oldest < high) THEN
        RETURN false;
    END IF;
    LOCK TABLE ONLY scheduler.executions IN ACCESS EXCLUSIVE MODE;
    -- From here on everybody waits: the other two locks are had at once, or not at all.
    EXECUTE format('LOCK TABLE scheduler.%I, scheduler.executions_default IN ACCESS EXCLUSIVE MODE NOWAIT', part);
    IF EXISTS (SELECT FROM scheduler.claims WHERE oldest < high) THEN
        RETURN false;
    END IF;
    EXECUTE format('DROP TABLE scheduler.%I', part);
    RETURN true;
END $$;

DROP TABLE scheduler.owed_messages;
DROP TABLE scheduler.runs;
