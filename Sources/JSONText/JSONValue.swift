/// One value of a parsed JSON text, which remembers the bytes it was written as.
///
/// A value is a small view of a shared, immutable document: copying it is cheap, and it keeps the whole text alive.
/// Texts are read strictly as RFC 8259 says, and beyond that names must not repeat in an object. Numbers stay text
/// until asked for, so that nothing is rounded unseen.
package struct JSONValue: Sendable {
    package enum Kind: UInt8, Sendable {
        case null
        case bool
        case number
        case string
        case array
        case object
    }

    let document: JSONDocument
    let index: Int

    /// Reads one JSON text.
    ///
    /// Takes time and memory linear in the text's length, whatever it holds.
    package static func parse(_ bytes: [UInt8], limits: JSONLimits = JSONLimits()) throws(JSONError) -> JSONValue {
        let nodes = try bytes.withUnsafeBufferPointer { source throws(JSONError) in
            var parser = JSONParser(source: source, limits: limits)
            try parser.parseText()
            return parser.nodes
        }
        return JSONValue(document: JSONDocument(bytes: bytes, nodes: nodes), index: 0)
    }

    /// Reads one JSON text from memory that need not outlive the call.
    package static func parse(
        _ bytes: UnsafeRawBufferPointer,
        limits: JSONLimits = JSONLimits()
    ) throws(JSONError) -> JSONValue {
        // Judged before the copy: a caller may hand over more than it is willing to hold twice.
        guard bytes.count <= limits.maxBytes else { throw JSONParser.tooLarge(bytes.count, limits) }
        return try parse([UInt8](bytes), limits: limits)
    }

    package static func parse(_ text: String, limits: JSONLimits = JSONLimits()) throws(JSONError) -> JSONValue {
        try parse([UInt8](text.utf8), limits: limits)
    }

    private var node: JSONNode { document.nodes[index] }

    package var kind: Kind { node.kind }

    /// Where the value stands in the text that was parsed, without the whitespace around it.
    package var range: Range<Int> { node.range }

    /// The value exactly as it was written.
    package var bytes: ArraySlice<UInt8> { document.bytes[node.range] }
}

// MARK: - Scalars

extension JSONValue {
    package var isNull: Bool { kind == .null }

    package var bool: Bool? {
        guard kind == .bool else { return nil }
        return document.bytes[Int(node.start)] == UInt8(ascii: "t")
    }

    /// The text of a string with its escapes resolved.
    package var string: String? {
        guard kind == .string else { return nil }
        return document.text(of: node)
    }

    /// A number as it was written.
    package var numberText: String? {
        guard kind == .number else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The number, if it is a whole one that fits: `5`, `5.0` and `0.5e1` are 5; `5.5` and `1e19` are `nil`.
    package var int64: Int64? {
        guard kind == .number else { return nil }
        return DecimalText(bytes).int64
    }

    /// The nearest double; `nil` when the number is beyond the largest one.
    package var double: Double? {
        guard let text = numberText, let value = Double(text), value.isFinite else { return nil }
        return value
    }
}

// MARK: - Containers

extension JSONValue {
    /// The number of elements of an array or of members of an object; 0 for a scalar.
    package var count: Int { node.count }

    /// An array's elements in order; empty for anything else.
    package var elements: Elements { Elements(document: document, container: index) }

    /// An object's members in the order in which they were written; empty for anything else.
    package var members: Members { Members(document: document, container: index) }

    /// The member of that name, compared byte by byte: no Unicode equivalence. Takes time linear in the members.
    package subscript(name: String) -> JSONValue? {
        members.first(where: { $0.hasName(name) })?.value
    }

    /// The value that a pointer names below this one.
    package subscript(pointer: JSONPointer) -> JSONValue? {
        var value = self
        for token in pointer.tokens {
            switch value.kind {
            case .object:
                guard let member = value[token] else { return nil }
                value = member
            case .array:
                // Through text and back: "01" and "+1" are no array index.
                guard let position = UInt32(token), String(position) == token, position < value.count else {
                    return nil
                }
                var elements = value.elements
                for _ in 0..<position { _ = elements.next() }
                guard let element = elements.next() else { return nil }
                value = element
            default:
                return nil
            }
        }
        return value
    }

    package struct Elements: Sequence, IteratorProtocol, Sendable {
        private let document: JSONDocument
        private var position: Int
        private var left: Int

        init(document: JSONDocument, container: Int) {
            let node = document.nodes[container]
            self.document = document
            position = container + 1
            left = node.kind == .array ? node.count : 0
        }

        package var underestimatedCount: Int { left }

        package mutating func next() -> JSONValue? {
            guard left > 0 else { return nil }
            left -= 1
            defer { position = Int(document.nodes[position].next) }
            return JSONValue(document: document, index: position)
        }
    }

    package struct Member: Sendable {
        let document: JSONDocument
        let index: Int

        /// The name with its escapes resolved.
        package var name: String { document.text(of: document.nodes[index]) }
        package var value: JSONValue { JSONValue(document: document, index: index + 1) }

        /// Whether the name is this one, byte by byte, without making a string of it.
        package func hasName(_ name: String) -> Bool {
            let node = document.nodes[index]
            if node.hasEscapes { return document.text(of: node).utf8.elementsEqual(name.utf8) }
            return node.content.count == name.utf8.count && document.bytes[node.content].elementsEqual(name.utf8)
        }
    }

    package struct Members: Sequence, IteratorProtocol, Sendable {
        private let document: JSONDocument
        private var position: Int
        private var left: Int

        init(document: JSONDocument, container: Int) {
            let node = document.nodes[container]
            self.document = document
            position = container + 1
            left = node.kind == .object ? node.count : 0
        }

        package var underestimatedCount: Int { left }

        package mutating func next() -> Member? {
            guard left > 0 else { return nil }
            left -= 1
            defer { position = Int(document.nodes[position + 1].next) }
            return Member(document: document, index: position)
        }
    }
}
