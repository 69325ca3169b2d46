import PostgresClient
package import Recurrence
import SchedulerCore

/// The executions' partitions: one a day (UTC), made ahead, dropped when their day is past the retention.
package enum PartitionTable {
    /// How many days ahead partitions are kept.
    package static let daysAhead = 7
    /// Below this many days the instance is not ready.
    package static let leastDaysAhead = 2
    package static let day: Int64 = 86_400_000

    /// A claim waits for 100 ms at most because of it: the function bounds its own waits for locks.
    static let ensureStatement = Statement(
        "partitions_ensure", "SELECT scheduler.make_executions_day($1)", types: [.timestamptz])

    /// Makes the partitions of these days that are missing; each in a transaction of its own.
    /// - Parameter offsets: days from today's, which is 0.
    /// - Returns: how many were made.
    /// - Throws: `.lockTimeout` where a lock was not had in time, once the other days have been tried.
    package static func ensure(
        now: Instant, days offsets: ClosedRange<Int> = -1...daysAhead, on runner: some StatementRunner
    ) async throws -> Int {
        var made = 0
        var isHeld = false
        let today = dayStart(of: now)
        for offset in offsets {
            let start = today.adding(milliseconds: Int64(offset) * day)
            switch try await change(ensureStatement, start, on: runner) {
            case .done: made += 1
            case .nothing: continue
            case .isHeld: isHeld = true
            }
        }
        if isHeld { throw PostgresError(.lockTimeout, "expected the ledger's locks within 100 ms") }
        return made
    }

    private enum Outcome {
        case done, nothing, isHeld
    }

    /// Runs one of the two functions that change the ledger's partitions.
    private static func change(
        _ statement: Statement, _ start: Instant, on runner: some StatementRunner
    ) async throws -> Outcome {
        do {
            return try await runner.query(statement, [.instant(start)]).first?.bool(0) == true ? .done : .nothing
        } catch  where error.code == .lockTimeout {
            return .isHeld
        }
    }

    static let listStatement = Statement(
        "partitions_list",
        """
        SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'scheduler.executions'::regclass AND c.relname ~ '^executions_[0-9]{8}$'
        ORDER BY 1
        """, isReadOnly: true)

    /// The days that have partitions, as `YYYYMMDD`, in order.
    package static func days(on runner: some StatementRunner) async throws -> [String] {
        try await runner.query(listStatement, []).map { String(try $0.text(0).dropFirst("executions_".count)) }
    }

    /// How many days after today have a partition, without a gap.
    package static func daysReady(now: Instant, on runner: some StatementRunner) async throws -> Int {
        let days = Set(try await days(on: runner))
        let today = dayStart(of: now)
        var ready = 0
        while days.contains(name(of: today.adding(milliseconds: Int64(ready + 1) * day))) { ready += 1 }
        return days.contains(name(of: today)) ? ready : 0
    }

    static let dropStatement = Statement(
        "partitions_drop", "SELECT scheduler.drop_executions_day($1)", types: [.timestamptz])

    /// What ``drop(before:on:)`` did.
    package struct Dropped: Hashable, Sendable {
        /// As `YYYYMMDD`, in order.
        package var days: [String] = []
        /// A lock was not had within 100 ms: the rest is for later.
        package var isPostponed = false
    }

    /// Drops the partitions of days before `instant`, oldest first, up to the first that the journal of claims still
    /// needs, in which something is open, or whose locks are not had within 100 ms: a claim waits no longer than that because of a drop.
    package static func drop(before instant: Instant, on runner: some StatementRunner) async throws -> Dropped {
        var dropped = Dropped()
        for day in try await days(on: runner) where day < name(of: instant) {
            guard let start = dayStart(named: day) else { continue }
            switch try await change(dropStatement, start, on: runner) {
            case .done: dropped.days.append(day)
            case .nothing: return dropped
            case .isHeld:
                dropped.isPostponed = true
                return dropped
            }
        }
        return dropped
    }

    /// Rows of the default partition that belong to no day that is kept, oldest first along its key; nothing that the
    /// journal of claims still needs, and nothing that is open.
    static let clearDefaultStatement = Statement(
        "partitions_clear_default", "SELECT scheduler.clear_executions_default($1, $2)", types: [.uuid, .int64])

    /// Clears one page of what lies before `instant` outside of the days' partitions. - Returns: how many rows.
    package static func clearDefault(
        before instant: Instant, page: Int = RetentionPage.size, on runner: some StatementRunner
    ) async throws -> Int {
        let values: [PostgresValue] = [.uuid(.lowest(at: instant)), .int64(Int64(page))]
        return Int(try await runner.query(clearDefaultStatement, values).first?.int64(0) ?? 0)
    }

    package static func dayStart(of instant: Instant) -> Instant {
        let days = (Double(instant.milliseconds) / Double(day)).rounded(.down)
        return Instant(milliseconds: Int64(days) * day)
    }

    static func name(of instant: Instant) -> String {
        String(instant.rfc3339.prefix(10).filter { $0 != "-" })
    }

    /// How many days before today's a day named `YYYYMMDD` lies; nil where it is no day.
    package static func age(ofDay day: String, at now: Instant) -> Int? {
        dayStart(named: day).map { Int(dayStart(of: now).milliseconds(since: $0) / Self.day) }
    }

    static func dayStart(named day: String) -> Instant? {
        guard day.count == 8 else { return nil }
        let text = "\(day.prefix(4))-\(day.dropFirst(4).prefix(2))-\(day.suffix(2))T00:00:00Z"
        return Instant(rfc3339: text)
    }
}

/// What one statement of the retention deletes at most: some milliseconds, so that it holds no lock for long and leaves
/// the connection to others in between.
package enum RetentionPage {
    package static let size = 1000
}
