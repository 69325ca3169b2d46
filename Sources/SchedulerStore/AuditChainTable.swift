package import PostgresClient
package import Recurrence
package import SchedulerCore

/// The audit log's hash chain: sealed by one at a time, checked by whoever asks.
package enum AuditChainTable {
    /// The chain's ends.
    package struct Ends: Hashable, Sendable {
        package let head: AuditLink
        /// The last entry that the retention dropped.
        package let anchor: AuditLink
    }

    /// The columns that a seal covers, as text, in the order of ``AuditContent/columns``. What was and what is are
    /// hashed where they lie: they may be long.
    static let covered = """
        id::text, (extract(epoch FROM at) * 1000000)::bigint::text, schedule_id::text, fence::text, version::text,
            namespace, name, action, actor, reason, request_id, encode(sha256(convert_to(before::text, 'UTF8')), 'hex'),
            encode(sha256(convert_to(after::text, 'UTF8')), 'hex')
        """
    private static let coveredCount = 13

    private static func columns(of row: PostgresRow, from first: Int = 0) throws(PostgresError) -> [String?] {
        var columns: [String?] = []
        for column in first..<(first + coveredCount) { columns.append(try row.textOrNil(column)) }
        return columns
    }

    // MARK: Sealing

    /// How many entries one transaction seals at most.
    package static let page = 1000

    static let pendingStatement = Statement(
        "audit_unsealed_any", "SELECT EXISTS (SELECT 1 FROM scheduler.audit_log WHERE sealed_seq IS NULL)",
        isReadOnly: true)
    /// Nobody waits for another sealer: it does the work.
    static let lockStatement = Statement(
        "audit_chain_lock",
        "SELECT head_seq, head_hash FROM scheduler.lock_audit_chain()")
    /// Index `audit_log_unsealed`. An entry with a lower id that commits later is found by the next look.
    static let unsealedStatement = Statement(
        "audit_unsealed",
        "SELECT \(covered) FROM scheduler.audit_log a WHERE sealed_seq IS NULL ORDER BY a.id LIMIT $1",
        types: [.int64])
    /// Entries that somebody else sealed, and a head that moved, fail it.
    static let sealStatement = Statement(
        "audit_seal", "SELECT scheduler.seal_audit($1, $2, $3, $4)",
        types: [.timestamptz, .int64, .int64Array, .byteaArray])

    /// Seals one page of what is committed and unsealed, by its ids.
    ///
    /// Two may try at once, a stopped process may wake: the row of the chain is locked from the look at the head to the
    /// commit, so there is one next link. What a lost commit left unsealed is sealed by the next look.
    /// - Returns: how many were sealed, and the head; nil where nothing is to do, or another one is at it.
    package static func seal(
        at now: Instant, page: Int = page, on connection: PostgresConnection
    ) async throws -> (count: Int, head: AuditLink)? {
        guard try await connection.query(pendingStatement).first?.bool(0) == true else { return nil }
        return try await connection.transaction { transaction in
            guard let row = try await transaction.query(lockStatement).first else { return nil }
            var head = AuditLink(sequence: try row.int64(0), hash: try row.bytes(1))
            let rows = try await transaction.query(unsealedStatement, [.int64(Int64(page))])
            guard rows.count > 0 else { return nil }
            let first = head.sequence + 1
            var ids: [Int64] = []
            var hashes: [[UInt8]] = []
            for row in rows {
                let columns = try columns(of: row)
                let content = AuditContent(
                    sequence: head.sequence + 1, sealedAt: now.milliseconds * 1000, columns: columns)
                head = AuditLink(sequence: content.sequence, hash: content.hash(after: head.hash))
                guard let id = columns[0].flatMap({ Int64($0) }) else {
                    throw PostgresError(.decoding, "expected an entry's id, got '\(columns[0] ?? "NULL")'")
                }
                ids.append(id)
                hashes.append(head.hash)
            }
            try await transaction.commit(with: [
                sealStatement(
                    .instant(now), .int64(first), PostgresValue.int64s(ids), PostgresValue.byteses(hashes))
            ])
            return (ids.count, head)
        }
    }

    // MARK: Looking

    static let endsStatement = Statement(
        "audit_chain_ends", "SELECT head_seq, head_hash, anchor_seq, anchor_hash FROM scheduler.audit_chain",
        isReadOnly: true)

    package static func ends(on runner: some StatementRunner) async throws -> Ends {
        guard let row = try await runner.query(endsStatement, []).first else {
            throw PostgresError(.decoding, "expected the one row of scheduler.audit_chain, it is gone")
        }
        return Ends(
            head: AuditLink(sequence: try row.int64(0), hash: try row.bytes(1)),
            anchor: AuditLink(sequence: try row.int64(2), hash: try row.bytes(3)))
    }

    static let unsealedCountStatement = Statement(
        "audit_unsealed_count", "SELECT count(*) FROM scheduler.audit_log WHERE sealed_seq IS NULL", isReadOnly: true)

    /// Entries that the sealer has not come to: those of the last second, as a rule.
    package static func unsealed(on runner: some StatementRunner) async throws -> Int64 {
        try await runner.query(unsealedCountStatement, []).first?.int64(0) ?? 0
    }

    static let hashStatement = Statement(
        "audit_hash", "SELECT hash FROM scheduler.audit_log WHERE sealed_seq = $1", types: [.int64], isReadOnly: true)

    /// The hash at a place of the chain; nil where no entry stands there.
    package static func hash(at sequence: Int64, on runner: some StatementRunner) async throws -> [UInt8]? {
        try await runner.query(hashStatement, [.int64(sequence)]).first?.bytes(0)
    }

    /// Index `audit_log_sealed_seq`, in its order.
    static let sealedStatement = Statement(
        "audit_sealed",
        """
        SELECT sealed_seq, (extract(epoch FROM sealed_at) * 1000000)::bigint, hash, \(covered)
        FROM scheduler.audit_log WHERE sealed_seq > $1 AND sealed_seq <= $2 ORDER BY sealed_seq LIMIT $3
        """, types: [.int64, .int64, .int64], isReadOnly: true)

    /// Sealed entries in the chain's order, `after` one place and through another.
    package static func sealed(
        after: Int64, through: Int64, limit: Int, on runner: some StatementRunner
    ) async throws -> [(content: AuditContent, hash: [UInt8])] {
        var entries: [(AuditContent, [UInt8])] = []
        for row in try await runner.query(sealedStatement, [.int64(after), .int64(through), .int64(Int64(limit))]) {
            let content = AuditContent(
                sequence: try row.int64(0), sealedAt: try row.int64(1), columns: try columns(of: row, from: 3))
            entries.append((content, try row.bytes(2)))
        }
        return entries
    }

    /// Two looks at the index: with one condition all of it would be read.
    static let outsideStatement = Statement(
        "audit_outside",
        """
        (SELECT sealed_seq, id::text FROM scheduler.audit_log WHERE sealed_seq <= $1 ORDER BY sealed_seq LIMIT 1)
        UNION ALL
        (SELECT sealed_seq, id::text FROM scheduler.audit_log WHERE sealed_seq > $2 ORDER BY sealed_seq LIMIT 1)
        """, types: [.int64, .int64], isReadOnly: true)

    /// An entry that stands before the chain's beginning or beyond its end.
    package static func outside(
        _ ends: Ends, on runner: some StatementRunner
    ) async throws -> AuditChainCheck.Break? {
        let bounds = [PostgresValue.int64(ends.anchor.sequence), .int64(ends.head.sequence)]
        return try await runner.query(outsideStatement, bounds).first.map {
            AuditChainCheck.Break(sequence: try $0.int64(0), entry: try $0.text(1), problem: .outside)
        }
    }

    // MARK: Retention

    /// Along the chain, from its beginning: what is old goes, up to the first that stays, and the last hash that goes
    /// is kept as the anchor. An entry whose event is owed stays, and so does what comes after it.
    static let forgetStatement = Statement(
        "audit_forget", "SELECT scheduler.forget_audit($1, $2)", types: [.timestamptz, .int64])

    /// Drops one page of entries older than the retention. - Returns: how many.
    package static func forget(
        before instant: Instant, page: Int = RetentionPage.size, on runner: some StatementRunner
    ) async throws -> Int {
        let rows = try await runner.query(forgetStatement, [.instant(instant), .int64(Int64(page))])
        return Int(try rows.first?.int64(0) ?? 0)
    }
}
