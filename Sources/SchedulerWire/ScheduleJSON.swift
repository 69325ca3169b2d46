package import JSONText
package import Recurrence
package import SchedulerCore

/// A schedule as replies and the audit show it.
package struct ScheduleView: Sendable {
    package var schedule: Schedule
    package var timer: Timer
    /// When it fires next; the timer may be looked at before that, to tell what is left out.
    package var nextFireAt: Instant?
    package var lastFireAt: Instant?
    package var lastStatus: String?
    /// Shown on create, put, update and validate.
    package var nextFires: [Instant]?

    package init(
        schedule: Schedule, timer: Timer, lastFireAt: Instant? = nil, lastStatus: String? = nil,
        nextFires: [Instant]? = nil
    ) {
        self.schedule = schedule
        self.timer = timer
        let timing = schedule.definition.timing
        // A timer that is put off has beside it what it was set to.
        nextFireAt = timing.expected(
            timing.isListening ? timer.nextFireAt.map { timer.resumeFrom ?? $0 } : timer.nextFireAt)
        self.lastFireAt = lastFireAt
        self.lastStatus = lastStatus
        self.nextFires = nextFires
    }
}

extension JSONWriter {
    package mutating func member(_ name: StaticString, ifPresent instant: Instant?) {
        if let instant { member(name, instant.rfc3339) }
    }

    /// A duration in seconds; whole ones without a fraction.
    mutating func member(_ name: StaticString, milliseconds: Int64) {
        if milliseconds % 1000 == 0 {
            member(name, milliseconds / 1000)
        } else {
            member(name, Double(milliseconds) / 1000)
        }
    }

    mutating func member(_ name: StaticString, seconds: Double) {
        if let whole = Int64(exactly: seconds) { member(name, whole) } else { member(name, seconds) }
    }

    mutating func member(_ name: StaticString, pairs: [UserHeader]) {
        self.name(name)
        object { writer in
            for pair in pairs {
                writer.name(dynamic: pair.name)
                writer.value(pair.value)
            }
        }
    }

    /// The whole schedule, with the defaults filled in (contract.md §3).
    package mutating func value(_ view: ScheduleView) {
        object { writer in
            let schedule = view.schedule
            writer.member("id", schedule.id.description)
            writer.member("namespace", schedule.namespace.description)
            writer.member("name", schedule.definition.name.description)
            writer.member("version", schedule.version)
            writer.member("state", schedule.state.rawValue)
            writer.member("pause_reason", ifPresent: schedule.pauseReason)
            writer.member("paused_until", ifPresent: schedule.state == .paused ? schedule.pausedUntil : nil)
            writer.definition(schedule.definition)
            writer.member("next_fire_at", ifPresent: schedule.state == .active ? view.nextFireAt : nil)
            writer.member("last_fire_at", ifPresent: view.lastFireAt)
            writer.member("last_status", ifPresent: view.lastStatus)
            writer.member("run_count", view.timer.runCount)
            writer.member("created_at", schedule.createdAt.rfc3339)
            writer.member("created_by", ifPresent: schedule.createdBy)
            writer.member("updated_at", schedule.updatedAt.rfc3339)
            writer.member("updated_by", ifPresent: schedule.updatedBy)
            guard let fires = view.nextFires else { return }
            writer.name("next_fires")
            writer.array { writer in
                for fire in fires { writer.value(fire.rfc3339) }
            }
        }
    }

    mutating func definition(_ definition: ScheduleDefinition) {
        member("description", definition.description)
        timing(definition.timing)
        if definition.firesCommand { member("target_command", definition.target.description) }
        member("command_payload", raw: definition.payload)
        member("command_headers", pairs: definition.headers)
        member("payload_template", definition.payloadTemplate)
        member("delivery", definition.delivery.rawValue)
        member("guarantee", definition.guarantee.rawValue)
        member("completion", definition.completion.rawValue)
        if let seconds = definition.startTimeoutSeconds { member("start_timeout_seconds", seconds: seconds) }
        member("run_timeout_seconds", seconds: definition.runTimeoutSeconds)
        if let seconds = definition.heartbeatTimeoutSeconds { member("heartbeat_timeout_seconds", seconds: seconds) }
        member("overlap_policy", definition.overlapPolicy.rawValue)
        member("max_in_flight", definition.maxInFlight)
        member("concurrency_key", ifPresent: definition.concurrencyKey)
        member("misfire_policy", definition.misfire.policy.rawValue)
        member("misfire_grace_seconds", milliseconds: definition.misfire.graceMilliseconds)
        member("catchup_window_seconds", milliseconds: definition.misfire.catchupWindowMilliseconds)
        member("catchup_limit", definition.misfire.catchupLimit)
        member("max_retries", definition.retry.maxRetries)
        member("retry_delay_seconds", seconds: definition.retry.delaySeconds)
        member("retry_max_delay_seconds", seconds: definition.retry.maxDelaySeconds)
        member("retry_max_age_seconds", seconds: definition.retry.maxAgeSeconds)
        member("pause_after_failures", ifPresent: definition.pauseAfterFailures)
        if let rule = definition.after {
            name("after")
            value(rule)
        }
        member("priority", definition.priority)
        name("tags")
        array { writer in
            for tag in definition.tags { writer.value(tag) }
        }
        member("metadata", pairs: definition.metadata)
        member("delete_when_exhausted", definition.deleteWhenExhausted)
        member("shadow", definition.isShadow)
    }

    private mutating func timing(_ timing: Timing) {
        member("schedule_type", timing.type.rawValue)
        member("cron_expression", ifPresent: timing.cronExpression)
        if let interval = timing.intervalMilliseconds { member("interval_seconds", milliseconds: interval) }
        member("run_at", ifPresent: timing.runAt)
        member("rrule", ifPresent: timing.rrule)
        member("timezone", timing.timezone)
        member("dst_policy", timing.dstPolicy.rawValue)
        member("start_at", ifPresent: timing.startAt)
        member("end_at", ifPresent: timing.endAt)
        member("max_runs", ifPresent: timing.maxRuns)
        member("spread_seconds", milliseconds: timing.spreadMilliseconds)
        constraint(timing.constraint)
        event(timing)
    }
}
