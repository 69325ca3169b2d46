-- Retries that wait for their schedule, and schedules that fail too often.

ALTER TABLE scheduler.runs ADD COLUMN held_until timestamptz;
COMMENT ON COLUMN scheduler.runs.held_until IS 'where it is the deadline: the retry waits for its schedule, and is looked at again then, or when the schedule goes on';

-- Written with the execution that is one too many, and deleted with the pause: a crash in between loses neither.
CREATE TABLE scheduler.failing_schedules (
    schedule_id uuid        NOT NULL PRIMARY KEY,
    at          timestamptz NOT NULL,
    failures    integer     NOT NULL
);
COMMENT ON TABLE scheduler.failing_schedules IS 'schedules that are to be paused for their failures (pause_after_failures)';
