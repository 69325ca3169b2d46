import JSONText
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import SchedulerWire

/// `schedule.stats` and `execution.stats`: how often, how well and how late.
struct StatisticsCommands: Sendable {
    let context: CommandContext

    private static let usualWindow: Int64 = 86_400

    /// Of one schedule.
    func schedule(_ request: CommandRequest) async throws -> ReplyMembers {
        var body = BodyReader(request.body)
        let window = body.window()
        let reference = try body.finish(with: body.reference())
        return try await statistics(of: reference, seconds: window ?? Self.usualWindow, request)
    }

    /// Of a namespace, or of one schedule of it.
    func executions(_ request: CommandRequest) async throws -> ReplyMembers {
        var body = BodyReader(request.body)
        let window = body.window()
        let reference = body.scheduleFilter()
        try body.finish()
        return try await statistics(of: reference, seconds: window ?? Self.usualWindow, request)
    }

    private func statistics(
        of reference: ScheduleReference?, seconds: Int64, _ request: CommandRequest
    ) async throws -> ReplyMembers {
        let days = Int64(context.session.configuration.historyRetentionDays)
        guard seconds <= days * 86_400 else {
            throw WireError(
                .historyNotKept, "the history is kept for \(days) days, \(days * 86_400) s; asked for \(seconds) s",
                details: [WireError.Detail(.root.appending("window_seconds"), "expected at most \(days * 86_400)")])
        }
        let now = context.now
        let from = now.adding(milliseconds: -seconds * 1000)
        let (schedule, found) = try await context.list { connection in
            var schedule: Schedule?
            if let reference {
                schedule = try await ScheduleTable.find(reference, in: request.namespace, on: connection)
                if schedule == nil { throw notFound(reference, in: request.namespace) }
            }
            let found = try await ExecutionStatistics.of(
                schedule?.id, in: request.namespace, from: from, through: now, on: connection)
            return (schedule, found)
        }
        return { writer in
            writer.object("stats") { writer in
                if let schedule {
                    writer.member("schedule_id", schedule.id.description)
                    writer.member("schedule_name", schedule.definition.name.description)
                }
                writer.member("window_seconds", seconds)
                writer.member("from", from.rfc3339)
                writer.member("to", now.rfc3339)
                writer.statistics(found)
            }
        }
    }
}

extension BodyReader {
    /// `window_seconds`; nil where it is absent, or with the problem reported.
    fileprivate mutating func window() -> Int64? { integer("window_seconds", in: 1...Int64(1 << 40)) }
}

extension JSONWriter {
    fileprivate mutating func statistics(_ found: ExecutionStatistics) {
        member("total", found.total)
        object("outcomes") { writer in
            for state in ExecutionState.allCases {
                writer.name(dynamic: state == .claimed ? "open" : state.rawValue)
                writer.value(found.states[state] ?? 0)
            }
        }
        object("skipped") { writer in
            for (reason, count) in found.skipped {
                writer.name(dynamic: reason)
                writer.value(count)
            }
        }
        object("triggers") { writer in
            for (trigger, count) in found.triggers {
                writer.name(dynamic: trigger)
                writer.value(count)
            }
        }
        if let rate = found.successRate { member("success_rate", rate) } else { nullMember("success_rate") }
        guard let lateness = found.lateness else { return nullMember("lateness_ms") }
        object("lateness_ms") { writer in
            writer.member("p50", lateness.median)
            writer.member("p90", lateness.p90)
            writer.member("p99", lateness.p99)
            writer.member("max", lateness.most)
        }
    }
}
