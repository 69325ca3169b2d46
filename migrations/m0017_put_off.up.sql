-- Timers that a claim could not decide over: they must not stand in the way of what is due behind them.
ALTER TABLE scheduler.timers ADD COLUMN put_off boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN scheduler.timers.put_off IS 'No claim takes it ahead of next_fire_at: of a schedule that messages drive, which waits for somebody''s word, or for a burst to be quiet. Where next_fire_at says only when to look again, resume_from has what it was set to.';
COMMENT ON COLUMN scheduler.timers.resume_from IS 'The nominal instant of the first occurrence that is not accounted for: of a paused schedule, and of one whose calendars, windows or freezes move what is due. Of a schedule that messages drive, what a timer that is put off was set to.';
