-- Takes back m0021_shadow. An older version would publish what shall not be published: schedules in shadow are paused
-- where they stand. A spread's offset is known to the program only; a period is never shorter than the spread, so a resume
-- that looks from a spread earlier finds the same occurrence.
UPDATE scheduler.timers t
SET resume_from = coalesce(t.resume_from, t.next_fire_at - s.spread_ms * interval '1 millisecond'), next_fire_at = NULL
FROM scheduler.schedules s
WHERE s.id = t.schedule_id AND s.shadow AND s.state = 'active' AND t.next_fire_at IS NOT NULL;
UPDATE scheduler.schedules
SET state = 'paused', pause_reason = 'its shadow mode was taken away by a migration', paused_until = NULL
WHERE shadow AND state = 'active';
ALTER TABLE scheduler.schedules DROP COLUMN shadow;
