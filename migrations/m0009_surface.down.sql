-- Takes back m0009_surface. Pauses that had an end last until somebody resumes.
DROP INDEX scheduler.schedules_by_name;
DROP INDEX scheduler.schedules_paused_until;
ALTER TABLE scheduler.schedules DROP COLUMN paused_until;
