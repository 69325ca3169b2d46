import JSONText
import Recurrence
package import SchedulerCore

/// What the service's settings say where a request is silent, and the bounds that they set.
package struct DefinitionDefaults: Hashable, Sendable {
    package var timezone = "UTC"
    package var misfireGraceMilliseconds: Int64 = 300_000
    package var maxRetries: Int32 = 3
    package var retryDelaySeconds = 300.0
    package var mostInFlight: Int32 = 3
    /// How far ahead a `once` may lie.
    package var mostLookaheadDays: Int64 = 365

    package init() {}
}

/// Reads the fields of a schedule from a request: the whole of it (`create`), or a merge patch (`update`), in which an
/// absent field keeps what is and null brings the default back.
package struct DefinitionReader {
    package static let fields =
        [
            "name", "description", "schedule_type", "cron_expression", "interval_seconds", "run_at", "rrule",
            "timezone",
            "dst_policy", "start_at", "end_at", "max_runs", "spread_seconds", "target_command", "command_payload",
            "command_headers", "payload_template", "delivery", "guarantee", "completion", "start_timeout_seconds",
            "run_timeout_seconds", "heartbeat_timeout_seconds", "overlap_policy", "max_in_flight", "concurrency_key",
            "misfire_policy",
            "misfire_grace_seconds", "catchup_window_seconds", "catchup_limit", "max_retries", "retry_delay_seconds",
            "retry_max_delay_seconds", "retry_max_age_seconds", "pause_after_failures", "after", "priority", "tags",
            "metadata", "delete_when_exhausted", "shadow",
        ] + constraintFields + eventFields

    var body: BodyReader
    private let defaults: DefinitionDefaults
    private let zones: ZoneLookup
    /// A year in seconds: the longest of the durations that are not the misfire's.
    private static let longestSeconds = 31_622_400.0

    /// - Parameter zones: what a local `run_at` is read with.
    package init(_ body: BodyReader, defaults: DefinitionDefaults, zones: @escaping ZoneLookup) {
        self.body = body
        self.defaults = defaults
        self.zones = zones
    }

    /// What could be read. Each part stands by itself, so that what is wrong with one hides no problem of another.
    package struct Reading {
        /// The reader with all problems found so far.
        package var body: BodyReader
        /// The whole; nil where a part of it is missing or wrong.
        package let definition: ScheduleDefinition?
        /// The name, where it could be read.
        package let name: ScheduleName?
        /// The timing, where the fields that decide over its occurrences could be read.
        package let timing: Timing?
        package let target: TargetSubject?
        package let graceMilliseconds: Int64
        package let delivery: Delivery
        package let payload: [UInt8]
        package let payloadTemplate: Bool
        package let metadata: [UserHeader]
        package let headers: [UserHeader]
    }

    /// Reads onto `current`, or onto the defaults where there is none. Every problem is in the reader that comes back.
    package mutating func read(onto current: ScheduleDefinition?, idName: ScheduleName) -> Reading {
        let name = readName(current?.name, otherwise: idName)
        let timing = readTiming(current?.timing)
        let target = readTarget(current?.target, isOptional: needsNoTarget(current))
        var rest =
            current ?? initial(name: idName, timing: timing ?? Timing(type: .immediate), target: target ?? .unread)
        readRest(&rest)
        if rest.completion == .reply, rest.delivery != .request, !body.hasProblem("delivery") {
            body.report(
                "completion", "'reply' belongs to delivery 'request', got '\(rest.delivery.rawValue)'",
                as: .conflictingFields)
        }
        if rest.concurrencyKey != nil, rest.completion == .none, !body.hasProblem("completion") {
            body.report(
                "concurrency_key",
                "needs completion 'reply' or 'report': with 'none' an execution is over when delivered",
                as: .conflictingFields)
        }
        var definition: ScheduleDefinition?
        if let name, let timing, let target, body.problems.isEmpty {
            rest.name = name
            rest.timing = timing
            rest.target = target
            definition = rest
        }
        return Reading(
            body: body, definition: definition, name: name, timing: timing, target: target,
            graceMilliseconds: rest.misfire.graceMilliseconds, delivery: rest.delivery, payload: rest.payload,
            payloadTemplate: rest.payloadTemplate, metadata: rest.metadata, headers: rest.headers)
    }

    /// Reads a patch whose schedule is not known, for its problems only.
    package mutating func readUnplaced(idName: ScheduleName) -> BodyReader {
        if case .value = body.member("target_command") { _ = readTarget(nil) }
        if case .value = body.member("schedule_type") { _ = readType() }
        readTimingFields(onto: Timing(type: .immediate), discard: true)
        var rest = initial(name: idName, timing: Timing(type: .immediate), target: .unread)
        readRest(&rest)
        return body
    }

    private func initial(name: ScheduleName, timing: Timing, target: TargetSubject) -> ScheduleDefinition {
        var definition = ScheduleDefinition(name: name, timing: timing, target: target)
        definition.misfire.graceMilliseconds = defaults.misfireGraceMilliseconds
        definition.retry.maxRetries = defaults.maxRetries
        definition.retry.delaySeconds = defaults.retryDelaySeconds
        return definition
    }

    private mutating func readName(_ current: ScheduleName?, otherwise idName: ScheduleName) -> ScheduleName? {
        switch body.member("name") {
        case .absent: return current ?? idName
        case .null: return idName
        case .value(let value):
            guard let text = body.string(value, "name", most: 4096) else { return nil }
            do { return try ScheduleName(text) } catch {
                body.report("name", "\(error), got '\(text.prefix(160))'")
                return nil
            }
        }
    }

    private mutating func readTarget(
        _ current: TargetSubject?, isOptional: Bool = false
    ) -> TargetSubject? {
        switch body.member("target_command") {
        case .absent where current != nil && (isOptional || current != TargetSubject.none): return current
        case .absent where isOptional, .null where isOptional: return TargetSubject.none
        case .absent, .null:
            body.report("target_command", "is required: the subject to publish on", as: .missingField)
            return nil
        case .value(let value):
            guard let text = body.string(value, "target_command", most: 4096) else { return nil }
            do { return try TargetSubject(text) } catch {
                body.report(
                    "target_command", error.description, as: error.isReserved ? .targetReserved : .invalidValue)
                return nil
            }
        }
    }

    /// Sets a field from its member: absent keeps, null resets, a value that cannot be read is reported and kept out.
    mutating func set<Value>(
        _ name: String, _ field: inout Value, default initial: Value,
        _ read: (inout BodyReader) -> Value?
    ) {
        switch body.member(name) {
        case .absent: break
        case .null: field = initial
        case .value: if let value = read(&body) { field = value }
        }
    }
}

