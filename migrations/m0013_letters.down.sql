DROP TABLE scheduler.failing_schedules;
ALTER TABLE scheduler.runs DROP COLUMN held_until;
