-- The roles stay: they are the whole server's, and have members. So does what belongs to carillon_owner, whose members
-- may go on migrating. Their rights on the tables go.
DROP TRIGGER keep_history ON scheduler.executions;
DROP FUNCTION scheduler.keep_history(), scheduler.make_executions_day(timestamptz),
    scheduler.drop_executions_day(timestamptz), scheduler.clear_executions_default(uuid, bigint),
    scheduler.lock_audit_chain(), scheduler.seal_audit(timestamptz, bigint, bigint[], bytea[]),
    scheduler.forget_audit(timestamptz, bigint), scheduler.grant_roles();
DROP TABLE scheduler.retention_floors;
DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['carillon_app', 'carillon_reader'] LOOP
        CONTINUE WHEN to_regrole(role_name) IS NULL;
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA scheduler FROM %I', role_name);
        EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA scheduler FROM %I', role_name);
        EXECUTE format('REVOKE ALL ON SCHEMA scheduler FROM %I', role_name);
    END LOOP;
    GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA scheduler TO PUBLIC;
END $$;
