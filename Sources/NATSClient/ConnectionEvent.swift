/// What happened to a connection, in the order libnats told it.
///
/// libnats tells late, from one thread for all connections: good for logs, metrics and giving up what was outstanding,
/// never a proof that the connection is well.
package enum ConnectionEvent: Sendable, Equatable {
    /// The first link, or a new one after libnats gave the old one up.
    case connected(epoch: ConnectionEpoch)
    case disconnected
    /// The same link, again up. `epoch` is greater than any before.
    case reconnected(epoch: ConnectionEpoch)
    /// libnats gave the link up for good; a new one is being made.
    case linkLost(String)
    /// `close()` came to its end. The last event.
    case closed
    /// The server will stop soon; libnats moves to another one if it knows any.
    case lameDuck
    /// Messages of a subscription were dropped because its reader was too slow; `dropped` counts since the link began.
    case slowConsumer(subject: String, dropped: UInt64)
    case permissionViolation(PermissionViolation)
    case error(String)
}

/// Counts the times messages in flight may have been lost: a link made anew, or reconnected.
///
/// Whatever was published under an older epoch and not confirmed is lost or unknown.
package struct ConnectionEpoch: Sendable, Hashable, Comparable, CustomStringConvertible {
    let rawValue: UInt64

    init(generation: UInt32, reconnects: UInt64) {
        rawValue = UInt64(generation) << 32 | (reconnects & 0xFFFF_FFFF)
    }

    init(rawValue: UInt64) { self.rawValue = rawValue }

    package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }

    package var description: String { "\(rawValue >> 32).\(rawValue & 0xFFFF_FFFF)" }
}

/// The server's `-ERR 'Permissions Violation for Publish to "subject"'`, taken apart.
package struct PermissionViolation: Sendable, Equatable {
    package enum Operation: Sendable, Equatable {
        case publish
        case subscribe
    }

    package var operation: Operation
    package var subject: String

    /// nil when the text is none, or was cut short: libnats keeps 255 bytes of it.
    package init?(serverText text: String) {
        let bytes = text.utf8
        guard text.lowercasedASCII().hasPrefix("permissions violation for "),
            let open = bytes.firstIndex(of: UInt8(ascii: "\"")),
            let close = bytes[bytes.index(after: open)...].firstIndex(of: UInt8(ascii: "\""))
        else { return nil }
        operation = text.lowercasedASCII().hasPrefix("permissions violation for publish") ? .publish : .subscribe
        subject = String(text[bytes.index(after: open)..<close])
    }
}

extension String {
    func lowercasedASCII() -> String {
        String(validating: utf8.map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 })
    }
}

/// Counters since the connection was made; they never go back.
package struct ConnectionCounters: Sendable, Equatable {
    /// Times the same link came up again.
    package var reconnects: UInt64 = 0
    /// Times a new link had to be made.
    package var rebuilds: UInt64 = 0
    package var disconnects: UInt64 = 0
    /// Episodes in which a subscription dropped messages.
    package var slowConsumers: UInt64 = 0
    package var permissionViolations: UInt64 = 0
    /// Times the wall clock was set back by over 5 ms.
    package var clockStepsBack: UInt64 = 0
}

/// What libnats shows of the server's INFO.
package struct ServerInfo: Sendable, Equatable {
    package var id: String
    package var url: String
    package var maximumPayload: Int64
    package var supportsHeaders: Bool
}