extension DefinitionReader {
    private mutating func readType() -> ScheduleType? {
        body.choice("schedule_type", of: ScheduleType.self)
    }

    private mutating func readTiming(_ current: Timing?) -> Timing? {
        var timing: Timing
        switch body.member("schedule_type") {
        case .absent where current != nil: timing = current ?? Timing(type: .immediate)
        case .absent, .null:
            body.report(
                "schedule_type",
                "is required: one of 'cron', 'interval', 'once', 'immediate', 'rrule', 'event', 'absence'",
                as: .missingField)
            readTimingFields(onto: Timing(type: .immediate), discard: true)
            return nil
        case .value:
            guard let type = readType() else {
                readTimingFields(onto: Timing(type: .immediate), discard: true)
                return nil
            }
            timing = current ?? Timing(type: type)
            if timing.type != type {
                timing = Timing(type: type)
                timing.timezone = current?.timezone ?? defaults.timezone
            }
        }
        if current == nil { timing.timezone = defaults.timezone }
        return readTimingFields(onto: timing, discard: false)
    }

    @discardableResult
    private mutating func readTimingFields(onto initial: Timing, discard: Bool) -> Timing? {
        var timing = initial
        set("cron_expression", &timing.cronExpression, default: nil) { $0.string("cron_expression", most: 256) }
        set("interval_seconds", &timing.intervalMilliseconds, default: nil) {
            $0.milliseconds("interval_seconds", seconds: 0.1...3_155_760_000)
        }
        set("timezone", &timing.timezone, default: defaults.timezone) { $0.string("timezone", most: 64) }
        takeZonePrefix(of: &timing)
        let (zone, zones) = (timing.timezone, zones)
        set("run_at", &timing.runAt, default: nil) { $0.instant("run_at", localTo: zone, zones) }
        set("dst_policy", &timing.dstPolicy, default: .vixie) { $0.choice("dst_policy") }
        set("start_at", &timing.startAt, default: nil) { $0.instant("start_at") }
        set("end_at", &timing.endAt, default: nil) { $0.instant("end_at") }
        set("max_runs", &timing.maxRuns, default: nil) { $0.integer("max_runs", in: 1...Int64.max) }
        set("spread_seconds", &timing.spreadMilliseconds, default: 0) {
            $0.milliseconds("spread_seconds", seconds: 0...86_400)
        }
        readConstraint(&timing.constraint)
        readEvent(&timing.event)
        set("rrule", &timing.rrule, default: nil) { $0.string("rrule", most: RecurrenceRule.maximumLength) }
        guard !discard else {
            checkExpressions(of: timing)
            return nil
        }
        checkTimingFields(timing)
        let decisive = [
            "cron_expression", "interval_seconds", "run_at", "rrule", "event_subject", "event_stream",
            "absence_seconds",
        ]
        let isContradicted = timing.cronExpression.flatMap(CronExpression.zonePrefix).map { $0.name != timing.timezone }
        return decisive.contains(where: body.hasProblem) || isContradicted == true ? nil : timing
    }

