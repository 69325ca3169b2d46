/// The tags of one string, found before the Mustache parser sees it: what it would take for granted (names that nobody
/// knows, partials, other delimiters) is refused here, with its place.
struct TagScan {
    struct Fault: Error, Hashable {
        /// The place in the string, in characters (Unicode scalars) from 1.
        let position: Int
        let message: String
    }

    enum Kind {
        /// `{{name}}`, `{{{name}}}`, `{{&name}}`: all the same here.
        case variable
        /// `{{#name}}`, `{{^name}}`
        case sectionStart
        case sectionEnd
        case comment
    }

    struct Tag {
        let kind: Kind
        let name: String
        /// With its braces.
        let range: Range<String.Index>
    }

    let text: String
    private(set) var tags: [Tag] = []

    /// Whether there is anything to render in a string.
    static func hasTags(_ text: String) -> Bool {
        var previous: UInt8 = 0
        for byte in text.utf8 {
            if byte == UInt8(ascii: "{"), previous == byte { return true }
            previous = byte
        }
        return false
    }

    init(_ text: String) throws(Fault) {
        self.text = text
        var position = text.startIndex
        while let start = Self.find("{{", in: text, from: position) {
            let tag = try read(from: start)
            tags.append(tag)
            position = tag.range.upperBound
        }
    }

    private func read(from start: String.Index) throws(Fault) -> Tag {
        let bytes = text.utf8
        let inner = bytes.index(start, offsetBy: 2)
        guard inner < bytes.endIndex else { throw fault(start, "expected a name and '}}' after '{{'") }
        let (kind, sigil, close) = try kind(of: bytes[inner], at: start)
        let nameStart = sigil ? bytes.index(after: inner) : inner
        guard let end = Self.find(close, in: text, from: nameStart) else {
            throw fault(start, "expected '\(close)' that ends this tag")
        }
        let content = text[nameStart..<end]
        let range = start..<bytes.index(end, offsetBy: close.utf8.count)
        if kind == .comment { return Tag(kind: kind, name: "", range: range) }
        let name = Self.trimmed(content)
        guard !name.isEmpty, name.utf8.allSatisfy(Self.isNameByte) else {
            throw fault(start, "expected the name of a variable, got '\(name.prefix(64))'")
        }
        return Tag(kind: kind, name: name, range: range)
    }

    /// What a tag is by its first byte, whether that is a sign before the name, and what ends it.
    private func kind(of first: UInt8, at start: String.Index) throws(Fault) -> (Kind, sigil: Bool, close: String) {
        switch first {
        case UInt8(ascii: "{"): return (.variable, true, "}}}")
        case UInt8(ascii: "&"): return (.variable, true, "}}")
        case UInt8(ascii: "#"), UInt8(ascii: "^"): return (.sectionStart, true, "}}")
        case UInt8(ascii: "/"): return (.sectionEnd, true, "}}")
        case UInt8(ascii: "!"): return (.comment, true, "}}")
        case UInt8(ascii: ">"), UInt8(ascii: "<"), UInt8(ascii: "$"):
            throw fault(start, "partials and blocks are not known here")
        case UInt8(ascii: "="): throw fault(start, "other delimiters than '{{' and '}}' are not known here")
        case UInt8(ascii: "%"): throw fault(start, "pragmas are not known here")
        default: return (.variable, false, "}}")
        }
    }

    func fault(_ index: String.Index, _ message: String) -> Fault {
        Fault(position: text.unicodeScalars.distance(from: text.startIndex, to: index) + 1, message: message)
    }

    private static func trimmed(_ text: Substring) -> String {
        var text = text.unicodeScalars
        while let first = text.first, first.properties.isWhitespace { text.removeFirst() }
        while let last = text.last, last.properties.isWhitespace { text.removeLast() }
        return String(Substring(text))
    }

    /// What Mustache's parser takes into a name, but for brackets, which would transform the value.
    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    private static func find(_ braces: String, in text: String, from start: String.Index) -> String.Index? {
        let bytes = text.utf8
        let length = braces.utf8.count
        let brace = braces.utf8.first ?? 0
        var run = 0
        var index = start
        while index < bytes.endIndex {
            run = bytes[index] == brace ? run + 1 : 0
            if run == length { return bytes.index(index, offsetBy: 1 - length) }
            index = bytes.index(after: index)
        }
        return nil
    }
}
