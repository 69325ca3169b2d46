-- Takes back m0008_targets. What only commands allowed is allowed no longer: its schedules become invalid when they are
-- claimed next, and heal when TARGETS_FILE names their targets.
DROP INDEX scheduler.schedules_target;
ALTER TABLE scheduler.namespaces
    DROP COLUMN commands_per_second, DROP COLUMN command_burst, DROP COLUMN min_interval_ms,
    DROP COLUMN max_payload_bytes;
DROP TABLE scheduler.rules_epoch, scheduler.revocations, scheduler.targets;
