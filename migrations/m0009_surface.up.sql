-- What put, lists and pauses with an end need.

-- When a pause ends by itself. Few schedules have one: the index holds them alone, and is asked twice a second.
ALTER TABLE scheduler.schedules ADD COLUMN paused_until timestamptz;
COMMENT ON COLUMN scheduler.schedules.paused_until IS 'When a pause ends by itself; NULL where it does not, and without meaning unless state is paused.';
CREATE INDEX schedules_paused_until ON scheduler.schedules (paused_until) WHERE state = 'paused' AND paused_until IS NOT NULL;

-- Lists by name, and by the beginning of a name: bytewise, whatever the database's collation, so that a prefix is a range.
CREATE INDEX schedules_by_name ON scheduler.schedules (namespace, name COLLATE "C", id) WHERE state <> 'deleted';
