import JSONText
import SchedulerCore
import SchedulerStore
import SchedulerWire

/// What a dry run tells of a change that is no single schedule's: the fields that it sets, and what follows from it for
/// schedules.
struct Outlook: Sendable {
    /// Values of more bytes than this are told by their length.
    private static let longest = 16_384

    private let changes: [ChangedField]
    /// What follows: looked for once the transaction is rolled back.
    private let consequences: (@Sendable () async throws -> ReplyMembers)?

    /// - Parameter entry: what the audit log would say; nil where nothing would change.
    init(_ entry: AuditEntry?, _ consequences: (@Sendable () async throws -> ReplyMembers)? = nil) {
        changes = entry.map { AuditChanges.all($0.before, $0.after) } ?? []
        self.consequences = consequences
    }

    func members() async throws -> ReplyMembers {
        let consequences = try await consequences?()
        return { [changes] writer in
            writer.changes(changes, longest: Self.longest)
            consequences?(&writer)
        }
    }
}

extension JSONWriter {
    /// Whom a list of consequences is about.
    mutating func called(_ schedule: Schedule) {
        member("id", schedule.id.description)
        member("namespace", schedule.namespace.description)
        member("name", schedule.definition.name.description)
    }
}
