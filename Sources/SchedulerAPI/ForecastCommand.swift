import JSONText
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerWire

/// `schedule.forecast` and `admin.system.forecast`: how many fires lie ahead, step by step.
struct ForecastCommand: Sendable {
    let session: Session

    private static let usualWindow: Int64 = 86_400
    private static let mostWindow: Int64 = 7 * 86_400
    private static let mostSchedules: Int64 = 10_000

    /// Of the requester's namespace.
    func ofNamespace(_ request: CommandRequest) async throws -> ReplyMembers {
        var body = BodyReader(request.body)
        return try await forecast(&body, in: request.namespace)
    }

    /// Of one namespace, or of all.
    func ofAll(_ request: CommandRequest) async throws -> ReplyMembers {
        var body = BodyReader(request.body)
        var namespace: Namespace?
        if let text = body.string("namespace", most: 256) {
            namespace = try? Namespace(text)
            if namespace == nil { body.report("namespace", "expected a namespace, got '\(text.prefix(160))'") }
        }
        return try await forecast(&body, in: namespace)
    }

    private func forecast(_ body: inout BodyReader, in namespace: Namespace?) async throws -> ReplyMembers {
        let seconds = body.integer("window_seconds", in: 1...Self.mostWindow) ?? Self.usualWindow
        let step = body.stepSeconds(of: seconds) ?? StatisticsSteps.usual(of: seconds)
        let limit = body.integer("limit", in: 1...Self.mostSchedules)
        var question = FireForecast.Question(
            namespace: namespace, at: session.clock.now(), seconds: seconds, stepSeconds: step)
        if let cursor = body.forecastCursor() {
            (question.from, question.after) = (cursor.from, cursor.after)
            (question.step, question.steps) = (cursor.step, cursor.steps)
        }
        question.limit = Int(limit ?? 1000)
        try body.finish()
        let asked = question
        let found = try await session.list { try await FireForecast.run(asked, in: session, on: $0) }
        return { writer in
            writer.forecast(found, asked)
            writer.member("next_cursor", ifPresent: found.next.map { ForecastCursor(asked, after: $0).text })
        }
    }
}

/// Where a forecast goes on, and over which time: the steps of its first page hold for all, so that pages can be added.
struct ForecastCursor: Hashable {
    let from: Instant
    /// In milliseconds.
    let step: Int64
    let steps: Int
    let after: ScheduleID

    init(_ question: FireForecast.Question, after: ScheduleID) {
        (from, step, steps, self.after) = (question.from, question.step, question.steps, after)
    }

    /// `<from>.<step>.<steps>.<schedule>`, times in milliseconds.
    var text: String { "\(from.milliseconds).\(step).\(steps).\(after)" }

    init?(text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4, let from = Int64(parts[0]), let step = Int64(parts[1]), let steps = Int(parts[2]),
            let after = ScheduleID(text: String(parts[3])), (1000...86_400_000).contains(step),
            (1...StatisticsSteps.most).contains(steps)
        else { return nil }
        (self.from, self.step, self.steps, self.after) = (Instant(milliseconds: from), step, steps, after)
    }
}

/// How a stretch of time is divided in replies.
enum StatisticsSteps {
    /// Steps that one reply tells of: a day of minutes, and the rest of one.
    static let most = 1500

    /// The shortest step that divides so many seconds, one cut at either end, into no more than ``most``.
    static func least(of window: Int64) -> Int64 {
        let whole = Int64(most) - 1
        return max(1, (window + whole - 1) / whole)
    }

    /// A minute, or as many as it takes.
    static func usual(of window: Int64) -> Int64 { (least(of: window) + 59) / 60 * 60 }
}

extension FireForecast.Question {
    /// Steps that are whole since 1970, from the one that holds `now` on.
    init(namespace: Namespace?, at now: Instant, seconds: Int64, stepSeconds: Int64) {
        let step = stepSeconds * 1000
        let begun = now.milliseconds % step
        self.init(
            namespace: namespace, from: now.adding(milliseconds: -begun), step: step,
            steps: Int((begun + seconds * 1000 + step - 1) / step))
    }
}

extension BodyReader {
    /// `step_seconds`; nil where it is absent, or with the problem reported.
    /// - Parameter window: what is divided, in seconds.
    mutating func stepSeconds(of window: Int64) -> Int64? {
        let least = StatisticsSteps.least(of: window)
        guard let step = integer("step_seconds", in: 1...86_400) else { return nil }
        if step < least {
            report("step_seconds", "expected at least \(least) for \(window) s, got \(step): too many steps otherwise")
        }
        return step
    }

    fileprivate mutating func forecastCursor() -> ForecastCursor? {
        guard let text = string("cursor", most: 128) else { return nil }
        let cursor = ForecastCursor(text: text)
        if cursor == nil { report("cursor", "is none that a forecast returned", as: .badCursor) }
        return cursor
    }
}

extension JSONWriter {
    fileprivate mutating func forecast(_ found: FireForecast, _ asked: FireForecast.Question) {
        object("forecast") { writer in
            writer.member("from", asked.from.rfc3339)
            writer.member("to", asked.through.rfc3339)
            writer.member("step_seconds", asked.step / 1000)
            writer.member("complete", found.next == nil && found.cut == 0)
            writer.member("schedules", found.looked)
            writer.member("expanded", found.expanded)
            writer.member("unforeseen", found.unforeseen)
            writer.member("cut", found.cut)
            writer.member("fires", found.counts.reduce(0, +))
            writer.array("steps") { writer in
                for (index, count) in found.counts.enumerated() where count > 0 {
                    writer.object { writer in
                        let start = asked.from.adding(milliseconds: asked.step * Int64(index))
                        writer.member("at", start.rfc3339)
                        writer.member("fires", count)
                    }
                }
            }
        }
    }
}
