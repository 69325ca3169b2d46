DROP TABLE scheduler.concurrency_slots;
ALTER TABLE scheduler.buffered DROP COLUMN concurrency_key, DROP COLUMN target_limit;
ALTER TABLE scheduler.runs DROP COLUMN concurrency_key, DROP COLUMN target_limit;
ALTER TABLE scheduler.namespaces DROP COLUMN concurrency;
ALTER TABLE scheduler.targets DROP COLUMN max_in_flight;
ALTER TABLE scheduler.schedules DROP COLUMN concurrency_key;
