import SchedulerCore
import Testing

@Suite("The audit log's hash chain") struct AuditChainTests {
    private static let origin = AuditLink(sequence: 0, hash: [UInt8](repeating: 0, count: 32))

    /// Entries with their hashes, sealed a second after they were written.
    private func chain(_ count: Int64) -> [(content: AuditContent, hash: [UInt8])] {
        var link = Self.origin
        return (1...count).map { sequence in
            let content = AuditContent(
                sequence: sequence, sealedAt: (sequence + 1) * 1_000_000,
                columns: [String(sequence + 100), String(sequence * 1_000_000), nil, "actor \(sequence)"])
            link = AuditLink(sequence: sequence, hash: content.hash(after: link.hash))
            return (content, link.hash)
        }
    }

    private func fault(
        _ entries: [(content: AuditContent, hash: [UInt8])], head: Int64
    ) -> AuditChainCheck.Break? {
        var check = AuditChainCheck(from: Self.origin, head: head)
        for (content, hash) in entries {
            if let fault = check.check(content, storedHash: hash) { return fault }
        }
        return nil
    }

    @Test("The canonical form is what docs/audit.md says, and names every field's length")
    func isCanonical() {
        let content = AuditContent(sequence: 7, sealedAt: 12, columns: ["1", nil, "", "é,2:x"])
        #expect(content.canonicalText == "16:carillon.audit.1,1:7,2:12,1:1,~0:,6:é,2:x,")
    }

    @Test(
        "Text moved from one field to its neighbour is another content",
        arguments: [["ab", ""], ["", "ab"], [nil, "ab"]])
    func isUnambiguous(columns: [String?]) {
        let content = AuditContent(sequence: 1, sealedAt: 1, columns: columns)
        let other = AuditContent(sequence: 1, sealedAt: 1, columns: ["a", "b"])
        #expect(content.hash(after: []) != other.hash(after: []))
    }

    @Test("What was sealed passes, and the last link is its head")
    func passes() {
        let entries = chain(5)
        var check = AuditChainCheck(from: Self.origin, head: 5)
        for (content, hash) in entries { #expect(check.check(content, storedHash: hash) == nil) }
        #expect(check.checked == 5 && check.late == 0 && check.link.sequence == 5)
        #expect(check.end(at: check.link) == nil)
        #expect(check.end(at: AuditLink(sequence: 6, hash: [1]))?.problem == .truncated)
        #expect(check.end(at: AuditLink(sequence: 5, hash: [1]))?.sequence == 5)
    }

    @Test("The first entry that is not what was sealed is named")
    func findsTheFirst() {
        var entries = chain(5)
        let changed = AuditContent(sequence: 3, sealedAt: 4_000_000, columns: ["103", "3000000", nil, "somebody"])
        entries[2].content = changed
        #expect(fault(entries, head: 5) == .init(sequence: 3, entry: "103", problem: .altered))
        // With a fitting hash it is the next one that does not follow.
        entries[2].hash = changed.hash(after: entries[1].hash)
        #expect(fault(entries, head: 5) == .init(sequence: 4, entry: "104", problem: .altered))
        entries.remove(at: 1)
        #expect(fault(entries, head: 5) == .init(sequence: 2, entry: nil, problem: .missing))
        #expect(fault(chain(5), head: 4) == .init(sequence: 5, entry: "105", problem: .outside))
    }

    @Test("An entry under a time long before its seal is counted")
    func countsLate() {
        let content = AuditContent(sequence: 1, sealedAt: 7_200_000_000, columns: ["1", "0"])
        var check = AuditChainCheck(from: Self.origin, head: 1)
        #expect(check.check(content, storedHash: content.hash(after: Self.origin.hash)) == nil)
        #expect(check.late == 1)
    }
}
