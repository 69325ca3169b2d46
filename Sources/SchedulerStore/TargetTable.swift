package import PostgresClient
import Recurrence
package import SchedulerCore

/// The targets that commands allow, and the epoch that grows with each change of them.
package enum TargetTable {
    static let columns =
        "namespace, subject, delivery, max_payload_bytes, payload_schema, created_at, created_by, max_in_flight"

    static let epochStatement = Statement(
        "rules_epoch",
        "SELECT targets, limits, EXISTS (SELECT 1 FROM scheduler.revocations) FROM scheduler.rules_epoch",
        isReadOnly: true)

    /// How far the lists have come, and whether something was revoked a moment ago.
    package struct Epoch: Hashable, Sendable {
        package let targets: Int64
        package let limits: Int64
        package let hasRevocations: Bool
    }

    package static func epoch(on runner: some StatementRunner) async throws -> Epoch? {
        try await runner.query(epochStatement, []).first.map {
            Epoch(targets: try $0.int64(0), limits: try $0.int64(1), hasRevocations: try $0.bool(2))
        }
    }

    static let listStatement = Statement(
        "targets_list",
        """
        SELECT e.targets, \(columns) FROM scheduler.rules_epoch e LEFT JOIN scheduler.targets t ON true
        ORDER BY t.namespace, t.subject
        """, isReadOnly: true)

    /// The whole list and its epoch, in one look. An entry that cannot be read allows nothing, and harms no other.
    package static func list(
        on runner: some StatementRunner
    ) async throws -> (epoch: Int64, entries: [TargetEntry])? {
        let rows = try await runner.query(listStatement, [])
        guard let epoch = try rows.first?.int64(0) else { return nil }
        return (epoch, try rows.compactMap { $0.isNull(1) ? nil : try entry(of: $0, from: 1) })
    }

    static let lockStatement = Statement("rules_epoch_lock", "SELECT targets FROM scheduler.rules_epoch FOR UPDATE")
    static let findStatement = Statement(
        "targets_find", "SELECT \(columns) FROM scheduler.targets WHERE namespace = $1 AND subject = $2",
        types: [.text, .text])

    /// Takes the turn of a change, which lasts until the transaction ends, and finds the entry as it is.
    package static func find(
        _ namespace: Namespace?, _ subject: SubjectPattern, in transaction: PostgresTransaction
    ) async throws -> TargetEntry? {
        _ = try await transaction.query(lockStatement, [])
        return try await transaction.query(findStatement, [.text(text(namespace)), .text(subject.description)])
            .first.flatMap { try entry(of: $0, from: 0) }
    }

    static let countStatement = Statement("targets_count", "SELECT count(*) FROM scheduler.targets", isReadOnly: true)

    package static func count(on runner: some StatementRunner) async throws -> Int64 {
        try await runner.query(countStatement, []).first?.int64(0) ?? 0
    }

    static let putStatement = Statement(
        "targets_put",
        """
        INSERT INTO scheduler.targets (\(columns)) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (namespace, subject) DO UPDATE SET delivery = excluded.delivery,
            max_payload_bytes = excluded.max_payload_bytes, payload_schema = excluded.payload_schema,
            created_at = excluded.created_at, created_by = excluded.created_by, max_in_flight = excluded.max_in_flight
        """, types: [.text, .text, .textArray, .int64, .json, .timestamptz, .text, .int32])
    static let removeStatement = Statement(
        "targets_remove", "DELETE FROM scheduler.targets WHERE namespace = $1 AND subject = $2", types: [.text, .text])
    static let growStatement = Statement(
        "rules_epoch_targets", "UPDATE scheduler.rules_epoch SET targets = targets + 1")
    static let revokeStatement = Statement(
        "revocations_insert",
        "INSERT INTO scheduler.revocations (at, namespace, subject) VALUES (clock_timestamp(), $1, $2)",
        types: [.text, .text])

    /// Writes an entry in the place of `before`; every claim that begins after the commit knows it.
    package static func put(_ entry: TargetEntry, before: TargetEntry?) -> [Call] {
        let put = putStatement(
            .text(text(entry.namespace)), .text(entry.subject.description), PostgresValue.texts(entry.delivery),
            .int64(entry.maxPayloadBytes.map(Int64.init)), .optional(entry.payloadSchema) { .json($0) },
            .instant(entry.createdAt), .text(entry.createdBy), .int32(entry.maxInFlight.map { Int32(clamping: $0) }))
        // It may allow less than it did.
        return [put, growStatement()] + (before.map { [revocation(of: $0)] } ?? [])
    }

    /// Removes an entry; no claim that begins after the commit knows it.
    package static func remove(_ entry: TargetEntry) -> [Call] {
        [
            removeStatement(.text(text(entry.namespace)), .text(entry.subject.description)), growStatement(),
            revocation(of: entry),
        ]
    }

    private static func revocation(of entry: TargetEntry) -> Call {
        revokeStatement(.text(text(entry.namespace)), .text(entry.subject.description))
    }

    /// How a namespace stands in the table.
    package static func text(_ namespace: Namespace?) -> String { namespace?.description ?? "*" }

    static func entry(of row: PostgresRow, from first: Int) throws(PostgresError) -> TargetEntry? {
        guard let scope = scope(try row.text(first), try row.text(first + 1)) else { return nil }
        return TargetEntry(
            namespace: scope.namespace, subject: scope.subject, delivery: try row.textArray(first + 2),
            maxPayloadBytes: try row.int64OrNil(first + 3).map { Int(clamping: $0) },
            payloadSchema: try row.jsonOrNil(first + 4),
            maxInFlight: row.isNull(first + 7) ? nil : Int(try row.int32(first + 7)),
            createdAt: try row.instant(first + 5),
            createdBy: try row.textOrNil(first + 6))
    }

    /// Whom a row is about; nil where it names nobody that there can be.
    static func scope(_ namespace: String, _ subject: String) -> TargetScope? {
        guard let subject = try? SubjectPattern(subject) else { return nil }
        if namespace == "*" { return TargetScope(namespace: nil, subject: subject) }
        guard let namespace = try? Namespace(namespace) else { return nil }
        return TargetScope(namespace: namespace, subject: subject)
    }
}

/// Whom a change of the allow-list concerns.
package struct TargetScope: Hashable, Sendable {
    /// Nil stands for every namespace.
    package let namespace: Namespace?
    package let subject: SubjectPattern

    package init(namespace: Namespace?, subject: SubjectPattern) {
        self.namespace = namespace
        self.subject = subject
    }

    package func concerns(namespace: String, target: String) -> Bool {
        (self.namespace.map { $0.description == namespace } ?? true) && subject.matches(target)
    }
}
