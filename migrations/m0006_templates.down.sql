-- Takes back m0006_templates. An older version would send templates as they were written, tags and all: schedules that
-- have one are paused where they stand. A spread's offset is known to the program only; a period is never shorter than
-- the spread, so a resume that looks from a spread earlier finds the same occurrence.
UPDATE scheduler.timers t
SET resume_from = coalesce(t.resume_from, t.next_fire_at - s.spread_ms * interval '1 millisecond'), next_fire_at = NULL
FROM scheduler.schedules s
WHERE s.id = t.schedule_id AND s.payload_template AND s.state = 'active' AND t.next_fire_at IS NOT NULL;
UPDATE scheduler.schedules
SET state = 'paused', pause_reason = 'its payload template was taken away by a migration'
WHERE payload_template AND state = 'active';
ALTER TABLE scheduler.schedules DROP COLUMN payload_template;
