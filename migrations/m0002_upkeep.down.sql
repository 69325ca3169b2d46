-- Back to the first schema: what is dropped here holds no data that the service cannot find again.
DROP FUNCTION scheduler.drop_executions_partition(timestamptz);
DROP TABLE scheduler.zone_data;
DROP INDEX scheduler.audit_log_at;
DROP INDEX scheduler.schedules_called;

-- Makes the partition of the day that begins at day_start, if it is missing. Every instance may call it.
CREATE OR REPLACE FUNCTION scheduler.ensure_executions_partition(day_start timestamptz) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    first_ms bigint := floor(extract(epoch FROM day_start) * 1000)::bigint;
    part     text := 'executions_' || to_char(day_start AT TIME ZONE 'UTC', 'YYYYMMDD');
    low      uuid := (rpad(lpad(to_hex(first_ms), 12, '0'), 32, '0'))::uuid;
    high     uuid := (rpad(lpad(to_hex(first_ms + 86400000), 12, '0'), 32, '0'))::uuid;
BEGIN
    IF to_regclass('scheduler.' || part) IS NOT NULL THEN
        RETURN false;
    END IF;
    -- One maker at a time; the loser finds the partition made.
    PERFORM pg_advisory_xact_lock(x'434152494c4c4f4e'::bigint);
    IF to_regclass('scheduler.' || part) IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE scheduler.%I (LIKE scheduler.executions INCLUDING DEFAULTS INCLUDING CONSTRAINTS)
        WITH (fillfactor = 80, autovacuum_vacuum_cost_delay = 0)', part);
    -- Rows that the default partition took meanwhile move into their day, or the new partition would refuse to attach.
    EXECUTE format('WITH moved AS (DELETE FROM scheduler.executions_default WHERE id >= %L AND id < %L RETURNING *)
        INSERT INTO scheduler.%I SELECT * FROM moved', low, high, part);
    EXECUTE format('ALTER TABLE scheduler.executions ATTACH PARTITION scheduler.%I FOR VALUES FROM (%L) TO (%L)',
        part, low, high);
    RETURN true;
END $$;
