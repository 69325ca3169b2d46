import JSONText
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerStore

/// Which limits a namespace is beyond already. What is beyond stays as it is: a limit is held against what is made and
/// edited.
///
/// It looks at the first ``ConcernedTable/mostMeasured`` schedules; the number of all is kept, and needs no look.
struct LimitOutlook: Sendable {
    private static let mostNamed = 20

    private struct Excess: Sendable {
        let limit: StaticString
        var count: Int64 = 0
        var isComplete: Bool
        var named: [Schedule] = []

        mutating func add(_ schedule: Schedule) {
            count += 1
            if named.count < LimitOutlook.mostNamed { named.append(schedule) }
        }
    }

    private let excesses: [Excess]

    /// - Parameters:
    ///   - after: the namespace as it would be.
    ///   - most: schedules that it may have, where its own limits say nothing.
    init(_ after: LimitTable.View, mostSchedules most: Int64, in session: Session) async throws {
        let limits = after.limits
        var schedules = Excess(limit: "max_schedules", isComplete: true)
        schedules.count = max(0, after.schedules - (limits.maxSchedules ?? most))
        guard limits.minIntervalMilliseconds != nil || limits.maxPayloadBytes != nil else {
            excesses = [schedules].filter { $0.count > 0 }
            return
        }
        let found = try await session.list { try await ConcernedTable.measured(in: after.namespace, on: $0) }
        var intervals = Excess(limit: "min_interval_seconds", isComplete: found.isComplete)
        var payloads = Excess(limit: "max_payload_bytes", isComplete: found.isComplete)
        for measured in found.schedules {
            if let most = limits.maxPayloadBytes, measured.payloadBytes > most { payloads.add(measured.schedule) }
            guard let least = limits.minIntervalMilliseconds,
                let source = try? measured.schedule.occurrences(zones: session.compiler.zones),
                let period = source.recurrence.shortestPeriodMilliseconds, period < least
            else { continue }
            intervals.add(measured.schedule)
        }
        excesses = [schedules, intervals, payloads].filter { $0.count > 0 }
    }

    var members: ReplyMembers {
        { [excesses] writer in
            writer.array("exceeded") { writer in
                for excess in excesses {
                    writer.object { writer in
                        writer.member("pointer", "/\(excess.limit)")
                        writer.member("count", excess.count)
                        writer.member("complete", excess.isComplete)
                        writer.array("schedules") { writer in
                            for schedule in excess.named { writer.object { $0.called(schedule) } }
                        }
                    }
                }
            }
        }
    }
}
