/// One parsed text: its bytes, and its values as a flat list of nodes in the order in which they begin.
///
/// A node knows its bytes and the node that follows its subtree, so a child is found by hopping over its elder
/// siblings, and a parse allocates two arrays whatever the text holds. `JSONValue` is a view of one node.
final class JSONDocument: Sendable {
    let bytes: [UInt8]
    let nodes: [JSONNode]

    init(bytes: [UInt8], nodes: [JSONNode]) {
        self.bytes = bytes
        self.nodes = nodes
    }
}

/// One value, or the name of a member, which stands right before its value. 16 bytes.
struct JSONNode: Sendable {
    /// Offsets of the value's first byte and of the one after its last; a string's quotes are part of it.
    var start: UInt32
    var end: UInt32
    /// The index of the node after this one's subtree.
    var next: UInt32
    /// From the low bit: 3 bits of kind, 1 bit `hasEscapes`, 28 bits of count.
    private var packed: UInt32

    init(_ kind: JSONValue.Kind, start: Int, end: Int, next: Int, hasEscapes: Bool = false) {
        self.start = UInt32(truncatingIfNeeded: start)
        self.end = UInt32(truncatingIfNeeded: end)
        self.next = UInt32(truncatingIfNeeded: next)
        packed = UInt32(kind.rawValue) | (hasEscapes ? 8 : 0)
    }

    var kind: JSONValue.Kind {
        JSONValue.Kind(rawValue: UInt8(packed & 7)) ?? .null
    }

    /// For a string: whether its bytes hold a backslash, so that its text is not its bytes.
    var hasEscapes: Bool { packed & 8 != 0 }

    /// For a container: how many elements or members.
    var count: Int {
        get { Int(packed >> 4) }
        set { packed = packed & 15 | UInt32(truncatingIfNeeded: newValue) << 4 }
    }

    var range: Range<Int> { Int(start)..<Int(end) }
    /// A string's bytes between its quotes.
    var content: Range<Int> { Int(start) + 1..<Int(end) - 1 }
}
