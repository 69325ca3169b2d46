-- Schedules that messages drive: what they listen to, and what was heard and has not fired.
ALTER TABLE scheduler.schedules
    ADD COLUMN event_subject       text,
    ADD COLUMN event_stream        text,
    ADD COLUMN delay_ms            bigint NOT NULL DEFAULT 0,
    ADD COLUMN debounce_ms         bigint NOT NULL DEFAULT 0,
    ADD COLUMN max_rate_per_second float8,
    ADD COLUMN absence_ms          bigint;
ALTER TABLE scheduler.schedules DROP CONSTRAINT schedules_type, DROP CONSTRAINT schedules_cron;
ALTER TABLE scheduler.schedules
    ADD CONSTRAINT schedules_type
        CHECK (schedule_type IN ('cron', 'interval', 'once', 'immediate', 'rrule', 'event', 'absence')),
    ADD CONSTRAINT schedules_cron CHECK (
        schedule_type = 'absence' OR (schedule_type = 'cron') = (cron_expression IS NOT NULL)),
    ADD CONSTRAINT schedules_event CHECK ((schedule_type IN ('event', 'absence')) = (event_subject IS NOT NULL)),
    ADD CONSTRAINT schedules_absence CHECK ((schedule_type = 'absence') = (absence_ms IS NOT NULL));
COMMENT ON COLUMN scheduler.timers.next_fire_at IS 'When the next occurrence is due, its spread included; of an event schedule when the first waiting message is due, of an absence its deadline, of either 9999-12-31 while nothing but a message can move it. NULL when none is to come, or while paused.';

-- What every instance looks at once a second: few among many.
CREATE INDEX schedules_listening ON scheduler.schedules (id, version)
    WHERE schedule_type IN ('event', 'absence') AND state = 'active';

-- Where an event schedule stands with what it hears. Written under the lock of its timer.
CREATE TABLE scheduler.event_states (
    schedule_id    uuid        NOT NULL PRIMARY KEY,
    last_sequence  bigint      NOT NULL,
    listen_from    timestamptz NOT NULL,
    allowed_at     timestamptz,
    generation     integer     NOT NULL,
    stream_created text        NOT NULL
) WITH (fillfactor = 50);
COMMENT ON COLUMN scheduler.event_states.last_sequence IS 'The latest message of the stream that was taken; 0 before any. Counts in the stream that was made at stream_created.';
COMMENT ON COLUMN scheduler.event_states.listen_from IS 'What came into the stream earlier is passed over: before the schedule was made, or while it was paused.';
COMMENT ON COLUMN scheduler.event_states.allowed_at IS 'max_rate_per_second: nothing that comes now is due before it.';

-- Messages that wait: for their delay, for a burst to be quiet, for their turn by the rate, or for the next claim.
-- A claim takes them, in the transaction that opens their executions.
CREATE TABLE scheduler.event_inbox (
    id            bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    schedule_id   uuid        NOT NULL,
    execution_id  uuid        NOT NULL,
    due_at        timestamptz NOT NULL,
    scheduled_for timestamptz NOT NULL,
    ordinal       bigint      NOT NULL,
    messages      bigint      NOT NULL,
    generation    integer     NOT NULL,
    message       json
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
COMMENT ON COLUMN scheduler.event_inbox.messages IS 'How many messages it stands for: those of a burst.';
COMMENT ON COLUMN scheduler.event_inbox.message IS 'What a template may show; NULL where the schedule has none.';
CREATE INDEX event_inbox_due ON scheduler.event_inbox (schedule_id, due_at, id);
-- A message that a stream delivers twice waits once.
CREATE UNIQUE INDEX event_inbox_execution ON scheduler.event_inbox (execution_id);
COMMENT ON COLUMN scheduler.executions.payload IS 'What a trigger sends in place of the schedule''s payload; of an event schedule with a template the message that it fires for.';
