import JSONText

/// A value that is equal to another one as JSON Schema means it: numbers by their value, strings by their code points,
/// objects whatever the order of their members.
struct EqualValue: Hashable {
    let value: JSONValue

    static func == (left: EqualValue, right: EqualValue) -> Bool { isEqual(left.value, right.value) }

    func hash(into hasher: inout Hasher) { Self.hash(value, into: &hasher) }

    /// Depth is bounded by what the parser read.
    static func isEqual(_ left: JSONValue, _ right: JSONValue) -> Bool {
        guard left.kind == right.kind else { return false }
        switch left.kind {
        case .null: return true
        case .bool: return left.bool == right.bool
        case .number:
            return left.bytes.elementsEqual(right.bytes) || ExactDecimal(left.bytes) == ExactDecimal(right.bytes)
        case .string:
            // Not ==: that holds canonically equivalent texts for equal.
            return left.bytes.elementsEqual(right.bytes)
                || (left.string ?? "").utf8.elementsEqual((right.string ?? "").utf8)
        case .array:
            return left.count == right.count && zip(left.elements, right.elements).allSatisfy(isEqual)
        case .object:
            guard left.count == right.count else { return false }
            var members: [MemberName: JSONValue] = [:]
            for member in right.members { members[MemberName(member.name)] = member.value }
            return left.members.allSatisfy { member in
                members[MemberName(member.name)].map { isEqual(member.value, $0) } ?? false
            }
        }
    }

    private static func hash(_ value: JSONValue, into hasher: inout Hasher) {
        hasher.combine(value.kind)
        switch value.kind {
        case .null: break
        case .bool: hasher.combine(value.bool)
        case .number: hasher.combine(ExactDecimal(value.bytes))
        case .string: hasher.combine(MemberName(value.string ?? ""))
        case .array: for element in value.elements { hash(element, into: &hasher) }
        case .object:
            // Summed, as the order of members says nothing.
            var sum = 0
            for member in value.members {
                var own = Hasher()
                own.combine(MemberName(member.name))
                hash(member.value, into: &own)
                sum &+= own.finalize()
            }
            hasher.combine(sum)
        }
    }
}

/// A member's name, compared byte by byte: `String` holds canonically equivalent texts for equal, JSON does not.
struct MemberName: Hashable, Sendable {
    let text: String

    init(_ text: String) { self.text = text }

    static func == (left: MemberName, right: MemberName) -> Bool { left.text.utf8.elementsEqual(right.text.utf8) }

    func hash(into hasher: inout Hasher) {
        for byte in text.utf8 { hasher.combine(byte) }
        hasher.combine(UInt8(0xFF))
    }
}
