/// Which trace a message belongs to, and which span of it sent the message: W3C Trace Context, level 1
/// (https://www.w3.org/TR/trace-context-1/).
///
/// It is read from strangers' messages. What is not as the standard says is no context, and never an error.
package struct TraceContext: Hashable, Sendable {
    /// 32 hexadecimal digits, not all 0.
    package let traceID: String
    /// The span that sent the message: 16 hexadecimal digits, not all 0.
    package let spanID: String
    /// Bit 0: the sender has recorded its span.
    package let flags: UInt8
    /// What systems on the way have added, as it came; nil where there is nothing, or nothing that can be read.
    package let state: String?

    private init(traceID: String, spanID: String, flags: UInt8, state: String?) {
        self.traceID = traceID
        self.spanID = spanID
        self.flags = flags
        self.state = state
    }

    /// From a message's headers.
    /// - Parameters:
    ///   - traceparents: the values of `traceparent`; more than one is none.
    ///   - tracestates: the values of `tracestate`, which are one list. A list that cannot be read is dropped, and the trace
    ///     is kept.
    package init?(traceparents: [String], tracestates: [String]) {
        guard traceparents.count == 1, let read = Self.read(traceparents[0]) else { return nil }
        self.init(
            traceID: read.trace, spanID: read.span, flags: read.flags, state: TraceState.joined(tracestates))
    }

    /// The context of a trace of our own; an execution's own is a recorded one.
    package init(trace: UUIDValue, span: UInt64, flags: UInt8 = 1) {
        self.init(
            traceID: trace.hexadecimal, spanID: UUIDValue(high: 0, low: span).hexadecimal.suffix16, flags: flags,
            state: nil)
    }

    /// Its sender records it.
    package var isSampled: Bool { flags & 1 == 1 }

    /// `00-<trace>-<span>-<flags>`.
    package var traceparent: String {
        let digits = String(flags, radix: 16)
        return "00-\(traceID)-\(spanID)-\(digits.utf8.count == 1 ? "0" : "")\(digits)"
    }

    /// The same trace, from another span.
    package func child(span: UInt64) -> TraceContext {
        let digits = UUIDValue(high: 0, low: span).hexadecimal.suffix16
        return TraceContext(traceID: traceID, spanID: digits, flags: flags, state: state)
    }

    // MARK: As it is stored

    /// `<traceparent>`, or `<traceparent> <tracestate>`.
    package var text: String { state.map { "\(traceparent) \($0)" } ?? traceparent }

    package init?(text: String) {
        let parts = text.split(separator: " ", maxSplits: 1).map(String.init)
        self.init(traceparents: Array(parts.prefix(1)), tracestates: Array(parts.dropFirst()))
    }

    // MARK: Reading

    /// A later version may say more behind what this one knows; version `ff` is none.
    private static func read(_ text: String) -> (trace: String, span: String, flags: UInt8)? {
        let bytes = Array(text.utf8)
        let dash = UInt8(ascii: "-")
        guard bytes.count >= 55, bytes[2] == dash, bytes[35] == dash, bytes[52] == dash else { return nil }
        let fields = [bytes[0..<2], bytes[3..<35], bytes[36..<52], bytes[53..<55]]
        guard fields.allSatisfy({ $0.allSatisfy(isDigit) }) else { return nil }
        let version = String(decoding: fields[0], as: UTF8.self)
        guard version != "ff", version != "00" || bytes.count == 55, bytes.count == 55 || bytes[55] == dash else {
            return nil
        }
        let zero = UInt8(ascii: "0")
        guard fields[1].contains(where: { $0 != zero }), fields[2].contains(where: { $0 != zero }),
            let flags = UInt8(String(decoding: fields[3], as: UTF8.self), radix: 16)
        else { return nil }
        return (
            String(decoding: fields[1], as: UTF8.self), String(decoding: fields[2], as: UTF8.self),
            // Of a later version's flags only the one that this version knows means anything.
            version == "00" ? flags : flags & 1
        )
    }

    /// Lower case only.
    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
    }
}

extension String {
    fileprivate var suffix16: String { String(suffix(16)) }
}

/// The grammar of `tracestate`: `key=value`, apart by commas, 32 at most.
private enum TraceState {
    private static let mostMembers = 32
    /// What the standard asks everybody to pass on.
    private static let mostBytes = 512

    /// Several headers as one list; nil where there is none, or one that cannot be read.
    static func joined(_ values: [String]) -> String? {
        let members = values.flatMap { $0.split(separator: ",") }.map(trimmed).filter { !$0.isEmpty }
        guard !members.isEmpty, members.count <= mostMembers else { return nil }
        var keys: Set<Substring> = []
        for member in members {
            guard let equals = member.firstIndex(of: "="), isKey(member[..<equals]),
                isValue(member[member.index(after: equals)...]), keys.insert(member[..<equals]).inserted
            else { return nil }
        }
        let list = members.joined(separator: ",")
        return list.utf8.count <= mostBytes ? list : nil
    }

    private static func trimmed(_ text: Substring) -> Substring {
        let isSpace: (Character) -> Bool = { $0 == " " || $0 == "\t" }
        var text = text.drop(while: isSpace)
        while let last = text.last, isSpace(last) { text.removeLast() }
        return text
    }

    /// `lcalpha` and 255 more, or `<tenant>@<system>` of 241 and 14 characters, where the tenant may begin with a digit.
    private static func isKey(_ key: Substring) -> Bool {
        let parts = key.split(separator: "@", omittingEmptySubsequences: false)
        switch parts.count {
        case 1: return isPart(parts[0], most: 256, mayBeginWithDigit: false)
        case 2:
            return isPart(parts[0], most: 241, mayBeginWithDigit: true)
                && isPart(parts[1], most: 14, mayBeginWithDigit: false)
        default: return false
        }
    }

    private static func isPart(_ part: Substring, most: Int, mayBeginWithDigit: Bool) -> Bool {
        guard (1...most).contains(part.utf8.count), let first = part.utf8.first else { return false }
        let letters = UInt8(ascii: "a")...UInt8(ascii: "z")
        let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
        guard letters.contains(first) || (mayBeginWithDigit && digits.contains(first)) else { return false }
        return part.utf8.allSatisfy { letters.contains($0) || digits.contains($0) || "_-*/".utf8.contains($0) }
    }

    /// 1 to 256 printable characters but `,` and `=`, not ending with a space.
    private static func isValue(_ value: Substring) -> Bool {
        guard (1...256).contains(value.utf8.count), value.utf8.last != UInt8(ascii: " ") else { return false }
        return value.utf8.allSatisfy {
            (0x20...0x7E).contains($0) && $0 != UInt8(ascii: ",") && $0 != UInt8(ascii: "=")
        }
    }
}

extension ExecutionID {
    /// The context of one attempt's messages: the span is the attempt's, the same on every instance; the trace is that of the
    /// command which asked for the execution, else the execution's own.
    package func trace(within context: TraceContext?, attempt: Int32) -> TraceContext {
        let span = uuid.low ^ UInt64(UInt32(bitPattern: attempt))
        return context?.child(span: span) ?? TraceContext(trace: uuid, span: span)
    }
}
