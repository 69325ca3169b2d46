package import PrometheusMetrics

/// Every metric of the service: names, labels, buckets, words. docs/metrics.md says of each what to do when it moves; the
/// alert rules and the dashboard use no others. No label holds an id: what a label may say is a short list.
package enum MetricCatalogue {
    // MARK: Executions

    package static let executions = MetricDefinition(
        "scheduler_executions_total", .counter, labels: ["type", "status"],
        help: "Executions that ended, by what made them due and how they ended; each one of a skipped range")
    package static let lateness = MetricDefinition(
        "scheduler_lateness_seconds",
        .histogram([
            0.0001, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600,
            21_600,
            86_400,
        ]), help: "From the due time of an attempt to the moment when it was handed to NATS")
    package static let duration = MetricDefinition(
        "scheduler_execution_duration_seconds",
        .histogram([
            0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400,
        ]), help: "From the hand-over of the last attempt to the end, where the target tells how it ends")
    package static let misfires = MetricDefinition(
        "scheduler_misfires_total", .counter,
        help: "Occurrences found later than their grace: skipped, fired late, or counted into one that fired")

    // MARK: What waits

    package static let schedules = MetricDefinition(
        "scheduler_schedules", .gauge, labels: ["type", "state"],
        help: "Schedules of all namespaces, without deleted ones")
    package static let dueBacklog = MetricDefinition(
        "scheduler_due_backlog", .gauge, help: "Schedules that are due and that no instance has claimed; 100000 at most"
    )
    package static let dueWaiting = MetricDefinition(
        "scheduler_due_waiting", .gauge,
        help: "Executions that this instance has claimed, that are due and wait for their turn")
    package static let inFlight = MetricDefinition(
        "scheduler_claimed_in_flight", .gauge,
        help: "Executions that this instance holds, from their claim to their record")
    package static let unanswered = MetricDefinition(
        "scheduler_unanswered_in_flight", .gauge, help: "Those in flight whose targets do not acknowledge")
    package static let waitingForPlace = MetricDefinition(
        "scheduler_waiting_for_place", .gauge, help: "Occurrences that wait for a place, as overlap policies say")
    package static let outboxPending = MetricDefinition(
        "scheduler_outbox_pending", .gauge,
        help: "Events and dead letters in the database that no stream has acknowledged")
    package static let eventsOwed = MetricDefinition(
        "scheduler_events_owed", .gauge, help: "Events that this instance has told or is about to tell, unacknowledged")
    package static let openRuns = MetricDefinition(
        "scheduler_open_runs", .gauge, help: "Executions that workers are at, or that wait for a further attempt")
    package static let oldestRun = MetricDefinition(
        "scheduler_oldest_run_seconds", .gauge,
        help: "For how long the oldest execution that a worker has is with it; 0 without any")

    // MARK: Commands

    package static let commands = MetricDefinition(
        "scheduler_commands_total", .counter, labels: ["noun", "verb", "code"],
        help: "Commands that this instance answered, by the code of the reply: 200, or that of the error")
    package static let commandDuration = MetricDefinition(
        "scheduler_command_duration_seconds",
        .histogram([0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]),
        help: "From the arrival of a command to its reply")

    // MARK: The instance

    package static let ready = MetricDefinition(
        "scheduler_ready", .gauge, help: "1 while the instance is ready, 0 while it is not; system.status says why")
    package static let members = MetricDefinition(
        "scheduler_members", .gauge, help: "Instances whose leases this one sees, itself included")
    package static let share = MetricDefinition(
        "scheduler_share_partitions", .gauge,
        help: "Of the 256 partitions those that this instance claims ahead of time")
    package static let locksAcquired = MetricDefinition(
        "scheduler_locks_acquired_total", .counter, help: "Leases that this instance took: its own, and those of roles")
    package static let lockConflicts = MetricDefinition(
        "scheduler_lock_conflicts_total", .counter,
        help: "Times that another held the role this instance waited for, to the wait's end")
    package static let lockTimeouts = MetricDefinition(
        "scheduler_lock_timeouts_total", .counter,
        help: "Leases of this instance that ran out or were lost while it needed them")
    package static let reconnects = MetricDefinition(
        "scheduler_nats_reconnects_total", .counter,
        help: "Times that a connection to NATS came up again or was made anew")
    package static let clockOffset = MetricDefinition(
        "scheduler_clock_offset_seconds", .gauge,
        help: "By how much the clock of this machine is ahead of the database's")
    package static let buildInfo = MetricDefinition(
        "scheduler_build_info", .gauge, labels: ["version"], help: "1, with the version of the program")
    package static let zoneInfo = MetricDefinition(
        "scheduler_tzdata_info", .gauge, labels: ["version"], help: "1, with the release of the zone data in use")

    package static let all = [
        executions, lateness, duration, misfires, schedules, dueBacklog, dueWaiting, inFlight, unanswered,
        waitingForPlace,
        outboxPending, eventsOwed, openRuns, oldestRun, commands, commandDuration, ready, members, share, locksAcquired,
        lockConflicts, lockTimeouts, reconnects, clockOffset, buildInfo, zoneInfo,
    ]
}
