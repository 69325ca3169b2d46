-- Schedules of the type rrule: the text of the rule and its dates, as the creator wrote it.
ALTER TABLE scheduler.schedules ADD COLUMN rrule text;
ALTER TABLE scheduler.schedules DROP CONSTRAINT schedules_type;
ALTER TABLE scheduler.schedules
    ADD CONSTRAINT schedules_type CHECK (schedule_type IN ('cron', 'interval', 'once', 'immediate', 'rrule')),
    ADD CONSTRAINT schedules_rrule CHECK ((schedule_type = 'rrule') = (rrule IS NOT NULL));
COMMENT ON COLUMN scheduler.schedules.rrule IS 'RRULE, EXDATE and RDATE of RFC 5545; start_at, else anchor_at, stands in for DTSTART.';
COMMENT ON COLUMN scheduler.schedules.anchor_at IS 'What an interval counts from, and where an rrule begins: start_at, else the creation, else the last edit of the timing.';
