-- Payload templates and what payload schemas need.

-- Read with the row when a schedule is compiled, never searched by. A constant default rewrites no row.
ALTER TABLE scheduler.schedules ADD COLUMN payload_template boolean NOT NULL DEFAULT false;
