import PostgresClient
import SchedulerCore

/// The columns of a schedule that say what it listens to: `event_subject, event_stream, delay_ms, debounce_ms,
/// max_rate_per_second, absence_ms`.
enum EventColumns {
    static func values(of rule: EventRule) -> [PostgresValue] {
        [
            .text(rule.subject?.description), .text(rule.stream?.description), .int64(rule.delayMilliseconds),
            .int64(rule.debounceMilliseconds), .float8(rule.maxRatePerSecond), .int64(rule.absenceMilliseconds),
        ]
    }

    /// - Parameter first: the column of `event_subject`.
    static func rule(of row: PostgresRow, from first: Int) throws -> EventRule {
        var rule = EventRule()
        rule.subject = try row.textOrNil(first).map { try SubjectPattern($0) }
        rule.stream = try row.textOrNil(first + 1).map { try StreamName($0) }
        rule.delayMilliseconds = try row.int64(first + 2)
        rule.debounceMilliseconds = try row.int64(first + 3)
        rule.maxRatePerSecond = try row.float8OrNil(first + 4)
        rule.absenceMilliseconds = try row.int64OrNil(first + 5)
        return rule
    }
}