    /// `CRON_TZ=` in front of the expression says the zone where no `timezone` does; they do not contradict each other.
    private mutating func takeZonePrefix(of timing: inout Timing) {
        guard let prefix = timing.cronExpression.flatMap(CronExpression.zonePrefix), prefix.name != timing.timezone
        else { return }
        guard case .value = body.member("timezone") else {
            timing.timezone = prefix.name
            return
        }
        guard !body.hasProblem("timezone") else { return }
        body.report(
            "timezone", "is another than '\(prefix.name)', which stands in front of cron_expression",
            as: .conflictingFields)
    }

    /// Of a schedule whose type is not known: its expression is wrong whatever the type.
    private mutating func checkExpressions(of timing: Timing) {
        if let text = timing.cronExpression {
            do { _ = try CronExpression(parsing: text, hash: 0) } catch {
                body.report("cron_expression", error.description, as: .invalidTiming)
            }
        }
        if let text = timing.rrule {
            do { _ = try RecurrenceRule(parsing: text) } catch {
                body.report("rrule", error.description, as: .invalidTiming)
            }
        }
    }

    private mutating func checkTimingFields(_ timing: Timing) {
        let owned: [(field: String, type: ScheduleType, isSet: Bool, what: String)] = [
            ("cron_expression", .cron, timing.cronExpression != nil, "a cron expression such as '0 9 * * MON-FRI'"),
            ("interval_seconds", .interval, timing.intervalMilliseconds != nil, "seconds between two fires"),
            ("run_at", .once, timing.runAt != nil, "the instant to fire at"),
            ("rrule", .rrule, timing.rrule != nil, "a rule of RFC 5545 such as 'FREQ=WEEKLY;BYDAY=MO;BYHOUR=9'"),
        ]
        for (field, type, isSet, what) in owned where !body.hasProblem(field) {
            if timing.type == type, !isSet {
                body.report(field, "is required for '\(type.rawValue)': \(what)", as: .missingField)
            }
            let isExpected = timing.type == .absence && type == .cron
            if timing.type != type, isSet, !isExpected {
                body.report(field, "belongs to '\(type.rawValue)' schedules only", as: .conflictingFields)
            }
        }
        checkConstraint(timing.constraint)
        checkEvent(timing)
        if let start = timing.startAt, let end = timing.endAt, end < start {
            body.report("end_at", "expected an instant not before start_at", as: .conflictingFields)
        }
        if timing.type == .rrule, let start = timing.startAt, start.milliseconds % 1000 != 0 {
            body.report("start_at", "expected a whole second for 'rrule': it is the rule's DTSTART")
        }
        if timing.type == .once || timing.type == .immediate, timing.maxRuns ?? 1 != 1 {
            body.report("max_runs", "a '\(timing.type.rawValue)' schedule runs once")
        }
    }

}

