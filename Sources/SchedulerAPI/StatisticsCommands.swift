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

    /// Over which time is counted.
    fileprivate struct Window {
        static let usual: Int64 = 86_400

        let seconds: Int64
        /// Where it ends; nil: now.
        let to: Instant?
        let stepSeconds: Int64?
    }

    /// Of one schedule.
    func schedule(_ request: CommandRequest) async throws -> ReplyMembers {
        var body = BodyReader(request.body)
        let window = body.window(now: context.now)
        let reference = try body.finish(with: body.reference())
        return try await statistics(of: reference, target: nil, over: window, request)
    }

    /// Of a namespace, of a target in it, or of one schedule of it.
    func executions(_ request: CommandRequest) async throws -> ReplyMembers {
        var body = BodyReader(request.body)
        let window = body.window(now: context.now)
        let reference = body.scheduleFilter()
        let target = body.statisticsTarget()
        try body.finish()
        return try await statistics(of: reference, target: target, over: window, request)
    }

    private func statistics(
        of reference: ScheduleReference?, target: TargetSubject?, over window: Window, _ request: CommandRequest
    ) async throws -> ReplyMembers {
        let now = context.now
        let to = window.to ?? now
        let from = to.adding(milliseconds: -window.seconds * 1000)
        try expectKept(window, from: from, now: now)
        let (schedule, found) = try await context.list { connection in
            var schedule: Schedule?
            if let reference {
                schedule = try await ScheduleTable.find(reference, in: request.namespace, on: connection)
                if schedule == nil { throw notFound(reference, in: request.namespace) }
            }
            var question = ExecutionStatistics.Question(namespace: request.namespace, from: from, through: to)
            question.schedule = schedule?.id
            question.target = target
            question.stepSeconds = window.stepSeconds
            return (schedule, try await ExecutionStatistics.of(question, on: connection))
        }
        return { writer in
            writer.object("stats") { writer in
                if let schedule {
                    writer.member("schedule_id", schedule.id.description)
                    writer.member("schedule_name", schedule.definition.name.description)
                }
                writer.member("target_command", ifPresent: target?.description)
                writer.member("window_seconds", window.seconds)
                writer.member("from", found.from.rfc3339)
                writer.member("to", to.rfc3339)
                writer.member("complete", found.from == from)
                writer.statistics(found)
                if let step = window.stepSeconds { writer.series(found.steps, step) }
            }
        }
    }

    private func expectKept(_ window: Window, from: Instant, now: Instant) throws(WireError) {
        let days = Int64(context.session.configuration.historyRetentionDays)
        let kept = days * 86_400
        guard from < now.adding(milliseconds: -kept * 1000) else { return }
        guard window.to != nil, window.seconds <= kept else {
            throw WireError(
                .historyNotKept, "the history is kept for \(days) days, \(kept) s; asked for \(window.seconds) s",
                details: [WireError.Detail(.root.appending("window_seconds"), "expected at most \(kept)")])
        }
        throw WireError(
            .historyNotKept, "the history is kept for \(days) days; asked for \(from.rfc3339) on",
            details: [WireError.Detail(.root.appending("to"), "expected a later instant, or a shorter window")])
    }
}

extension BodyReader {
    /// `window_seconds`, `to` and `step_seconds`; as they are by default where they are absent, or with the problem
    /// reported.
    fileprivate mutating func window(now: Instant) -> StatisticsCommands.Window {
        let seconds = integer("window_seconds", in: 1...Int64(1 << 40)) ?? StatisticsCommands.Window.usual
        let to = instant("to")
        if let to, to > now { report("to", "expected an instant that has passed; it is \(now.rfc3339)") }
        return StatisticsCommands.Window(seconds: seconds, to: to, stepSeconds: stepSeconds(of: seconds))
    }

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

    fileprivate mutating func series(_ steps: [ExecutionStatistics.Step], _ seconds: Int64) {
        object("series") { writer in
            writer.member("step_seconds", seconds)
            writer.array("steps") { writer in
                for step in steps {
                    writer.object { writer in
                        writer.member("at", step.from.rfc3339)
                        writer.member("total", step.total)
                        writer.member("dead", step.outcomes[.dead] ?? 0)
                        writer.member("skipped", step.outcomes[.skipped] ?? 0)
                        writer.quantiles("lateness_ms", step.lateness)
                    }
                }
            }
        }
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
