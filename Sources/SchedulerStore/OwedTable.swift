package import PostgresClient
package import Recurrence

/// A message that a transition owes, as it goes out: whoever publishes it publishes these bytes.
package struct OwedMessage: Hashable, Sendable {
    /// The stream that must take it.
    package let stream: String
    package let subject: String
    /// Its `Nats-Msg-Id`: the same in every publication.
    package let messageID: String
    package let contentType: String
    package let body: [UInt8]

    package init(stream: String, subject: String, messageID: String, contentType: String, body: [UInt8]) {
        self.stream = stream
        self.subject = subject
        self.messageID = messageID
        self.contentType = contentType
        self.body = body
    }
}

/// What must be published after a transition of an execution: its events, and dead letters. A row is written with the
/// transition and goes when the stream has acknowledged the message; so nothing is lost with a process.
package enum OwedTable {
    /// Numbered in the order in which they were given, as they are to be told.
    static let insertStatement = Statement(
        "owed_insert",
        """
        INSERT INTO scheduler.owed_messages (at, stream, subject, message_id, content_type, body)
        SELECT $1, u.stream, u.subject, u.message_id, u.content_type, u.body
        FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[]) WITH ORDINALITY
            AS u (stream, subject, message_id, content_type, body, n)
        ORDER BY u.n RETURNING id
        """, types: [.timestamptz])

    package static func insert(_ messages: [OwedMessage], at now: Instant) -> Call {
        insertStatement(
            .instant(now), .texts(messages, \.stream), .texts(messages, \.subject), .texts(messages, \.messageID),
            .texts(messages, \.contentType),
            .array(
                messages.reduce(into: PostgresArray(of: .bytes, capacity: messages.count)) {
                    $0.append(bytes: $1.body)
                }))
    }

    /// The ids that ``insert(_:at:)`` gave, in the order of the messages.
    package static func insertedIDs(_ rows: PostgresRows) throws -> [Int64] { try rows.map { try $0.int64(0) } }

    static let owedStatement = Statement(
        "owed_messages",
        """
        SELECT id, stream, subject, message_id, content_type, body FROM scheduler.owed_messages
        WHERE at <= $1 AND NOT (id = ANY ($3::bigint[])) ORDER BY id LIMIT $2
        """, types: [.timestamptz, .int64, .int64Array], isReadOnly: true)

    /// Messages that no acknowledgement has come for, oldest first. Two instances may publish the same one: the stream
    /// drops the copy by its id.
    /// - Parameter except: what this instance is publishing now.
    package static func owed(
        before instant: Instant, limit: Int, except telling: [Int64], on runner: some StatementRunner
    ) async throws -> [(id: Int64, message: OwedMessage)] {
        let rows = try await runner.query(
            owedStatement, [.instant(instant), .int64(Int64(limit)), PostgresValue.int64s(telling)])
        return try rows.map { row in
            (
                try row.int64(0),
                OwedMessage(
                    stream: try row.text(1), subject: try row.text(2), messageID: try row.text(3),
                    contentType: try row.text(4), body: try row.bytes(5))
            )
        }
    }

    static let settleStatement = Statement(
        "owed_settle", "DELETE FROM scheduler.owed_messages WHERE id = ANY ($1::bigint[])", types: [.int64Array])

    /// These are acknowledged.
    package static func settle(_ ids: [Int64]) -> Call { settleStatement(PostgresValue.int64s(ids)) }
}
