-- breaking
-- An older program would not know the targets that commands allowed, and would make their schedules invalid.

-- Targets allowed by command, and limits of namespaces.

CREATE TABLE scheduler.targets (
    created_at        timestamptz NOT NULL,
    max_payload_bytes bigint,
    namespace         text        NOT NULL,
    subject           text        NOT NULL,
    delivery          text[]      NOT NULL,
    created_by        text,
    payload_schema    json,
    PRIMARY KEY (namespace, subject)
);
COMMENT ON TABLE scheduler.targets IS 'The part of the allow-list that commands keep. It holds beside TARGETS_FILE, which is each instance''s own.';
COMMENT ON COLUMN scheduler.targets.namespace IS 'A namespace, or * for every one.';

-- What was narrowed lately: each instance looks for schedules that it leaves without a target, and the row goes some
-- seconds later, when no command that began under the old list can be under way any more.
CREATE TABLE scheduler.revocations (
    id        bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at        timestamptz NOT NULL,
    namespace text        NOT NULL,
    subject   text        NOT NULL
);

-- Each grows with a change of what it is called after. Each claim reads the first with its timers, so that no claim acts
-- on an old allow-list. The row's lock orders the changes.
CREATE TABLE scheduler.rules_epoch (
    targets bigint NOT NULL,
    limits  bigint NOT NULL
);
INSERT INTO scheduler.rules_epoch VALUES (0, 0);

ALTER TABLE scheduler.namespaces
    ADD COLUMN commands_per_second float8,
    ADD COLUMN command_burst       bigint,
    ADD COLUMN min_interval_ms     bigint,
    ADD COLUMN max_payload_bytes   bigint;

-- Who fires at a target. By bytes, so that the beginning of a subject is a stretch of the index.
CREATE INDEX schedules_target ON scheduler.schedules (target_command COLLATE "C", id) WHERE state = 'active';
