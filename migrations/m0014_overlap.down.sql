-- What waits will never be opened by an older program: the ledger tells that it was left out.
INSERT INTO scheduler.executions (id, schedule_id, scheduled_for, due_at, claimed_at, finished_at, fence,
    schedule_version, missed_count, ordinal, attempt, generation, state, origin, trigger, reason, payload)
SELECT b.execution_id, b.schedule_id, b.scheduled_for, b.due_at, now(), now(), t.fire_seq, t.version, b.missed_count,
    b.ordinal, 0, b.generation, 'skipped', b.origin, b.trigger, 'overlap', b.payload
FROM scheduler.buffered b JOIN scheduler.timers t USING (schedule_id)
ON CONFLICT (id) DO NOTHING;
DROP TABLE scheduler.buffered;
