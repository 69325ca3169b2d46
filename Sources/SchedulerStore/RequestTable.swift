package import PostgresClient
package import Recurrence
package import SchedulerCore

/// Replies that were given: the same `request_id` with the same body gets the same one, for 24 h.
package enum RequestTable {
    package struct Remembered: Sendable {
        package let bodyHash: [UInt8]
        package let reply: [UInt8]
    }

    static let findStatement = Statement(
        "requests_find",
        "SELECT body_sha256, reply FROM scheduler.requests WHERE namespace = $1 AND request_id = $2",
        types: [.text, .text], isReadOnly: true)

    package static func find(
        _ requestID: String, in namespace: Namespace, on runner: some StatementRunner
    ) async throws -> Remembered? {
        let rows = try await runner.query(findStatement, [.text(namespace.description), .text(requestID)])
        return try rows.first.map { Remembered(bodyHash: try $0.bytes(0), reply: try $0.bytes(1)) }
    }

    /// The key makes parallel twins wait for each other: the second meets 23505, and reads the first one's reply.
    static let insertStatement = Statement(
        "requests_insert",
        "INSERT INTO scheduler.requests (at, namespace, request_id, body_sha256, reply) VALUES ($1, $2, $3, $4, $5)",
        types: [.timestamptz, .text, .text, .bytea, .bytea])

    package static func insert(
        _ requestID: String, in namespace: Namespace, bodyHash: [UInt8], reply: [UInt8], at now: Instant
    ) -> Call {
        insertStatement(
            .instant(now), .text(namespace.description), .text(requestID), .bytes(bodyHash), .bytes(reply))
    }

    static let amendStatement = Statement(
        "requests_amend", "UPDATE scheduler.requests SET reply = $3 WHERE namespace = $1 AND request_id = $2",
        types: [.text, .text, .bytea])

    /// Puts the final reply in the place of the one that was remembered before a recall was over.
    package static func amend(_ requestID: String, in namespace: Namespace, reply: [UInt8]) -> Call {
        amendStatement(.text(namespace.description), .text(requestID), .bytes(reply))
    }

    /// The constraint that a twin breaks.
    package static let keyConstraint = "requests_pkey"

    /// Index `requests_at`, oldest first.
    static let forgetStatement = Statement(
        "requests_forget",
        """
        DELETE FROM scheduler.requests WHERE (namespace, request_id) IN (
            SELECT namespace, request_id FROM scheduler.requests WHERE at < $1 ORDER BY at LIMIT $2)
        """, types: [.timestamptz, .int64])

    /// Drops one page of replies given before `instant`. - Returns: how many.
    package static func forget(
        before instant: Instant, page: Int = RetentionPage.size, on runner: some StatementRunner
    ) async throws -> Int {
        try await runner.query(forgetStatement, [.instant(instant), .int64(Int64(page))]).affected
    }
}
