package import PostgresClient

/// How far the stream of submitted commands is applied.
package enum CommandCursorTable {
    /// One stream, as it was made, under one holder of the role that applies it.
    package struct Holding: Sendable {
        package let stream: String
        /// The stream's creation time, as JetStream tells it.
        package let created: String
        package let role: String
        package let epoch: Int64

        package init(stream: String, created: String, role: String, epoch: Int64) {
            self.stream = stream
            self.created = created
            self.role = role
            self.epoch = epoch
        }
    }

    /// SQLSTATE of ``advance(_:to:)`` for a holder that is one no more.
    package static let deposedState = "CR007"
    /// SQLSTATE of ``advance(_:to:)`` for a message that is applied.
    package static let appliedState = "CR008"

    static let openStatement = Statement(
        "command_cursors_open",
        """
        INSERT INTO scheduler.command_cursors AS c (stream, stream_created, sequence)
        SELECT $1, $2, 0 FROM (SELECT 1 FROM scheduler.locks WHERE name = $3 AND epoch = $4 FOR SHARE) l
        ON CONFLICT (stream) DO UPDATE SET
            sequence = CASE WHEN c.stream_created = $2 THEN c.sequence ELSE 0 END,
            tried_sequence = CASE WHEN c.stream_created = $2 THEN c.tried_sequence END,
            tries = CASE WHEN c.stream_created = $2 THEN c.tries ELSE 0 END,
            stream_created = $2
        RETURNING sequence
        """, types: [.text, .text, .text, .int64])

    /// Where the holder goes on; 0 in a stream that is new or was made anew.
    /// - Returns: nil if the role has another holder by now.
    package static func open(_ holding: Holding, on runner: some StatementRunner) async throws -> Int64? {
        try await runner.query(
            openStatement,
            [.text(holding.stream), .text(holding.created), .text(holding.role), .int64(holding.epoch)]
        ).first?.int64(0)
    }

    static let advanceStatement = Statement(
        "command_cursors_advance", "SELECT scheduler.advance_commands($1, $2, $3, $4, $5)",
        types: [.text, .text, .int64, .text, .int64])

    /// Moves the cursor over a message in the transaction that applies it; fails that transaction where the holder is
    /// one no more (CR007), or the message is applied (CR008).
    package static func advance(_ holding: Holding, to sequence: Int64) -> Call {
        advanceStatement(
            .text(holding.stream), .text(holding.created), .int64(sequence), .text(holding.role),
            .int64(holding.epoch))
    }

    static let holdStatement = Statement(
        "command_cursors_hold", "SELECT scheduler.hold_commands($1, $2, $3, $4, $5)",
        types: [.text, .text, .int64, .text, .int64])

    /// The same check without the step: for a part of what a message asks for.
    package static func hold(_ holding: Holding, before sequence: Int64) -> Call {
        holdStatement(
            .text(holding.stream), .text(holding.created), .int64(sequence), .text(holding.role),
            .int64(holding.epoch))
    }

    static let tryStatement = Statement(
        "command_cursors_try",
        """
        UPDATE scheduler.command_cursors SET
            tries = CASE WHEN tried_sequence = $3 THEN tries + 1 ELSE 1 END, tried_sequence = $3
        WHERE stream = $1 AND stream_created = $2 RETURNING tries
        """, types: [.text, .text, .int64])

    /// Notes that a process begins at a message. - Returns: how many did, this one included.
    package static func begin(
        at sequence: Int64, _ holding: Holding, on runner: some StatementRunner
    ) async throws -> Int32 {
        let rows = try await runner.query(
            tryStatement, [.text(holding.stream), .text(holding.created), .int64(sequence)])
        return try rows.first?.int32(0) ?? 1
    }

    static let findStatement = Statement(
        "command_cursors_find", "SELECT sequence FROM scheduler.command_cursors WHERE stream = $1", types: [.text],
        isReadOnly: true)

    /// The last message that is applied; nil before the first holder.
    package static func find(_ stream: String, on runner: some StatementRunner) async throws -> Int64? {
        try await runner.query(findStatement, [.text(stream)]).first?.int64(0)
    }
}
