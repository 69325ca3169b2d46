package import Recurrence

/// What a template may ask of one fire.
///
/// All of it is told by the execution's row and the schedule as it stands: whoever publishes the attempt once more, a
/// retry of the dispatch or a rescue by another instance, renders the same bytes.
package struct FireValues: Sendable {
    /// What all fires of a schedule have in common.
    package struct Common: Sendable {
        package var scheduleID = ""
        package var scheduleName = ""
        package var namespace = ""
        package var targetCommand = ""
        package var timezone = "UTC"
        package var zone = ZoneRules.utc
        /// Of a name that stands twice, the last counts.
        package var metadata: [(name: String, value: String)] = []
        /// Messages drive it: a template may show the one that it fires for.
        package var hasEvent = false

        package init() {}
    }

    package var common: Common
    package var executionID = ""
    /// 1, 2, …
    package var attempt: Int32 = 1
    package var fence: Int64 = 1
    package var trigger = ""
    package var missedCount: Int64 = 0
    package var scheduledFor: Instant
    package var dueAt: Instant
    /// The message that it fires for; nil where somebody triggers an `event` schedule by hand.
    package var event: EventValues?

    package init(_ common: Common, scheduledFor: Instant, dueAt: Instant) {
        self.common = common
        self.scheduledFor = scheduledFor
        self.dueAt = dueAt
    }
}

/// The names that a template may use, beside `metadata.<name>`.
package enum TemplateVariable: String, CaseIterable, Sendable {
    case scheduleID = "schedule_id"
    case scheduleName = "schedule_name"
    case namespace
    case targetCommand = "target_command"
    case timezone
    case executionID = "execution_id"
    case attempt
    case fence
    case trigger
    case missedCount = "missed_count"
    case scheduledFor = "scheduled_for"
    case scheduledForLocal = "scheduled_for_local"
    case scheduledForDate = "scheduled_for_date"
    case scheduledForUnix = "scheduled_for_unix"
    case scheduledForUnixMS = "scheduled_for_unix_ms"
    case dueAt = "due_at"
    case dueAtLocal = "due_at_local"
    case dueAtUnix = "due_at_unix"
    case dueAtUnixMS = "due_at_unix_ms"

    /// What a name in a template says before the name of a pair.
    static let metadata = "metadata"

    func text(of values: FireValues) -> String {
        switch self {
        case .scheduleID: values.common.scheduleID
        case .scheduleName: values.common.scheduleName
        case .namespace: values.common.namespace
        case .targetCommand: values.common.targetCommand
        case .timezone: values.common.timezone
        case .executionID: values.executionID
        case .attempt: String(values.attempt)
        case .fence: String(values.fence)
        case .trigger: values.trigger
        case .missedCount: String(values.missedCount)
        case .scheduledFor: values.scheduledFor.rfc3339
        case .scheduledForLocal: Self.local(values.scheduledFor, values.common.zone)
        case .scheduledForDate: String(values.common.zone.localTime(at: values.scheduledFor).iso8601.prefix(10))
        case .scheduledForUnix: String(Self.seconds(values.scheduledFor))
        case .scheduledForUnixMS: String(values.scheduledFor.milliseconds)
        case .dueAt: values.dueAt.rfc3339
        case .dueAtLocal: Self.local(values.dueAt, values.common.zone)
        case .dueAtUnix: String(Self.seconds(values.dueAt))
        case .dueAtUnixMS: String(values.dueAt.milliseconds)
        }
    }

    /// The most bytes that a fire of this schedule can have there.
    func mostBytes(in common: FireValues.Common) -> Int {
        switch self {
        case .scheduleID: common.scheduleID.utf8.count
        case .scheduleName: common.scheduleName.utf8.count
        case .namespace: common.namespace.utf8.count
        case .targetCommand: common.targetCommand.utf8.count
        case .timezone: common.timezone.utf8.count
        case .executionID: 36
        case .attempt: 11
        case .fence, .missedCount, .scheduledForUnix, .scheduledForUnixMS, .dueAtUnix, .dueAtUnixMS: 20
        case .trigger: 16
        case .scheduledFor, .dueAt, .scheduledForLocal, .dueAtLocal: 36
        case .scheduledForDate: 10
        }
    }

    /// Whole seconds since 1970, rounded towards the past.
    private static func seconds(_ instant: Instant) -> Int64 {
        let (seconds, rest) = instant.milliseconds.quotientAndRemainder(dividingBy: 1000)
        return rest < 0 ? seconds - 1 : seconds
    }

    /// RFC 3339 with the zone's offset; seconds of an offset, which zones had long ago, are left out.
    private static func local(_ instant: Instant, _ zone: ZoneRules) -> String {
        let offset = zone.offsetSeconds(at: instant)
        let minutes = abs(offset) / 60
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return zone.localTime(at: instant).iso8601 + (offset < 0 ? "-" : "+") + two(minutes / 60) + ":"
            + two(minutes % 60)
    }
}
