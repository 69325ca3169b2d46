-- The first schema: definitions and timers, executions and claims, audit and outbox, requests, instances, locks.
-- Conventions: text with named CHECKs for states (an enum cannot lose a value in a down), timestamptz only, all in the
-- schema "scheduler", which the migrator makes. Columns stand widest first where rows are many.

CREATE TABLE scheduler.schedules (
    id                        uuid        NOT NULL PRIMARY KEY,
    version                   bigint      NOT NULL,
    interval_ms               bigint,
    spread_ms                 bigint      NOT NULL,
    max_runs                  bigint,
    misfire_grace_ms          bigint      NOT NULL,
    catchup_window_ms         bigint      NOT NULL,
    catchup_limit             bigint      NOT NULL,
    run_at                    timestamptz,
    start_at                  timestamptz,
    end_at                    timestamptz,
    anchor_at                 timestamptz NOT NULL,
    created_at                timestamptz NOT NULL,
    updated_at                timestamptz NOT NULL,
    ended_at                  timestamptz,
    start_timeout_seconds     float8,
    run_timeout_seconds       float8      NOT NULL,
    heartbeat_timeout_seconds float8,
    retry_delay_seconds       float8      NOT NULL,
    retry_max_delay_seconds   float8      NOT NULL,
    retry_max_age_seconds     float8      NOT NULL,
    generation                integer     NOT NULL,
    max_in_flight             integer     NOT NULL,
    max_retries               integer     NOT NULL,
    pause_after_failures      integer,
    priority                  smallint    NOT NULL,
    delete_when_exhausted     boolean     NOT NULL,
    namespace                 text        NOT NULL,
    name                      text        NOT NULL,
    state                     text        NOT NULL,
    pause_reason              text,
    description               text        NOT NULL,
    schedule_type             text        NOT NULL,
    cron_expression           text,
    timezone                  text        NOT NULL,
    dst_policy                text        NOT NULL,
    target_command            text        NOT NULL,
    delivery                  text        NOT NULL,
    guarantee                 text        NOT NULL,
    completion                text        NOT NULL,
    overlap_policy            text        NOT NULL,
    misfire_policy            text        NOT NULL,
    created_by                text,
    updated_by                text,
    payload_sha256            bytea       NOT NULL,
    command_payload           json        NOT NULL,
    command_headers           json        NOT NULL,
    metadata                  json        NOT NULL,
    tags                      text[]      NOT NULL,
    CONSTRAINT schedules_state CHECK (state IN ('active', 'paused', 'exhausted', 'invalid', 'deleted')),
    CONSTRAINT schedules_type CHECK (schedule_type IN ('cron', 'interval', 'once', 'immediate')),
    CONSTRAINT schedules_priority CHECK (priority BETWEEN 0 AND 9),
    CONSTRAINT schedules_interval CHECK ((schedule_type = 'interval') = (interval_ms IS NOT NULL)),
    CONSTRAINT schedules_cron CHECK ((schedule_type = 'cron') = (cron_expression IS NOT NULL))
);
COMMENT ON TABLE scheduler.schedules IS 'What creators said, one row a schedule; changed by commands only. A deleted schedule keeps its row while the history needs it.';
COMMENT ON COLUMN scheduler.schedules.anchor_at IS 'What an interval counts from: start_at, else the creation, else the last edit of the timing.';
COMMENT ON COLUMN scheduler.schedules.ended_at IS 'When it was exhausted or deleted; the retention counts from here.';

-- An exhausted or deleted schedule gives its name free.
CREATE UNIQUE INDEX schedules_name ON scheduler.schedules (namespace, name) WHERE state NOT IN ('exhausted', 'deleted');
CREATE INDEX schedules_namespace ON scheduler.schedules (namespace, id);
CREATE INDEX schedules_ended ON scheduler.schedules (ended_at) WHERE ended_at IS NOT NULL;

-- The hot half of a schedule. next_fire_at is indexed, so no update of it can be HOT: one index besides the key, and a
-- fillfactor that keeps new versions on the old one's page.
CREATE TABLE scheduler.timers (
    schedule_id  uuid     NOT NULL PRIMARY KEY,
    next_fire_at timestamptz,
    resume_from  timestamptz,
    fire_seq     bigint   NOT NULL,
    run_count    bigint   NOT NULL,
    version      bigint   NOT NULL,
    generation   integer  NOT NULL,
    partition    smallint NOT NULL,
    priority     smallint NOT NULL
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0,
        autovacuum_analyze_scale_factor = 0.05);
