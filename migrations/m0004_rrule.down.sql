-- Fails while a schedule of the type rrule is there: the schema below has no place for it. Delete those first, and
-- wait for the retention to drop them.
ALTER TABLE scheduler.schedules DROP CONSTRAINT schedules_rrule, DROP CONSTRAINT schedules_type;
ALTER TABLE scheduler.schedules
    ADD CONSTRAINT schedules_type CHECK (schedule_type IN ('cron', 'interval', 'once', 'immediate'));
ALTER TABLE scheduler.schedules DROP COLUMN rrule;
COMMENT ON COLUMN scheduler.schedules.anchor_at IS 'What an interval counts from: start_at, else the creation, else the last edit of the timing.';
