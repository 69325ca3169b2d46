package import Tracing

/// Which span of which trace something is: W3C Trace Context, as it goes from process to process.
package struct SpanIdentity: Hashable, Sendable {
    /// 32 hexadecimal digits in lower case.
    package let traceID: String
    /// 16 of them.
    package let spanID: String
    /// Bit 0: the span is recorded.
    package let flags: UInt8
    /// `tracestate`, as it came; nil where there is none.
    package let state: String?
    /// It came from another process.
    package let isRemote: Bool

    package init(traceID: String, spanID: String, flags: UInt8, state: String? = nil, isRemote: Bool = false) {
        self.traceID = traceID
        self.spanID = spanID
        self.flags = flags
        self.state = state
        self.isRemote = isRemote
    }

    package var isSampled: Bool { flags & 1 == 1 }

    /// `00-<trace>-<span>-<flags>`.
    package var traceparent: String { "00-\(traceID)-\(spanID)-\(flags < 16 ? "0" : "")\(String(flags, radix: 16))" }

    /// Of another process's headers; nil for what is not of version 00's shape.
    package init?(traceparent: String, tracestate: String?) {
        let parts = traceparent.split(separator: "-", omittingEmptySubsequences: false).map { Array($0.utf8) }
        guard parts.count == 4, parts.map(\.count) == [2, 32, 16, 2], parts.allSatisfy({ $0.allSatisfy(Self.isDigit) }),
            parts[0] == Array("00".utf8), parts[1].contains(where: { $0 != 0x30 }),
            parts[2].contains(where: { $0 != 0x30 }),
            let flags = UInt8(String(decoding: parts[3], as: UTF8.self), radix: 16)
        else { return nil }
        self.init(
            traceID: String(decoding: parts[1], as: UTF8.self), spanID: String(decoding: parts[2], as: UTF8.self),
            flags: flags, state: tracestate, isRemote: true)
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte)
    }

    /// 16 hexadecimal digits of a number that is not 0.
    package static func spanID(_ number: UInt64) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }
}

extension InstrumentationContext {
    private enum IdentityKey: InstrumentationContextKey {
        typealias Value = SpanIdentity
        static var nameOverride: String? { "span-identity" }
    }

    private enum NextSpanKey: InstrumentationContextKey {
        typealias Value = String
        static var nameOverride: String? { "next-span-id" }
    }

    /// The span that is at work, or that asked for this.
    package var spanIdentity: SpanIdentity? {
        get { self[IdentityKey.self] }
        set { self[IdentityKey.self] = newValue }
    }

    /// The id that the next span has where it is known before: somebody was told it already. 16 hexadecimal digits.
    package var nextSpanID: String? {
        get { self[NextSpanKey.self] }
        set { self[NextSpanKey.self] = newValue }
    }
}
