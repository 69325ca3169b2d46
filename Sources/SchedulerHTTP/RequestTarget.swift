package import SchedulerWire

/// Where a request goes: a path and a query, taken apart and with their percent-encoding undone.
package struct RequestTarget: Hashable, Sendable {
    package struct Item: Hashable, Sendable {
        package let name: String
        package let value: String
    }

    /// The path's parts between its slashes.
    package let segments: [String]
    /// In the order in which they came; a name may come more than once.
    package let query: [Item]

    /// Longer ones are not looked at.
    static let mostBytes = 8192

    /// - Parameter text: what stands in the request's first line: a path that begins with `/`, and perhaps `?` and a query.
    /// - Throws: `requestTooLarge`; `badSubject` where it is no such path, or is encoded wrongly.
    package init(_ text: String) throws(WireError) {
        guard text.utf8.count <= Self.mostBytes else {
            throw WireError(
                .requestTooLarge, "expected a path and query of at most \(Self.mostBytes) bytes, got \(text.utf8.count)"
            )
        }
        let parts = text.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        guard let path = parts.first, path.hasPrefix("/") else {
            throw WireError(.badSubject, "expected a path that begins with '/'")
        }
        var segments: [String] = []
        for segment in path.dropFirst().split(separator: "/", omittingEmptySubsequences: false) {
            segments.append(try Self.decoded(segment, isQuery: false))
        }
        var query: [Item] = []
        if parts.count == 2 {
            for pair in parts[1].split(separator: "&") {
                let sides = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                query.append(
                    Item(
                        name: try Self.decoded(sides[0], isQuery: true),
                        value: sides.count == 2 ? try Self.decoded(sides[1], isQuery: true) : ""))
            }
        }
        self.segments = segments
        self.query = query
    }

    /// The first value of a name.
    package subscript(name: String) -> String? { query.first { $0.name == name }?.value }

    private static func decoded(_ text: Substring, isQuery: Bool) throws(WireError) -> String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count)
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "%"):
                guard let high = rest.popFirst().flatMap(digit), let low = rest.popFirst().flatMap(digit) else {
                    throw WireError(.badSubject, "expected two hexadecimal digits after each '%' of the path and query")
                }
                bytes.append(high << 4 | low)
            case UInt8(ascii: "+") where isQuery: bytes.append(UInt8(ascii: " "))
            default: bytes.append(byte)
            }
        }
        guard let decoded = String(validating: bytes, as: UTF8.self) else {
            throw WireError(.badSubject, "expected UTF-8 in the path and query")
        }
        return decoded
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        Character(UnicodeScalar(byte)).hexDigitValue.map { UInt8($0) }
    }
}
