-- A claim of the schema below meets each of them again at every look, and takes next_fire_at for the deadline.
UPDATE scheduler.timers SET next_fire_at = resume_from, resume_from = NULL
WHERE put_off AND resume_from IS NOT NULL AND next_fire_at IS NOT NULL;
ALTER TABLE scheduler.timers DROP COLUMN put_off;
COMMENT ON COLUMN scheduler.timers.resume_from IS 'The nominal instant of the first occurrence that is not accounted for: while paused, and where calendars, windows or freezes move what is due.';
