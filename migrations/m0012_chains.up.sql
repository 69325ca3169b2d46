-- breaking
-- An older program would not tell those that follow.

-- Chains: schedules that fire when executions of others have ended.

ALTER TABLE scheduler.schedules ADD COLUMN after json;
ALTER TABLE scheduler.executions ADD COLUMN caused_by uuid;
COMMENT ON COLUMN scheduler.executions.caused_by IS 'The execution whose end made this one.';

-- Who follows whom. Names are what users wrote; upstream is whom the name means now, NULL while it means nobody.
CREATE TABLE scheduler.links (
    downstream    uuid     NOT NULL,
    upstream      uuid,
    position      smallint NOT NULL,
    namespace     text     NOT NULL,
    upstream_name text     NOT NULL,
    condition     text     NOT NULL,
    PRIMARY KEY (downstream, position),
    CONSTRAINT links_condition CHECK (condition IN ('succeeded', 'failed', 'completed'))
);
CREATE INDEX links_upstream ON scheduler.links (upstream);
CREATE INDEX links_name ON scheduler.links (namespace, upstream_name);

-- Ends that a follower is to be told; a row goes when it was.
CREATE TABLE scheduler.ended_upstreams (
    execution_id uuid        NOT NULL,
    downstream   uuid        NOT NULL,
    position     smallint    NOT NULL,
    ended_at     timestamptz NOT NULL,
    not_before   timestamptz NOT NULL,
    PRIMARY KEY (execution_id, downstream)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX ended_upstreams_downstream ON scheduler.ended_upstreams (downstream);
CREATE INDEX ended_upstreams_turn ON scheduler.ended_upstreams (not_before, execution_id);

-- Of followers of all: which of theirs have ended since they fired last, and by which execution.
CREATE TABLE scheduler.arrivals (
    downstream   uuid     NOT NULL,
    position     smallint NOT NULL,
    execution_id uuid     NOT NULL,
    PRIMARY KEY (downstream, position)
);