COMMENT ON TABLE scheduler.timers IS 'The timing wheel: the index on next_fire_at is the only place where a waiting schedule costs anything.';
COMMENT ON COLUMN scheduler.timers.next_fire_at IS 'When the next occurrence is due, its spread included; NULL when none is to come, or while paused.';
COMMENT ON COLUMN scheduler.timers.resume_from IS 'The nominal instant of the first occurrence that a paused schedule has not accounted for.';
COMMENT ON COLUMN scheduler.timers.fire_seq IS 'The fence: grows with each attempt and each event of the schedule.';
-- Partial: what waits for nothing has no entry, and a search for IS NULL is not tempted to read them all.
CREATE INDEX timers_due ON scheduler.timers (next_fire_at, priority DESC, partition) WHERE next_fire_at IS NOT NULL;

-- One row an occurrence, or one for a long run of skipped ones. The key is the hash of the occurrence's identity under
-- the time it was scheduled for: unique without a second column, and it names the partition (a day, UTC).
CREATE TABLE scheduler.executions (
    id               uuid        NOT NULL,
    schedule_id      uuid        NOT NULL,
    claimed_by       uuid,
    scheduled_for    timestamptz NOT NULL,
    due_at           timestamptz NOT NULL,
    claimed_at       timestamptz NOT NULL,
    fired_at         timestamptz,
    finished_at      timestamptz,
    range_from       timestamptz,
    fence            bigint      NOT NULL,
    schedule_version bigint      NOT NULL,
    missed_count     bigint      NOT NULL,
    range_count      bigint      NOT NULL DEFAULT 1,
    ordinal          bigint      NOT NULL DEFAULT 0,
    ack_sequence     bigint,
    attempt          integer     NOT NULL,
    generation       integer     NOT NULL,
    recalled         boolean     NOT NULL DEFAULT false,
    state            text        NOT NULL,
    origin           text        NOT NULL,
    trigger          text        NOT NULL,
    reason           text,
    outcome          text,
    last_outcome     text,
    ack_stream       text,
    payload          json,
    PRIMARY KEY (id),
    CONSTRAINT executions_state CHECK (state IN ('claimed', 'delivered', 'dead', 'skipped')),
    CONSTRAINT executions_finished CHECK ((state = 'claimed') = (finished_at IS NULL)),
    CONSTRAINT executions_claimant CHECK (state <> 'claimed' OR claimed_by IS NOT NULL),
    CONSTRAINT executions_range CHECK ((range_from IS NULL) = (range_count = 1))
) PARTITION BY RANGE (id);
COMMENT ON TABLE scheduler.executions IS 'The ledger: every occurrence ends in one row, or lies in one range. Terminal rows never change.';
COMMENT ON COLUMN scheduler.executions.recalled IS 'A command asks the claimant to give the occurrence back if it has not handed it to NATS.';
COMMENT ON COLUMN scheduler.executions.outcome IS '"uncertain" where a publish may have happened twice without the stream telling.';
COMMENT ON COLUMN scheduler.executions.payload IS 'What a trigger sends in place of the schedule''s payload.';
CREATE INDEX executions_schedule ON scheduler.executions (schedule_id, id);

-- Catches what no day's partition takes: instants before the history or beyond the partitions made ahead. The janitor
-- keeps it small; nothing is refused for want of a partition.
CREATE TABLE scheduler.executions_default PARTITION OF scheduler.executions DEFAULT;

-- Makes the partition of the day that begins at day_start, if it is missing. Every instance may call it.
CREATE FUNCTION scheduler.ensure_executions_partition(day_start timestamptz) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    first_ms bigint := floor(extract(epoch FROM day_start) * 1000)::bigint;
    part     text := 'executions_' || to_char(day_start AT TIME ZONE 'UTC', 'YYYYMMDD');
    low      uuid := (rpad(lpad(to_hex(first_ms), 12, '0'), 32, '0'))::uuid;
    high     uuid := (rpad(lpad(to_hex(first_ms + 86400000), 12, '0'), 32, '0'))::uuid;
