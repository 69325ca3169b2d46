-- Upkeep that keeps nobody waiting: partitions are made and dropped with short waits for their locks; old rows are found
-- by indexes; schedules are found by name; which zone data the timers were computed from.

-- A name is looked up here: a live schedule before exhausted ones of the same name, the latest of those first. The
-- unique index schedules_name cannot serve, for it does not hold the exhausted ones.
CREATE INDEX schedules_called ON scheduler.schedules (namespace, name, (state = 'exhausted'), id DESC)
    WHERE state <> 'deleted';

-- Retention takes the oldest first, in pages.
CREATE INDEX audit_log_at ON scheduler.audit_log (at);

-- The zone data that the timers of zoned schedules were computed from last; one row, or none before the first start.
CREATE TABLE scheduler.zone_data (
    only_row    boolean     NOT NULL PRIMARY KEY DEFAULT true,
    fingerprint bigint      NOT NULL,
    version     text,
    changed_at  timestamptz NOT NULL,
    CONSTRAINT zone_data_only_row CHECK (only_row)
);
COMMENT ON COLUMN scheduler.zone_data.fingerprint IS 'A hash of all zone files: the same on every machine with the same data.';
COMMENT ON COLUMN scheduler.zone_data.version IS 'The release, such as 2026a; NULL where the data does not tell.';

-- Makes the partition of the day that begins at day_start, if it is missing. Every instance may call it.
--
-- To attach a partition locks the default partition against everybody, and plans that look at all days lock that one
-- too: what waits for the lock waits 100 ms at most (55P03), and so does who comes behind it.
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
    -- One maker at a time; the loser finds the partition made. Nobody else waits for this lock: the caller's own
    -- lock_timeout holds for it.
    PERFORM pg_advisory_xact_lock(x'434152494c4c4f4e'::bigint);
    IF to_regclass('scheduler.' || part) IS NOT NULL THEN
        RETURN false;
    END IF;
    PERFORM set_config('lock_timeout', '100ms', true);
    -- The strongest lock first: taken later, over the weaker one of the move, it would be waited for twice.
    LOCK TABLE scheduler.executions_default IN ACCESS EXCLUSIVE MODE;
    -- A row is written twice; with room for both on its page the second write touches no index.
    EXECUTE format('CREATE TABLE scheduler.%I (LIKE scheduler.executions INCLUDING DEFAULTS INCLUDING CONSTRAINTS)
        WITH (fillfactor = 50, autovacuum_vacuum_cost_delay = 0)', part);
    -- Rows that the default partition took meanwhile move into their day, or the new partition would refuse to attach.
    EXECUTE format('WITH moved AS (DELETE FROM scheduler.executions_default WHERE id >= %L AND id < %L RETURNING *)
        INSERT INTO scheduler.%I SELECT * FROM moved', low, high, part);
    EXECUTE format('ALTER TABLE scheduler.executions ATTACH PARTITION scheduler.%I FOR VALUES FROM (%L) TO (%L)',
        part, low, high);
    RETURN true;
END $$;

-- Drops the partition of the day that begins at day_start, unless the journal names an execution of that day or an
-- earlier one: such are open, or their events are owed. Returns whether it was dropped.
--
-- To drop a partition locks the ledger against everybody. The lock is waited for 100 ms at most (55P03), so whoever
-- comes behind waits no longer than that and the drop itself, which only changes the catalog: files go after the locks.
-- Nobody can open an execution meanwhile, so what the journal says under the lock holds.
CREATE FUNCTION scheduler.drop_executions_partition(day_start timestamptz) RETURNS boolean
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
