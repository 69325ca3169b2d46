/// Reads one text into nodes.
///
/// The approach: one pass, no recursion. `parseValue` appends a scalar's node, or opens a container by pushing a
/// frame; the loop in `parseText` goes on with the innermost open container until none is left. A container's names
/// are compared when it closes (`DuplicateNames`).
struct JSONParser {
    private struct Frame {
        let node: Int
        let isObject: Bool
        var count = 0
        /// Where the parser is inside the container, for the pointer of an error: the index in an array, the name's
        /// node in an object, -1 between members.
        var current = -1
    }

    private let source: UnsafeBufferPointer<UInt8>
    private let limits: JSONLimits
    private var offset = 0
    /// The open containers but the innermost, outermost first.
    private var outer: [Frame] = []
    private var innermost: Frame?
    private var duplicates = DuplicateNames()
    private(set) var nodes: [JSONNode] = []

    init(source: UnsafeBufferPointer<UInt8>, limits: JSONLimits) {
        self.source = source
        self.limits = limits
        // A value in four bytes is dense; memory that a sparser text leaves untouched costs nothing.
        nodes.reserveCapacity(min(source.count, limits.maxBytes) / 4 + 1)
    }

    static func tooLarge(_ count: Int, _ limits: JSONLimits) -> JSONError {
        let message = "expected at most \(limits.maxBytes) bytes of JSON, got \(count)"
        return JSONError(code: .tooLarge, message: message, offset: limits.maxBytes, pointer: "")
    }

    mutating func parseText() throws(JSONError) {
        guard source.count <= limits.maxBytes else { throw Self.tooLarge(source.count, limits) }
        if source.starts(with: [0xEF, 0xBB, 0xBF]) {
            throw failure(.byteOrderMark, "expected JSON without a byte order mark, got one")
        }
        skipWhitespace()
        try parseValue()
        while let frame = innermost { try continueContainer(frame) }
        skipWhitespace()
        if offset < source.count {
            throw failure(.trailingBytes, "expected nothing after the value, got \(found)")
        }
    }

    /// Reads the next element or member of the innermost container, or its end.
    private mutating func continueContainer(_ frame: Frame) throws(JSONError) {
        innermost?.current = -1
        skipWhitespace()
        if peek == (frame.isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) { return try closeContainer(frame) }
        if frame.count > 0 {
            guard peek == UInt8(ascii: ",") else {
                throw unexpected(frame.isObject ? "\",\" or \"}\"" : "\",\" or \"]\"")
            }
            offset += 1
            skipWhitespace()
        }
        let current = frame.isObject ? try parseName() : frame.count
        innermost?.current = current
        innermost?.count += 1
        try parseValue()
    }

    private mutating func parseName() throws(JSONError) -> Int {
        guard peek == UInt8(ascii: "\"") else { throw unexpected("a name in quotes") }
        let name = nodes.count
        try parseString()
        skipWhitespace()
        guard peek == UInt8(ascii: ":") else { throw unexpected("\":\" after the name") }
        offset += 1
        skipWhitespace()
        return name
    }

    private mutating func parseValue() throws(JSONError) {
        guard let first = peek else { throw unexpected("a value") }
        switch first {
        case UInt8(ascii: "{"): try openContainer(.object)
        case UInt8(ascii: "["): try openContainer(.array)
        case UInt8(ascii: "\""): try parseString()
        case UInt8(ascii: "t"): try parseLiteral("true", .bool)
        case UInt8(ascii: "f"): try parseLiteral("false", .bool)
        case UInt8(ascii: "n"): try parseLiteral("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): try parseNumber()
        default: throw unexpected("a value")
        }
    }

    private mutating func openContainer(_ kind: JSONValue.Kind) throws(JSONError) {
        guard depth < limits.maxDepth else {
            throw failure(.tooDeep, "expected at most \(limits.maxDepth) levels of nesting, got more")
        }
        if let innermost { outer.append(innermost) }
        innermost = Frame(node: nodes.count, isObject: kind == .object)
        nodes.append(JSONNode(kind, start: offset, end: 0, next: 0))
        offset += 1
    }

    private var depth: Int { outer.count + (innermost == nil ? 0 : 1) }

    private mutating func closeContainer(_ frame: Frame) throws(JSONError) {
        offset += 1
        nodes[frame.node].end = UInt32(truncatingIfNeeded: offset)
        nodes[frame.node].next = UInt32(truncatingIfNeeded: nodes.count)
        nodes[frame.node].count = frame.count
        if frame.isObject, let name = duplicates.first(in: frame.node, of: nodes, source) {
            innermost?.current = name
            offset = Int(nodes[name].start)
            throw failure(.duplicateName, "expected each name once in an object, got one again")
        }
        innermost = outer.popLast()
    }

    private mutating func parseLiteral(_ literal: StaticString, _ kind: JSONValue.Kind) throws(JSONError) {
        let expected = UnsafeBufferPointer(start: literal.utf8Start, count: literal.utf8CodeUnitCount)
        guard source[offset...].starts(with: expected) else { throw unexpected("a value") }
        append(kind, length: expected.count)
    }

    private mutating func append(_ kind: JSONValue.Kind, length: Int, hasEscapes: Bool = false) {
        let end = offset + length
        nodes.append(JSONNode(kind, start: offset, end: end, next: nodes.count + 1, hasEscapes: hasEscapes))
        offset = end
    }
}

// MARK: - Numbers and strings

extension JSONParser {
    private mutating func parseNumber() throws(JSONError) {
        let start = offset
        if peek == UInt8(ascii: "-") { offset += 1 }
        if peek == UInt8(ascii: "0") {
            offset += 1
            if isDigit(peek) { throw failure(.invalidNumber, "expected a number without leading zeros") }
        } else {
            try skipDigits()
        }
        if peek == UInt8(ascii: ".") {
            offset += 1
            try skipDigits()
        }
        if peek == UInt8(ascii: "e") || peek == UInt8(ascii: "E") {
            offset += 1
            if peek == UInt8(ascii: "+") || peek == UInt8(ascii: "-") { offset += 1 }
            try skipDigits()
        }
        let length = offset - start
        offset = start
        append(.number, length: length)
    }

