-- Indexes for what upkeep looks for, so that a look costs what it finds.

-- The claims of one instance, oldest first: what a rescue takes, one after another. Without it each look reads the whole
-- journal, which is long when the events stream has been away.
CREATE INDEX claims_instance ON scheduler.claims (instance, claimed_at);

-- The journal's oldest execution: where every search for open executions begins.
CREATE INDEX claims_oldest ON scheduler.claims (oldest);

-- Invalid schedules, which are looked at again and again until their cause is gone; as a rule there are none.
CREATE INDEX schedules_invalid ON scheduler.schedules (id) WHERE state = 'invalid';
