-- What metrics count: schedules by type and state, from an index of a few bytes a row, whatever the rows hold besides.
-- Not on the way of a fire: a schedule's state changes by commands, and when it is over.
CREATE INDEX schedules_kinds ON scheduler.schedules (schedule_type, state) WHERE state <> 'deleted';
