-- breaking
-- An older program would publish what shall not be published.

-- Shadow mode: everything but the publish.

-- Read with the row when a schedule is compiled, never searched by. A constant default rewrites no row.
ALTER TABLE scheduler.schedules ADD COLUMN shadow boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN scheduler.schedules.shadow IS 'nothing of it is published: its executions come to their time and are skipped/shadow';