extension DefinitionReader {
    private mutating func readRest(_ definition: inout ScheduleDefinition) {
        set("description", &definition.description, default: "") { $0.string("description", most: 1024) }
        set("command_payload", &definition.payload, default: Array("{}".utf8)) {
            $0.value("command_payload").map { Array($0.bytes) }
        }
        set("command_headers", &definition.headers, default: []) { $0.headers("command_headers") }
        set("metadata", &definition.metadata, default: []) { $0.metadata("metadata") }
        set("tags", &definition.tags, default: []) { $0.tags("tags") }
        set("delivery", &definition.delivery, default: .jetstream) { $0.choice("delivery") }
        set("guarantee", &definition.guarantee, default: .atLeastOnce) { $0.choice("guarantee") }
        set("completion", &definition.completion, default: .none) {
            $0.choice("completion")
        }
        set("priority", &definition.priority, default: 5) { $0.integer("priority", in: 0...9).map(Int16.init) }
        set("delete_when_exhausted", &definition.deleteWhenExhausted, default: false) {
            $0.bool("delete_when_exhausted")
        }
        set("payload_template", &definition.payloadTemplate, default: false) { $0.bool("payload_template") }
        set("shadow", &definition.isShadow, default: false) { $0.bool("shadow") }
        set("after", &definition.after, default: nil) { $0.followRule("after") }
        readMisfire(&definition.misfire)
        readTracking(&definition)
        readRetries(&definition)
    }

    private mutating func readMisfire(_ rule: inout MisfireRule) {
        set("misfire_policy", &rule.policy, default: .fireOnce) { $0.choice("misfire_policy") }
        set("misfire_grace_seconds", &rule.graceMilliseconds, default: defaults.misfireGraceMilliseconds) {
            $0.milliseconds("misfire_grace_seconds", seconds: 0...Self.longestSeconds)
        }
        set("catchup_window_seconds", &rule.catchupWindowMilliseconds, default: 86_400_000) {
            $0.milliseconds("catchup_window_seconds", seconds: 0...Self.longestSeconds)
        }
        set("catchup_limit", &rule.catchupLimit, default: 100) { $0.integer("catchup_limit", in: 0...1000) }
    }

    private mutating func readTracking(_ definition: inout ScheduleDefinition) {
        let seconds = 0.001...Self.longestSeconds
        set("start_timeout_seconds", &definition.startTimeoutSeconds, default: nil) {
            $0.number("start_timeout_seconds", in: seconds)
        }
        set("run_timeout_seconds", &definition.runTimeoutSeconds, default: 300) {
            $0.number("run_timeout_seconds", in: seconds)
        }
        set("heartbeat_timeout_seconds", &definition.heartbeatTimeoutSeconds, default: nil) {
            $0.number("heartbeat_timeout_seconds", in: seconds)
        }
        set("overlap_policy", &definition.overlapPolicy, default: .skip) { $0.choice("overlap_policy") }
        let most = Int64(defaults.mostInFlight)
        set("max_in_flight", &definition.maxInFlight, default: 1) {
            $0.integer("max_in_flight", in: 1...most).map(Int32.init)
        }
        set("concurrency_key", &definition.concurrencyKey, default: nil) { $0.concurrencyKey() }
    }

    private mutating func readRetries(_ definition: inout ScheduleDefinition) {
        set("max_retries", &definition.retry.maxRetries, default: defaults.maxRetries) {
            $0.integer("max_retries", in: 0...1000).map(Int32.init)
        }
        let seconds = 0...Self.longestSeconds
        set("retry_delay_seconds", &definition.retry.delaySeconds, default: defaults.retryDelaySeconds) {
            $0.number("retry_delay_seconds", in: seconds)
        }
        set("retry_max_delay_seconds", &definition.retry.maxDelaySeconds, default: 3600) {
            $0.number("retry_max_delay_seconds", in: seconds)
        }
        set("retry_max_age_seconds", &definition.retry.maxAgeSeconds, default: 86_400) {
            $0.number("retry_max_age_seconds", in: seconds)
        }
        set("pause_after_failures", &definition.pauseAfterFailures, default: nil) {
            $0.integer("pause_after_failures", in: 1...1_000_000).map(Int32.init)
        }
    }
}
