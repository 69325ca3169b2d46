-- breaking
-- An older program would open executions beyond limits that it does not know.

-- Limits that executions of several schedules share: one of a key, one of a target.
ALTER TABLE scheduler.schedules ADD COLUMN concurrency_key text;
ALTER TABLE scheduler.targets ADD COLUMN max_in_flight integer;
ALTER TABLE scheduler.namespaces ADD COLUMN concurrency jsonb;
COMMENT ON COLUMN scheduler.schedules.concurrency_key IS 'its executions share the places of this key with others of the namespace';
COMMENT ON COLUMN scheduler.targets.max_in_flight IS 'tracked executions that are open at once, of all schedules; null: no bound';
COMMENT ON COLUMN scheduler.namespaces.concurrency IS 'places of concurrency keys, where they are not one';

-- Which places an open execution holds, and one that waits will need. Null, and in no index, where there is no limit.
ALTER TABLE scheduler.runs ADD COLUMN concurrency_key text, ADD COLUMN target_limit text;
CREATE INDEX runs_concurrency_key ON scheduler.runs (concurrency_key) WHERE concurrency_key IS NOT NULL;
CREATE INDEX runs_target_limit ON scheduler.runs (target_limit) WHERE target_limit IS NOT NULL;
ALTER TABLE scheduler.buffered ADD COLUMN concurrency_key text, ADD COLUMN target_limit text;
CREATE INDEX buffered_concurrency_key ON scheduler.buffered (concurrency_key) WHERE concurrency_key IS NOT NULL;
CREATE INDEX buffered_target_limit ON scheduler.buffered (target_limit) WHERE target_limit IS NOT NULL;
COMMENT ON COLUMN scheduler.runs.concurrency_key IS 'namespace/key, as it was when it was opened';
COMMENT ON COLUMN scheduler.runs.target_limit IS 'the subject of the allow-list''s entry that bounds it';

-- Whoever counts the places of a limit to take one holds the row that the limit's name hashes to. The rows are there from
-- the beginning, so nobody has to make one first: two limits in one row wait for each other a moment, nothing else.
-- Order of locks: timers, these in their order, executions, runs.
CREATE TABLE scheduler.concurrency_slots (slot integer NOT NULL PRIMARY KEY);
INSERT INTO scheduler.concurrency_slots SELECT generate_series(0, 1023);
COMMENT ON TABLE scheduler.concurrency_slots IS 'locks of concurrency limits, by a hash of their names';
