package import PostgresClient
package import SchedulerCore

/// One look along the chain, as far as its bound lets it.
package struct AuditVerification: Sendable {
    package struct Question: Hashable, Sendable {
        /// Where an earlier look ended.
        package var start: AuditLink?
        /// Places in the chain, both inclusive; nil: its ends.
        package var from: Int64?
        package var to: Int64?
        /// Entries that are looked at, at most.
        package var limit = 10_000
        /// A head that somebody kept outside.
        package var known: AuditLink?

        package init() {}
    }

    package let ends: AuditChainTable.Ends
    package let unsealed: Int64
    package private(set) var checked = 0
    package private(set) var late = 0
    /// The last link that was found right.
    package private(set) var link: AuditLink
    package private(set) var fault: AuditChainCheck.Break?
    /// All that was asked for was looked at.
    package private(set) var isComplete = false
    /// What is known outside was found; nil where it was not asked for, or lies before the anchor.
    package private(set) var isKnown: Bool?

    /// Rows that one statement reads: each stays far below the time-out of lists.
    private static let page = 2000

    private init(_ ends: AuditChainTable.Ends, unsealed: Int64) {
        self.ends = ends
        self.unsealed = unsealed
        link = ends.anchor
    }

    /// Looks at one state of the database throughout.
    package static func run(
        _ question: Question, on connection: PostgresConnection
    ) async throws -> AuditVerification {
        try await connection.transaction(.readOnly) { transaction in
            let ends = try await AuditChainTable.ends(on: transaction)
            var verification = AuditVerification(ends, unsealed: try await AuditChainTable.unsealed(on: transaction))
            try await verification.look(question, transaction)
            return verification
        }
    }

    private mutating func look(_ question: Question, _ transaction: PostgresTransaction) async throws {
        if question.start == nil {
            fault = try await AuditChainTable.outside(ends, on: transaction)
            if fault == nil, let known = question.known { fault = try await compare(known, transaction) }
            if fault == nil { try await begin(at: question.from, transaction) }
        } else if let start = question.start, start.sequence > ends.anchor.sequence {
            link = start
        }
        guard fault == nil else { return }
        let through = min(question.to ?? .max, ends.head.sequence)
        var check = AuditChainCheck(from: link, head: ends.head.sequence)
        while fault == nil, check.checked < question.limit, check.link.sequence < through {
            let entries = try await AuditChainTable.sealed(
                after: check.link.sequence, through: through, limit: min(Self.page, question.limit - check.checked),
                on: transaction)
            if entries.isEmpty { fault = missing(check.link.sequence + 1) }
            for (content, hash) in entries where fault == nil { fault = check.check(content, storedHash: hash) }
        }
        (link, checked, late) = (check.link, check.checked, check.late)
        guard fault == nil, link.sequence >= through else { return }
        isComplete = true
        if link.sequence >= ends.head.sequence || question.to == nil { fault = check.end(at: ends.head) }
    }

    private func missing(_ sequence: Int64) -> AuditChainCheck.Break {
        AuditChainCheck.Break(sequence: sequence, entry: nil, problem: .missing)
    }

    /// The link before the first place that was asked for: that one is taken as it stands.
    private mutating func begin(at from: Int64?, _ transaction: PostgresTransaction) async throws {
        guard let from, from > ends.anchor.sequence + 1 else { return }
        guard from <= ends.head.sequence else {
            link = ends.head
            return
        }
        if let hash = try await AuditChainTable.hash(at: from - 1, on: transaction) {
            link = AuditLink(sequence: from - 1, hash: hash)
        } else {
            fault = missing(from - 1)
        }
    }

    private mutating func compare(
        _ known: AuditLink, _ transaction: PostgresTransaction
    ) async throws -> AuditChainCheck.Break? {
        guard known.sequence <= ends.head.sequence else {
            return AuditChainCheck.Break(sequence: ends.head.sequence + 1, entry: nil, problem: .truncated)
        }
        guard known.sequence >= ends.anchor.sequence else { return nil }
        let stored =
            known.sequence == ends.anchor.sequence
            ? ends.anchor.hash : try await AuditChainTable.hash(at: known.sequence, on: transaction)
        isKnown = stored == known.hash
        guard let stored else { return missing(known.sequence) }
        return stored == known.hash
            ? nil : AuditChainCheck.Break(sequence: known.sequence, entry: nil, problem: .unknown)
    }
}
