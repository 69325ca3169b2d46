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
        return try await statistics(of: reference, target: nil, seconds: window ?? Self.usualWindow, request)
    }

    /// Of a namespace, of a target in it, or of one schedule of it.
    func executions(_ request: CommandRequest) async throws -> ReplyMembers {
        var body = BodyReader(request.body)
        let window = body.window()
        let reference = body.scheduleFilter()
        let target = body.statisticsTarget()
        try body.finish()
        return try await statistics(of: reference, target: target, seconds: window ?? Self.usualWindow, request)
    }

    private func statistics(
        of reference: ScheduleReference?, target: TargetSubject?, seconds: Int64, _ request: CommandRequest
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
            var question = ExecutionStatistics.Question(namespace: request.namespace, from: from, through: now)
            question.schedule = schedule?.id
            question.target = target
            return (schedule, try await ExecutionStatistics.of(question, on: connection))
        }
        return { writer in
            writer.object("stats") { writer in
                if let schedule {
                    writer.member("schedule_id", schedule.id.description)
                    writer.member("schedule_name", schedule.definition.name.description)
                }
                writer.member("target_command", ifPresent: target?.description)
                writer.member("window_seconds", seconds)
                writer.member("from", found.from.rfc3339)
                writer.member("to", now.rfc3339)
                writer.member("complete", found.from == from)
                writer.statistics(found)
            }
        }
    }
}

extension BodyReader {
    /// `window_seconds`; nil where it is absent, or with the problem reported.
    fileprivate mutating func window() -> Int64? { integer("window_seconds", in: 1...Int64(1 << 40)) }

    /// `target_command`: of schedules with this target alone.
    fileprivate mutating func statisticsTarget() -> TargetSubject? {
        guard let text = string("target_command", most: 4096) else { return nil }
        do { return try TargetSubject(text) } catch {
            report("target_command", "\(error), got '\(text.prefix(160))'")
            return nil
        }
    }
}

extension JSONWriter {
    fileprivate mutating func statistics(_ found: ExecutionStatistics) {
        member("total", found.total)
        object("outcomes") { writer in
            for outcome in ExecutionStatistics.Outcome.allCases {
                writer.name(dynamic: outcome.rawValue)
                writer.value(found.outcomes[outcome] ?? 0)
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
        quantiles("lateness_ms", found.lateness)
        quantiles("duration_ms", found.duration)
        quantiles("shadow_lateness_ms", found.shadowLateness)
    }

    private mutating func quantiles(_ name: StaticString, _ found: ExecutionStatistics.Quantiles?) {
        guard let found else { return nullMember(name) }
        object(name) { writer in
            writer.member("p50", found.median)
            writer.member("p90", found.p90)
            writer.member("p99", found.p99)
            writer.member("max", found.most)
        }
    }
}
