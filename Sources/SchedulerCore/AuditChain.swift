import Crypto

/// An entry of the audit log as its seal covers it: every column as text, in one fixed order.
package struct AuditContent: Hashable, Sendable {
    /// Names the canonical form; another form gets another name.
    static let form = "carillon.audit.1"

    /// Its place in the chain: 1, 2, …
    package let sequence: Int64
    /// When it was sealed, in microseconds since 1970.
    package let sealedAt: Int64
    /// The columns of the log: `id`, `at` in microseconds since 1970, `schedule_id`, `fence`, `version`, `namespace`,
    /// `name`, `action`, `actor`, `reason`, `request_id`, and the SHA-256 of `before` and of `after` in hexadecimal.
    package let columns: [String?]

    package init(sequence: Int64, sealedAt: Int64, columns: [String?]) {
        self.sequence = sequence
        self.sealedAt = sealedAt
        self.columns = columns
    }

    /// The canonical form: each field as its length in bytes, a colon, its UTF-8 and a comma; `~` where there is none.
    /// No two contents share a text, whatever stands in the fields.
    package var canonicalText: String {
        var text = ""
        for field in [Self.form, String(sequence), String(sealedAt)] + columns {
            if let field { text += "\(field.utf8.count):\(field)," } else { text += "~" }
        }
        return text
    }

    /// The entry's hash: SHA-256 over the hash before it and the canonical form.
    package func hash(after previous: [UInt8]) -> [UInt8] {
        var hasher = SHA256()
        hasher.update(data: previous)
        hasher.update(data: Array(canonicalText.utf8))
        return Array(hasher.finalize())
    }
}

/// Where a chain stands: a place and the hash there.
package struct AuditLink: Hashable, Sendable {
    package let sequence: Int64
    package let hash: [UInt8]

    package init(sequence: Int64, hash: [UInt8]) {
        self.sequence = sequence
        self.hash = hash
    }
}

/// Follows the chain entry by entry. Pure: rows come in as they stand in the database.
package struct AuditChainCheck: Sendable {
    /// The first place at which the log is not what was sealed.
    package struct Break: Hashable, Sendable {
        package enum Problem: String, Sendable {
            /// No entry has this place: one was deleted.
            case missing
            /// The content or the hash is another: one was changed, or put in another's place.
            case altered
            /// It stands where no entry can be: beyond the end, or before the beginning.
            case outside
            /// The chain ends before its head, or in another hash.
            case truncated
            /// The hash is not the one that the requester has kept.
            case unknown
        }

        package let sequence: Int64
        /// The entry's id, where there is one.
        package let entry: String?
        package let problem: Problem

        package init(sequence: Int64, entry: String?, problem: Problem) {
            self.sequence = sequence
            self.entry = entry
            self.problem = problem
        }
    }

    /// Sealed so long after its own time an entry is counted as late: it may have been written later than it says.
    static let lateMicroseconds: Int64 = 3_600_000_000

    /// The last place that was found right.
    package private(set) var link: AuditLink
    package private(set) var checked = 0
    package private(set) var late = 0
    private let head: Int64

    /// - Parameters:
    ///   - start: what is trusted: the anchor, or the link at which the last look ended.
    ///   - head: the chain's last place.
    package init(from start: AuditLink, head: Int64) {
        link = start
        self.head = head
    }

    /// Looks at the next row by its place. - Returns: what is wrong, and then nothing further can be said.
    package mutating func check(_ content: AuditContent, storedHash: [UInt8]) -> Break? {
        let entry = content.columns.first ?? nil
        if content.sequence > head { return Break(sequence: content.sequence, entry: entry, problem: .outside) }
        guard content.sequence == link.sequence + 1 else {
            return Break(sequence: link.sequence + 1, entry: nil, problem: .missing)
        }
        guard content.hash(after: link.hash) == storedHash else {
            return Break(sequence: content.sequence, entry: entry, problem: .altered)
        }
        link = AuditLink(sequence: content.sequence, hash: storedHash)
        checked += 1
        if content.columns.count > 1, let at = content.columns[1].flatMap({ Int64($0) }),
            content.sealedAt - at > Self.lateMicroseconds
        {
            late += 1
        }
        return nil
    }

    /// Whether the chain ends where its head says. Only once all rows were looked at.
    package func end(at head: AuditLink) -> Break? {
        guard link != head else { return nil }
        let place = min(link.sequence + 1, head.sequence)
        return Break(sequence: place, entry: nil, problem: .truncated)
    }
}
