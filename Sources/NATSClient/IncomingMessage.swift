import CNATS
import Glibc

/// A received message as libnats holds it: valid only inside the callback that got it, nothing is copied.
package struct IncomingMessage: ~Copyable {
    let message: OpaquePointer
    let subscription: OpaquePointer

    package var subject: UnsafeRawBufferPointer { Self.text(natsMsg_GetSubject(message)) }

    /// Empty when there is none.
    package var reply: UnsafeRawBufferPointer { Self.text(natsMsg_GetReply(message)) }

    package var payload: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: natsMsg_GetData(message), count: Int(natsMsg_GetDataLength(message)))
    }

    /// The status line's number, such as 503 for "no responders".
    package var status: Int? { header("Status").flatMap { Int($0) } }

    package var isNoResponders: Bool { natsMsg_GetDataLength(message) == 0 && natsMsg_IsNoResponders(message) }

    /// The first value of a header; the name is compared with its case.
    package func header(_ name: String) -> String? {
        var value: UnsafePointer<CChar>?
        guard natsMsgHeader_Get(message, name, &value) == NATS_OK, let value else { return nil }
        return String(cString: value)
    }

    /// All headers, copied.
    var headers: [NATSMessage.Header] { NATSMessage.headers(of: message) }

    /// Whether libnats holds no further message for this subscription: the moment to pass a batch on.
    package var isLastOfBurst: Bool { Self.isIdle(subscription) }

    static func isIdle(_ subscription: OpaquePointer) -> Bool {
        var queued: UInt64 = 0
        return natsSubscription_QueuedMsgs(subscription, &queued) != NATS_OK || queued == 0
    }

    private static func text(_ pointer: UnsafePointer<CChar>?) -> UnsafeRawBufferPointer {
        guard let pointer else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        var length = 0
        while pointer[length] != 0 { length += 1 }
        return UnsafeRawBufferPointer(start: pointer, count: length)
    }
}

/// A received message, copied out of libnats.
package struct NATSMessage: Sendable {
    package struct Header: Sendable, Equatable {
        package var name: String
        package var value: String
    }

    package var subject: String
    package var reply: String?
    package var headers: [Header]
    package var payload: [UInt8]

    init(copying incoming: borrowing IncomingMessage) {
        subject = String(validating: incoming.subject)
        reply = incoming.reply.isEmpty ? nil : String(validating: incoming.reply)
        headers = Self.headers(of: incoming.message)
        payload = Array(incoming.payload)
    }

    /// The first value of a header, its name compared without regard to case.
    package func header(_ name: String) -> String? {
        let wanted = name.lowercasedASCII()
        return headers.first { $0.name.lowercasedASCII() == wanted }?.value
    }

    /// The status line's number, such as 503 or 404.
    package var status: Int? { header("Status").flatMap { Int($0) } }

    static func headers(of message: OpaquePointer) -> [Header] {
        var keys: UnsafeMutablePointer<UnsafePointer<CChar>?>?
        var count: Int32 = 0
        guard natsMsgHeader_Keys(message, &keys, &count) == NATS_OK, let keys else { return [] }
        defer { free(keys) }
        var headers: [Header] = []
        for key in UnsafeBufferPointer(start: keys, count: Int(count)) {
            guard let key else { continue }
            var values: UnsafeMutablePointer<UnsafePointer<CChar>?>?
            var valueCount: Int32 = 0
            guard natsMsgHeader_Values(message, key, &values, &valueCount) == NATS_OK, let values else { continue }
            for value in UnsafeBufferPointer(start: values, count: Int(valueCount)) {
                guard let value else { continue }
                headers.append(Header(name: String(cString: key), value: String(cString: value)))
            }
            free(values)
        }
        return headers
    }
}
