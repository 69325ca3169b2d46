-- Roles of least privilege: who owns the schema and migrates it, what the service may do, and who only reads. They have
-- no login: an admin grants them to those that have. What the service must do with the owner's rights stands in functions
-- that do just that, and run as the owner whoever calls them: each has its search_path fixed.

-- Changed by the owner alone: what the service keeps at least, whatever its settings say, or whoever took it over.
CREATE TABLE scheduler.retention_floors (
    only_row     boolean NOT NULL PRIMARY KEY DEFAULT true,
    history_days integer NOT NULL DEFAULT 1,
    audit_days   integer NOT NULL DEFAULT 1,
    CONSTRAINT retention_floors_only_row CHECK (only_row),
    CONSTRAINT retention_floors_days CHECK (history_days >= 0 AND audit_days >= 0)
);
COMMENT ON TABLE scheduler.retention_floors IS 'Days of history and of the audit log that the service cannot drop, whatever its settings say.';
INSERT INTO scheduler.retention_floors DEFAULT VALUES;

-- Makes a day's partition. So many that ten years of history fit; beyond it somebody makes them for their own sake.
CREATE FUNCTION scheduler.make_executions_day(day_start timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF extract(epoch FROM day_start) % 86400 <> 0 THEN
        RAISE EXCEPTION 'expected the beginning of a day (UTC), got %', day_start USING ERRCODE = 'CR020';
    END IF;
    IF (SELECT count(*) FROM pg_inherits WHERE inhparent = 'scheduler.executions'::regclass) >= 5000 THEN
        RAISE EXCEPTION 'expected fewer than 5000 partitions' USING ERRCODE = 'CR020';
    END IF;
    RETURN scheduler.ensure_executions_partition(day_start);
END $$;

-- Drops a day's partition, but none of the days that are kept at least.
CREATE FUNCTION scheduler.drop_executions_day(day_start timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    kept integer := coalesce((SELECT history_days FROM scheduler.retention_floors), 1);
BEGIN
    IF day_start + interval '24 hours' > clock_timestamp() - make_interval(hours => 24 * kept) THEN
        RETURN false;
    END IF;
    RETURN scheduler.drop_executions_partition(day_start);
END $$;

-- Drops a page of what lies before an id outside of the days' partitions, oldest first; nothing that the journal of
-- claims still needs, nothing that is open, and nothing of the days that are kept at least.
CREATE FUNCTION scheduler.clear_executions_default(before_id uuid, page bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    kept    integer := coalesce((SELECT history_days FROM scheduler.retention_floors), 1);
    kept_ms bigint := floor(extract(epoch FROM clock_timestamp() - make_interval(hours => 24 * kept)) * 1000)::bigint;
    cleared bigint;
BEGIN
    DELETE FROM scheduler.executions_default WHERE id IN (
        SELECT d.id FROM scheduler.executions_default d
        WHERE d.id < least(before_id, (rpad(lpad(to_hex(kept_ms), 12, '0'), 32, '0'))::uuid,
                coalesce((SELECT c.oldest FROM scheduler.claims c ORDER BY c.oldest LIMIT 1),
                    'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid))
            AND NOT EXISTS (SELECT FROM scheduler.runs r WHERE r.execution_id = d.id)
        ORDER BY d.id LIMIT page);
    GET DIAGNOSTICS cleared = ROW_COUNT;
    RETURN cleared;
END $$;

-- What ended is not deleted, but by who owns the ledger: the service deletes only what it claimed and gives back.
CREATE FUNCTION scheduler.keep_history() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF pg_has_role(current_user, (SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'USAGE') THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'execution % is %, which is terminal', OLD.id, OLD.state USING ERRCODE = 'CR002';
END $$;
CREATE TRIGGER keep_history BEFORE DELETE ON scheduler.executions FOR EACH ROW
    WHEN (OLD.finished_at IS NOT NULL) EXECUTE FUNCTION scheduler.keep_history();

-- The head of the audit log's chain, held until the transaction ends; no row while another one holds it.
CREATE FUNCTION scheduler.lock_audit_chain() RETURNS TABLE (head_seq bigint, head_hash bytea)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.head_seq, c.head_hash FROM scheduler.audit_chain c FOR UPDATE SKIP LOCKED
$$;

-- Seals entries: the next links of the chain, in this order. A seal that is there never changes.
CREATE FUNCTION scheduler.seal_audit(seal_time timestamptz, first_seq bigint, ids bigint[], hashes bytea[])
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    head   bigint;
    many   bigint := cardinality(ids);
    sealed bigint;
BEGIN
    SELECT c.head_seq INTO head FROM scheduler.audit_chain c FOR UPDATE;
    IF first_seq IS DISTINCT FROM head + 1 THEN
        RAISE EXCEPTION 'expected the seal % of the chain, got %', head + 1, first_seq USING ERRCODE = 'CR020';
    END IF;
    IF many = 0 OR cardinality(hashes) <> many
        OR EXISTS (SELECT FROM unnest(hashes) h WHERE octet_length(h) IS DISTINCT FROM 32) THEN
        RAISE EXCEPTION 'expected a hash of 32 bytes for each of % entries', many USING ERRCODE = 'CR020';
    END IF;
    UPDATE scheduler.audit_log a SET sealed_seq = first_seq + u.place - 1, hash = u.hash, sealed_at = seal_time
    FROM unnest(ids, hashes) WITH ORDINALITY AS u (id, hash, place)
    WHERE a.id = u.id AND a.sealed_seq IS NULL;
    GET DIAGNOSTICS sealed = ROW_COUNT;
    IF sealed <> many THEN
        RAISE EXCEPTION 'expected % entries that are not sealed, found %', many, sealed USING ERRCODE = 'CR020';
    END IF;
    UPDATE scheduler.audit_chain SET head_seq = first_seq + many - 1, head_hash = hashes[many];
    RETURN sealed;
END $$;

-- Along the chain, from its beginning: what is old goes, up to the first that stays, and the last hash that goes is kept
-- as the anchor. An entry whose event is owed stays, and so does what comes after it, and what is kept at least.
CREATE FUNCTION scheduler.forget_audit(before_time timestamptz, page bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    kept   integer := coalesce((SELECT audit_days FROM scheduler.retention_floors), 1);
    bound  timestamptz := least(before_time, clock_timestamp() - make_interval(hours => 24 * kept));
    number bigint;
BEGIN
    WITH chain AS MATERIALIZED (SELECT 1 FROM scheduler.audit_chain FOR UPDATE),
    oldest AS MATERIALIZED (
        SELECT a.id, a.sealed_seq, a.hash, a.at < bound
            AND NOT EXISTS (SELECT 1 FROM scheduler.outbox o WHERE o.audit_id = a.id) AS goes
        FROM scheduler.audit_log a, chain WHERE a.sealed_seq IS NOT NULL ORDER BY a.sealed_seq LIMIT page),
    old AS MATERIALIZED (
        SELECT id, sealed_seq, hash FROM oldest
        WHERE sealed_seq < coalesce((SELECT min(sealed_seq) FROM oldest WHERE NOT goes), 9223372036854775807)),
    gone AS (DELETE FROM scheduler.audit_log a USING old WHERE a.id = old.id RETURNING a.id),
    anchored AS (
        UPDATE scheduler.audit_chain SET anchor_seq = l.sealed_seq, anchor_hash = l.hash
        FROM (SELECT sealed_seq, hash FROM old ORDER BY sealed_seq DESC LIMIT 1) l)
    SELECT count(*) INTO number FROM gone;
    RETURN number;
END $$;

-- Makes the roles where they are missing, gives the schema to the owner's, and grants each what it may do on what is
-- there now: 'carillon migrate up' ends with it, so that new tables are granted too. What a table is not named for here
-- the service may read and write. Changes nothing the second time.
-- Returns what it could not do, a sentence each: who migrates on a managed server may not make roles, for one.
CREATE FUNCTION scheduler.grant_roles() RETURNS SETOF text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    app_role    constant text := 'carillon_app';
    reader_role constant text := 'carillon_reader';
    owner_role  constant text := 'carillon_owner';
    waits       text := current_setting('lock_timeout');
    is_moved    boolean := true;
    role_name   text;
    columns     text;
    item        record;
BEGIN
    PERFORM pg_advisory_xact_lock(x'434152494c524f4c'::bigint);
    FOREACH role_name IN ARRAY ARRAY[app_role, owner_role, reader_role] LOOP
        CONTINUE WHEN to_regrole(role_name) IS NOT NULL;
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
        EXCEPTION
            -- Roles are the whole server's: another database's migration was quicker.
            WHEN duplicate_object OR unique_violation THEN NULL;
            WHEN insufficient_privilege THEN
                RETURN NEXT format('the role %s is missing, and %s may not make it', role_name, current_user);
        END;
    END LOOP;

    IF to_regrole(owner_role) IS NOT NULL AND NOT pg_has_role(current_user, owner_role, 'USAGE') THEN
        BEGIN
            EXECUTE format('GRANT %I TO %I', owner_role, current_user);
        EXCEPTION WHEN insufficient_privilege THEN NULL;
        END;
    END IF;
    IF to_regrole(owner_role) IS NOT NULL AND NOT pg_has_role(current_user, owner_role, 'USAGE') THEN
        RETURN NEXT format('%s is no member of %s: what is not its own yet stays whose it is', current_user, owner_role);
    ELSIF to_regrole(owner_role) IS NOT NULL THEN
        BEGIN
            EXECUTE format('GRANT CREATE ON DATABASE %I TO %I', current_database(), owner_role);
            IF (SELECT nspowner FROM pg_namespace WHERE nspname = 'scheduler') <> owner_role::regrole THEN
                EXECUTE format('ALTER SCHEMA scheduler OWNER TO %I', owner_role);
            END IF;
        EXCEPTION WHEN insufficient_privilege THEN
            RETURN NEXT format('%s may not give the schema to %s', current_user, owner_role);
        END;
        -- A service at work is kept waiting no longer than by the upkeep of its partitions.
        PERFORM set_config('lock_timeout', '100ms', true);
        FOR item IN
            SELECT c.relname, c.relowner FROM pg_class c
            WHERE c.relnamespace = 'scheduler'::regnamespace AND c.relkind IN ('r', 'p', 'v')
                AND c.relowner <> owner_role::regrole
            ORDER BY c.relname
        LOOP
            BEGIN
                EXECUTE format('ALTER TABLE scheduler.%I OWNER TO %I', item.relname, owner_role);
            EXCEPTION
                -- A day that was dropped meanwhile.
                WHEN undefined_table THEN NULL;
                WHEN insufficient_privilege OR lock_not_available OR deadlock_detected THEN
                    is_moved := false;
                    RETURN NEXT format('%s stays with %s: %s', item.relname, item.relowner::regrole, SQLERRM);
            END;
        END LOOP;
        PERFORM set_config('lock_timeout', waits, true);
        -- Only then: as their owner they must be able to do it on every table.
        FOR item IN
            SELECT p.oid::regprocedure AS name FROM pg_proc p
            WHERE is_moved AND p.pronamespace = 'scheduler'::regnamespace AND p.proowner <> owner_role::regrole
        LOOP
            EXECUTE format('ALTER FUNCTION %s OWNER TO %I', item.name, owner_role);
        END LOOP;
    END IF;

    FOREACH role_name IN ARRAY ARRAY[app_role, reader_role] LOOP
        CONTINUE WHEN to_regrole(role_name) IS NULL;
        EXECUTE format('GRANT USAGE ON SCHEMA scheduler TO %I', role_name);
        -- Of the ledger's days nobody needs anything: they are reached through the ledger.
        FOR item IN
            SELECT c.oid, c.relname FROM pg_class c
            WHERE c.relnamespace = 'scheduler'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
        LOOP
            EXECUTE format('REVOKE ALL ON scheduler.%I FROM %I', item.relname, role_name);
            EXECUTE format('GRANT SELECT ON scheduler.%I TO %I', item.relname, role_name);
            CONTINUE WHEN role_name = reader_role
                OR item.relname IN ('schema_migrations', 'audit_chain', 'retention_floors');
            IF item.relname = 'audit_log' THEN
                -- What comes in is not sealed.
                SELECT string_agg(quote_ident(a.attname), ', ') INTO columns FROM pg_attribute a
                WHERE a.attrelid = item.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attidentity = ''
                    AND a.attname NOT IN ('sealed_seq', 'sealed_at', 'hash');
                EXECUTE format('GRANT INSERT (%s) ON scheduler.audit_log TO %I', columns, role_name);
            ELSE
                EXECUTE format('GRANT INSERT, UPDATE, DELETE ON scheduler.%I TO %I', item.relname, role_name);
            END IF;
        END LOOP;
    END LOOP;
    FOR item IN
        SELECT p.oid::regprocedure AS name, p.proname FROM pg_proc p
        WHERE p.pronamespace = 'scheduler'::regnamespace
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', item.name);
        IF to_regrole(app_role) IS NOT NULL AND item.proname <> 'grant_roles' THEN
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', item.name, app_role);
        END IF;
    END LOOP;
END $$;

DO $$ BEGIN PERFORM scheduler.grant_roles(); END $$;
