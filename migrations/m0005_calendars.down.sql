-- Schedules stay and fire at their own times again. Their windows and calendars are lost.
DROP TABLE scheduler.freeze_epoch, scheduler.freezes;
DROP INDEX scheduler.schedules_not_on, scheduler.schedules_only_on;
-- Without calendars the next occurrence is told by next_fire_at alone, and what a timer waited for is due now.
UPDATE scheduler.timers t SET next_fire_at = least(next_fire_at, now()), resume_from = NULL
FROM scheduler.schedules s
WHERE s.id = t.schedule_id AND t.next_fire_at IS NOT NULL AND t.resume_from IS NOT NULL;
ALTER TABLE scheduler.schedules
    DROP COLUMN only_on, DROP COLUMN not_on, DROP COLUMN day_shift, DROP COLUMN outside, DROP COLUMN windows;
DROP TABLE scheduler.calendars;
COMMENT ON COLUMN scheduler.timers.resume_from IS 'The nominal instant of the first occurrence that a paused schedule has not accounted for.';
