-- Schedules lose their calendars and windows. Those that have any, or that a freeze holds, are paused: they would fire
-- outside of them. A resume goes on with the occurrence that they stood at.
UPDATE scheduler.schedules s
SET state = 'paused', pause_reason = 'its calendars, windows or freezes were taken away by a migration'
FROM scheduler.timers t
WHERE t.schedule_id = s.id AND s.state = 'active' AND t.next_fire_at IS NOT NULL AND t.resume_from IS NOT NULL;
UPDATE scheduler.timers t SET next_fire_at = NULL
FROM scheduler.schedules s
WHERE s.id = t.schedule_id AND s.state = 'paused' AND t.next_fire_at IS NOT NULL;
DROP TABLE scheduler.freeze_epoch, scheduler.freezes;
DROP INDEX scheduler.schedules_not_on, scheduler.schedules_only_on;
ALTER TABLE scheduler.schedules
    DROP COLUMN only_on, DROP COLUMN not_on, DROP COLUMN day_shift, DROP COLUMN outside, DROP COLUMN windows;
DROP TABLE scheduler.calendars;
COMMENT ON COLUMN scheduler.timers.resume_from IS 'The nominal instant of the first occurrence that a paused schedule has not accounted for.';
