-- breaking
-- An older program would fire what windows leave out.

-- Business calendars, the fields by which schedules use them, execution windows, and freezes.

CREATE TABLE scheduler.calendars (
    version    bigint      NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    namespace  text        NOT NULL,
    name       text        NOT NULL,
    created_by text,
    updated_by text,
    definition json        NOT NULL,
    PRIMARY KEY (namespace, name)
);
COMMENT ON TABLE scheduler.calendars IS 'Working weekdays and holidays, by name. The row is locked by whoever changes a calendar, and shared by whoever begins to use it.';

ALTER TABLE scheduler.schedules
    ADD COLUMN only_on   text,
    ADD COLUMN not_on    text,
    ADD COLUMN day_shift text NOT NULL DEFAULT 'none',
    ADD COLUMN outside   text NOT NULL DEFAULT 'skip',
    ADD COLUMN windows   json,
    ADD CONSTRAINT schedules_day_shift CHECK (day_shift IN ('none', 'next_business_day', 'previous_business_day')),
    ADD CONSTRAINT schedules_outside CHECK (outside IN ('skip', 'defer'));
COMMENT ON COLUMN scheduler.schedules.windows IS 'Execution windows as the creator said them; NULL where there are none.';
-- Who uses a calendar: small, for most schedules use none.
CREATE INDEX schedules_only_on ON scheduler.schedules (namespace, only_on) WHERE only_on IS NOT NULL;
CREATE INDEX schedules_not_on ON scheduler.schedules (namespace, not_on) WHERE not_on IS NOT NULL;

COMMENT ON COLUMN scheduler.timers.resume_from IS 'The nominal instant of the first occurrence that is not accounted for: while paused, and where calendars, windows or freezes move what is due.';

-- A freeze keeps its row after its end: what it held is late from its release on, not from before.
CREATE TABLE scheduler.freezes (
    id                 uuid        NOT NULL PRIMARY KEY,
    from_at            timestamptz NOT NULL,
    until_at           timestamptz NOT NULL,
    created_at         timestamptz NOT NULL,
    held               bigint      NOT NULL DEFAULT 0,
    release_per_second float8      NOT NULL,
    namespace          text,
    target             text,
    mode               text        NOT NULL,
    reason             text,
    actor              text,
    CONSTRAINT freezes_mode CHECK (mode IN ('defer', 'skip')),
    CONSTRAINT freezes_time CHECK (from_at <= until_at)
);
COMMENT ON COLUMN scheduler.freezes.held IS 'How many turns it has given: the next held schedule is released that many steps of 1/release_per_second after the end.';
CREATE INDEX freezes_until ON scheduler.freezes (until_at);

-- Grows with each change of the freezes. Each claim reads it with its timers, so that no claim acts on an old list.
CREATE TABLE scheduler.freeze_epoch (
    epoch bigint NOT NULL
);
INSERT INTO scheduler.freeze_epoch VALUES (0);