    private mutating func skipDigits() throws(JSONError) {
        guard isDigit(peek) else { throw failure(.invalidNumber, "expected a digit of a number, got \(found)") }
        while offset < source.count, isDigit(source[offset]) { offset += 1 }
    }

    private func isDigit(_ byte: UInt8?) -> Bool {
        guard let byte else { return false }
        return byte &- UInt8(ascii: "0") < 10
    }

    /// Reads from the opening quote to behind the closing one.
    private mutating func parseString() throws(JSONError) {
        let start = offset
        var hasEscapes = false
        offset += 1
        while offset < source.count {
            switch source[offset] {
            case UInt8(ascii: "\""):
                let length = offset + 1 - start
                offset = start
                return append(.string, length: length, hasEscapes: hasEscapes)
            case UInt8(ascii: "\\"):
                hasEscapes = true
                try skipEscape()
            case 0..<0x20:
                throw failure(.controlCharacter, "expected control characters of a string escaped, got \(found)")
            case 0x80...:
                guard let length = StringContent.multibyteLength(source, at: offset) else {
                    throw failure(.invalidUTF8, "expected UTF-8, got \(found)")
                }
                offset += length
            default:
                offset += 1
            }
        }
        throw unexpected("the end of a string")
    }

    private mutating func skipEscape() throws(JSONError) {
        guard offset + 1 < source.count else {
            offset += 1
            throw unexpected("the rest of an escape")
        }
        guard source[offset + 1] == UInt8(ascii: "u") else {
            guard StringContent.shortEscape(source[offset + 1]) != nil else {
                throw failure(.invalidEscape, #"expected one of \" \\ \/ \b \f \n \r \t \u, got another escape"#)
            }
            offset += 2
            return
        }
        let unit = try escapedUnit(at: offset)
        switch unit {
        case 0xD800..<0xDC00:
            let hasNext = offset + 7 < source.count && source[offset + 6] == UInt8(ascii: "\\")
            guard hasNext, source[offset + 7] == UInt8(ascii: "u"),
                0xDC00..<0xE000 ~= (try escapedUnit(at: offset + 6))
            else { throw failure(.loneSurrogate, "expected a low surrogate after a high one") }
            offset += 12
        case 0xDC00..<0xE000:
            throw failure(.loneSurrogate, "expected a high surrogate before a low one")
        default:
            offset += 6
        }
    }

    private func escapedUnit(at position: Int) throws(JSONError) -> UInt16 {
        guard let unit = StringContent.hex4(source, at: position + 2) else {
            throw failure(.invalidEscape, #"expected four hexadecimal digits after \u"#)
        }
        return unit
    }

    private var peek: UInt8? { offset < source.count ? source[offset] : nil }

    private mutating func skipWhitespace() {
        while offset < source.count {
            switch source[offset] {
            case 0x20, 0x0A, 0x0D, 0x09: offset += 1
            default: return
            }
        }
    }
}

// MARK: - Errors

extension JSONParser {
    private func unexpected(_ expected: String) -> JSONError {
        failure(peek == nil ? .unexpectedEnd : .unexpectedByte, "expected \(expected), got \(found)")
    }

    private func failure(_ code: JSONError.Code, _ message: String) -> JSONError {
        JSONError(code: code, message: message, offset: offset, pointer: pointer.description)
    }

    /// The byte at the offset, for a sentence.
    private var found: String {
        guard let byte = peek else { return "the end" }
        guard 0x21..<0x7F ~= byte else {
            let digits = String(byte, radix: 16, uppercase: true)
            return "byte 0x" + (digits.count < 2 ? "0" : "") + digits
        }
        return "\"" + String(decoding: CollectionOfOne(byte), as: UTF8.self) + "\""
    }

    /// The path to the value that is being read, as far as it is short.
    private var pointer: JSONPointer {
        var pointer = JSONPointer.root
        for frame in outer + [innermost].compactMap(\.self) where frame.current >= 0 {
            guard pointer.description.utf8.count < 1024 else { break }
            guard frame.isObject else {
                pointer = pointer.appending(frame.current)
                continue
            }
            let name = nodes[frame.current].content
            if name.count > 256 { break }
            let content = StringContent.resolve(UnsafeBufferPointer(rebasing: source[name]))
            pointer = pointer.appending(String(decoding: content, as: UTF8.self))
        }
        return pointer
    }
}