BEGIN
    IF to_regclass('scheduler.' || part) IS NOT NULL THEN
        RETURN false;
    END IF;
    -- One maker at a time; the loser finds the partition made.
    PERFORM pg_advisory_xact_lock(x'434152494c4c4f4e'::bigint);
    IF to_regclass('scheduler.' || part) IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE scheduler.%I (LIKE scheduler.executions INCLUDING DEFAULTS INCLUDING CONSTRAINTS)
        WITH (fillfactor = 80, autovacuum_vacuum_cost_delay = 0)', part);
    -- Rows that the default partition took meanwhile move into their day, or the new partition would refuse to attach.
    EXECUTE format('WITH moved AS (DELETE FROM scheduler.executions_default WHERE id >= %L AND id < %L RETURNING *)
        INSERT INTO scheduler.%I SELECT * FROM moved', low, high, part);
    EXECUTE format('ALTER TABLE scheduler.executions ATTACH PARTITION scheduler.%I FOR VALUES FROM (%L) TO (%L)',
        part, low, high);
    RETURN true;
END $$;

-- Terminal states never change, whoever asks.
CREATE FUNCTION scheduler.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'execution % is %, which is terminal', OLD.id, OLD.state USING ERRCODE = 'CR002';
END $$;
CREATE TRIGGER keep_terminal BEFORE UPDATE ON scheduler.executions FOR EACH ROW
    WHEN (OLD.state <> 'claimed') EXECUTE FUNCTION scheduler.refuse_change();

-- The journal of what is in flight: one row a claiming transaction, naming the executions it opened. It goes when each
-- of them is terminal and its event acknowledged, so a rescue finds here, without an index on any state, what a dead
-- member left: unpublished, unrecorded, or untold.
CREATE TABLE scheduler.claims (
    id         uuid        NOT NULL PRIMARY KEY,
    instance   uuid        NOT NULL,
    claimed_at timestamptz NOT NULL,
    oldest     uuid        NOT NULL,
    executions uuid[]      NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
COMMENT ON COLUMN scheduler.claims.oldest IS 'The smallest of the executions: no open execution anywhere lies before the smallest of these.';
-- Ids are random: compressing them costs time and gains nothing.
ALTER TABLE scheduler.claims ALTER COLUMN executions SET STORAGE EXTERNAL;

-- One row an incarnation of a process. fenced_at ends its right to change anything.
CREATE TABLE scheduler.instances (
    id         uuid        NOT NULL PRIMARY KEY,
    started_at timestamptz NOT NULL,
    fenced_at  timestamptz,
    fenced_by  uuid,
    name       text        NOT NULL
) WITH (fillfactor = 50);

-- Holds the caller's membership until its transaction ends: a fence waits for it, and after a fence it raises CR001.
CREATE FUNCTION scheduler.hold_membership(member uuid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM 1 FROM scheduler.instances WHERE id = member AND fenced_at IS NULL FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'instance % is fenced', member USING ERRCODE = 'CR001';
    END IF;
END $$;

-- Where the epochs of role locks come from: what expires in a bucket can never bring an old one back.
CREATE TABLE scheduler.locks (
    name  text   NOT NULL PRIMARY KEY,
    epoch bigint NOT NULL
);

CREATE TABLE scheduler.namespaces (
    namespace      text   NOT NULL PRIMARY KEY,
    schedule_count bigint NOT NULL,
    max_schedules  bigint,
    CONSTRAINT namespaces_count CHECK (schedule_count >= 0)
) WITH (fillfactor = 50);
COMMENT ON COLUMN scheduler.namespaces.schedule_count IS 'Schedules that count against the limit: neither exhausted nor deleted. Kept by the commands'' own transactions.';

-- Every change, with what was and what is. Also where the events of schedules come from.
CREATE TABLE scheduler.audit_log (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          timestamptz NOT NULL,
    schedule_id uuid,
    fence       bigint      NOT NULL,
    version     bigint,
    namespace   text        NOT NULL,
    name        text,
    action      text        NOT NULL,
    actor       text,
    reason      text,
    request_id  text,
    before      json,
    after       json
);
CREATE INDEX audit_log_schedule ON scheduler.audit_log (schedule_id, id);

-- Schedule events that no acknowledgement has come for: a row is deleted when it is in.
CREATE TABLE scheduler.outbox (
    audit_id bigint      NOT NULL PRIMARY KEY,
    at       timestamptz NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);

-- Replies that were given, so that the same request_id gets the same one.
CREATE TABLE scheduler.requests (
    at          timestamptz NOT NULL,
    namespace   text        NOT NULL,
    request_id  text        NOT NULL,
    body_sha256 bytea       NOT NULL,
    reply       bytea       NOT NULL,
    PRIMARY KEY (namespace, request_id)
);
CREATE INDEX requests_at ON scheduler.requests (at);
