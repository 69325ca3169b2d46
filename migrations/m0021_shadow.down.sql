-- Takes back m0021_shadow. An older version would publish what shall not be published. So what is claimed in shadow, or
-- waits for its place, ends here as skipped/shadow, and whoever rescues its claim tells its event; and schedules in shadow
-- are paused where they stand, whatever would have let them go on by itself: their time, a pause that ends, a target that
-- is allowed again. What was claimed and due before its schedule came into the shadow was promised by then, and goes out.

WITH shadowed AS (
    SELECT DISTINCT e.id
    FROM (SELECT unnest(executions) AS id FROM scheduler.claims) c
        JOIN scheduler.executions e ON e.id = c.id AND e.state = 'claimed'
        JOIN scheduler.schedules s ON s.id = e.schedule_id
        LEFT JOIN scheduler.instances i ON i.id = e.claimed_by
        LEFT JOIN LATERAL (
            SELECT (a.after ->> 'shadow')::boolean AS entered, a.at FROM scheduler.audit_log a
            WHERE a.schedule_id = e.schedule_id AND a.at > e.claimed_at - interval '1 minute'
                AND a.version > e.schedule_version AND a.before ->> 'shadow' <> a.after ->> 'shadow'
            ORDER BY a.version LIMIT 1) f ON true
    WHERE CASE f.entered WHEN true THEN s.shadow AND e.due_at > greatest(f.at, coalesce(i.fenced_at, now()))
            WHEN false THEN s.shadow OR e.due_at <= f.at ELSE s.shadow END
        -- What is being cancelled nobody sends.
        AND NOT EXISTS (SELECT FROM scheduler.runs r WHERE r.execution_id = e.id AND r.cancelling)),
ended AS (
    UPDATE scheduler.executions e
    SET state = 'skipped', reason = 'shadow', finished_at = date_trunc('milliseconds', now())
    FROM shadowed x WHERE e.id = x.id AND e.attempt <= 1 RETURNING e.id),
dropped AS (DELETE FROM scheduler.runs r USING ended x WHERE r.execution_id = x.id),
-- Something of these was sent: the attempt waits again.
again AS (
    UPDATE scheduler.executions e SET state = 'retry_wait', attempt = e.attempt - 1
    FROM shadowed x WHERE e.id = x.id AND e.attempt > 1 RETURNING e.id)
UPDATE scheduler.runs r SET state = 'retry_wait', attempt = r.attempt - 1, deadline = 'retry', deadline_at = now()
FROM again x WHERE r.execution_id = x.id;

WITH taken AS (
    DELETE FROM scheduler.buffered b USING scheduler.schedules s WHERE s.id = b.schedule_id AND s.shadow
    RETURNING b.*, s.version),
fenced AS (
    UPDATE scheduler.timers t SET fire_seq = t.fire_seq + n.count
    FROM (SELECT schedule_id, count(*) FROM taken GROUP BY 1) n WHERE t.schedule_id = n.schedule_id
    RETURNING t.schedule_id, t.fire_seq),
skipped AS (
    INSERT INTO scheduler.executions (id, schedule_id, scheduled_for, due_at, fence, schedule_version, missed_count,
        ordinal, generation, origin, trigger, payload, retry_of, caused_by, trace, claimed_at, finished_at, state,
        attempt, reason)
    SELECT b.execution_id, b.schedule_id, b.scheduled_for, b.due_at,
        f.fire_seq + 1 - row_number() OVER (PARTITION BY b.schedule_id ORDER BY b.seq DESC), b.version, b.missed_count,
        b.ordinal, b.generation, b.origin, b.trigger, b.payload, b.retry_of, b.caused_by, b.trace,
        date_trunc('milliseconds', now()), date_trunc('milliseconds', now()), 'skipped', 0, 'shadow'
    FROM taken b JOIN fenced f USING (schedule_id)
    ON CONFLICT (id) DO NOTHING RETURNING id)
INSERT INTO scheduler.claims (id, instance, claimed_at, oldest, executions, commanded)
SELECT gen_random_uuid(), i.id, now(), (SELECT id FROM skipped ORDER BY id LIMIT 1),
    (SELECT array_agg(id) FROM skipped), true
FROM (SELECT id FROM scheduler.instances ORDER BY started_at DESC LIMIT 1) i WHERE EXISTS (SELECT FROM skipped);

-- An end that was none concerns followers in shadow only; one that has left it since drops it, an older version would fire.
DELETE FROM scheduler.ended_upstreams u USING scheduler.executions e
WHERE e.id = u.execution_id AND e.state = 'skipped' AND e.reason = 'shadow';

-- A spread's offset is known to the program only; a period is never shorter than the spread, so a resume that looks from
-- a spread earlier finds the same occurrence.
UPDATE scheduler.timers t
SET resume_from = coalesce(t.resume_from, t.next_fire_at - s.spread_ms * interval '1 millisecond'), next_fire_at = NULL,
    put_off = false
FROM scheduler.schedules s
WHERE s.id = t.schedule_id AND s.shadow AND s.state = 'active' AND t.next_fire_at IS NOT NULL;
UPDATE scheduler.schedules
SET state = 'paused', paused_until = NULL,
    pause_reason = CASE WHEN pause_reason IS NULL THEN '' ELSE pause_reason || '; ' END
        || 'its shadow mode was taken away by a migration'
WHERE shadow AND state IN ('active', 'paused', 'invalid');
ALTER TABLE scheduler.schedules DROP COLUMN shadow;
