import JSONText

/// Which fields an entry of the audit log changed.
package enum AuditChanges {
    /// Values of more bytes than this are told by their length.
    package static let longest = 1024

    /// Members that every change moves: the entry says them itself.
    private static let bookkeeping: Set<String> = ["version", "updated_at", "updated_by", "next_fires"]

    /// The members of two objects that differ, in the order of the later one. Bytes that cannot be read change nothing.
    package static func between(_ before: [UInt8]?, _ after: [UInt8]?) -> [ChangedField] {
        let before = before.flatMap { try? JSONValue.parse($0) }
        let after = after.flatMap { try? JSONValue.parse($0) }
        guard let before, let after else { return [] }
        var changes: [ChangedField] = []
        for member in after.members where !bookkeeping.contains(member.name) {
            let (old, new) = (before[member.name].map { Array($0.bytes) }, Array(member.value.bytes))
            if old != new { changes.append(ChangedField(member.name, from: old, to: new)) }
        }
        for member in before.members where !bookkeeping.contains(member.name) && after[member.name] == nil {
            changes.append(ChangedField(member.name, from: Array(member.value.bytes), to: nil))
        }
        return changes
    }

    /// The same of what may have been made or taken away: then each of its members differs.
    package static func all(_ before: [UInt8]?, _ after: [UInt8]?) -> [ChangedField] {
        let nothing = Array("{}".utf8)
        return between(before ?? nothing, after ?? nothing)
    }
}
