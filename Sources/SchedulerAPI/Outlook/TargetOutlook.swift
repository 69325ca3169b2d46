import JSONText
import PostgresClient
import SchedulerCore
import SchedulerEngine
import SchedulerStore

/// Which schedules another allow-list would leave without a target: those that the sweep after the change would set
/// aside, by the same judgement.
///
/// It looks at ``mostSeen`` active schedules, and at no more than ``mostBytes`` of payloads; what is beyond is told as not
/// looked at.
struct TargetOutlook: Sendable {
    private static let mostSeen = 1000
    private static let mostBytes = 16 << 20
    /// How many are read at once.
    private static let page = 50
    private static let mostNamed = 20

    private struct Loss: Sendable {
        let schedule: Schedule
        let reason: String
    }

    /// Nobody loses a target.
    static let none = TargetOutlook()

    private var count = 0
    private var isComplete = true
    private var named: [Loss] = []

    /// - Parameters:
    ///   - scope: of the entry that goes, or is replaced.
    ///   - rules: the allow-list as it would be, on the instance that answers.
    init(_ scope: TargetScope, under rules: TargetRules, in session: Session) async throws {
        self = try await session.list { connection in
            var outlook = TargetOutlook()
            try await outlook.look(scope, under: session.compiler.apart(under: rules), in: session, connection)
            return outlook
        }
    }

    private init() {}

    private mutating func look(
        _ scope: TargetScope, under compiler: ScheduleCompiler, in session: Session, _ connection: PostgresConnection
    ) async throws {
        let found = try await RevocationTable.page(of: scope, after: nil, limit: Self.mostSeen, on: connection)
        isComplete = found.next == nil
        var bytes = 0
        for start in stride(from: 0, to: found.schedules.count, by: Self.page) {
            guard bytes <= Self.mostBytes else {
                isComplete = false
                return
            }
            let ids = Array(found.schedules[start..<min(start + Self.page, found.schedules.count)])
            for schedule in try await ScheduleTable.fetch(ids, on: connection).schedules {
                bytes += schedule.definition.payload.count
                // What is refused already is no consequence of the change.
                guard session.compiler.compile(schedule).publishingFault == nil,
                    let fault = compiler.compile(schedule).publishingFault
                else { continue }
                count += 1
                if named.count < Self.mostNamed { named.append(Loss(schedule: schedule, reason: fault.description)) }
            }
        }
    }

    var members: ReplyMembers {
        { [self] writer in
            writer.object("invalidated") { writer in
                writer.member("count", count)
                writer.member("complete", isComplete)
                writer.array("schedules") { writer in
                    for loss in named {
                        writer.object { writer in
                            writer.called(loss.schedule)
                            writer.member("reason", loss.reason)
                        }
                    }
                }
            }
        }
    }
}

extension TargetBoard.Snapshot {
    /// The allow-list with another entry in the place of one, or without it.
    func rules(replacing scope: TargetScope, by entry: TargetEntry?) -> TargetRules {
        file.joined(with: entries.filter { $0.scope != scope } + [entry].compactMap(\.self))
    }
}
