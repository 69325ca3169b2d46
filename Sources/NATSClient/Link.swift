import CNATS
import Synchronization

/// One `natsConnection`, from connect to close. When libnats gives it up, ``NATSConnection`` makes another.
///
/// Subscriptions made on it are destroyed only after it is closed: libnats' reader uses them without holding them.
///
/// `@unchecked Sendable`: the pointer never changes, libnats' functions on it may be called from any thread, and it is
/// destroyed when the last reference goes.
final class Link: @unchecked Sendable {
    let pointer: OpaquePointer
    let generation: UInt32
    private let identity: UInt64
    private let subscriptions = Mutex<[UInt]>([])
    private let spent = Mutex(SpentMessages())

    init(_ pointer: OpaquePointer, generation: UInt32, identity: UInt64) {
        self.pointer = pointer
        self.generation = generation
        self.identity = identity
    }

    deinit {
        ConnectionRegistry.unregister(identity)
        natsConnection_Close(pointer)
        for address in subscriptions.withLock({ $0 }) {
            natsSubscription_Destroy(OpaquePointer(bitPattern: address))
        }
        natsConnection_Destroy(pointer)
    }

    func keep(_ subscription: OpaquePointer) {
        subscriptions.withLock { $0.append(UInt(bitPattern: subscription)) }
    }

    var isClosed: Bool { natsConnection_IsClosed(pointer) }

    /// The words of the last error on it; nil where there was none.
    var lastError: String? {
        var text: UnsafePointer<CChar>?
        guard natsConnection_GetLastError(pointer, &text) != NATS_OK, let text, text.pointee != 0 else { return nil }
        return String(cString: text)
    }

    /// The epoch as of now: exact, since libnats counts a reconnect before it sends anything over it.
    var epoch: ConnectionEpoch {
        var statistics: OpaquePointer?
        var reconnects: UInt64 = 0
        if natsStatistics_Create(&statistics) == NATS_OK {
            natsConnection_GetStats(pointer, statistics)
            natsStatistics_GetCounts(statistics, nil, nil, nil, nil, &reconnects)
            natsStatistics_Destroy(statistics)
        }
        return ConnectionEpoch(generation: generation, reconnects: reconnects)
    }

    var serverInfo: ServerInfo {
        var buffer = [CChar](repeating: 0, count: 512)
        var texts: [String] = []
        for read in [natsConnection_GetConnectedServerId, natsConnection_GetConnectedUrl] {
            let status = read(pointer, &buffer, buffer.count)
            let bytes = buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
            texts.append(status == NATS_OK ? String(validating: bytes) : "")
        }
        return ServerInfo(
            id: texts[0], url: NATSConfiguration.withoutUserInfo(texts[1]),
            maximumPayload: natsConnection_GetMaxPayload(pointer),
            supportsHeaders: natsConnection_HasHeaderSupport(pointer) == NATS_OK)
    }

    /// The one place that hands anything to libnats for sending. Its arguments are checked by their types.
    func publish(
        _ subject: Subject, reply: UnsafePointer<CChar>?, headers: NATSHeaders, payload: UnsafeRawBufferPointer
    ) -> natsStatus {
        subject.cString.withUnsafeBufferPointer { subject in
            guard let subject = subject.baseAddress else { return NATS_INVALID_SUBJECT }
            let length = Int32(clamping: payload.count)
            if headers.isEmpty {
                if let reply {
                    return natsConnection_PublishRequest(pointer, subject, reply, payload.baseAddress, length)
                }
                return natsConnection_Publish(pointer, subject, payload.baseAddress, length)
            }
            var message: OpaquePointer?
            let data = payload.baseAddress?.assumingMemoryBound(to: CChar.self)
            var status = natsMsg_Create(&message, subject, reply, data, length)
            guard status == NATS_OK else { return status }
            // The whole block of lines as one name: see NATSHeaders.
            status = headers.storage.withUnsafeBufferPointer { lines in
                guard let start = lines.baseAddress else { return NATS_ERR }
                return natsMsgHeader_Set(message, start, start + headers.lastNameEnd + 2)
            }
            if status == NATS_OK { status = natsConnection_PublishMsg(pointer, message) }
            let address = UInt(bitPattern: message)
            spent.withLock { $0.add(address, size: payload.count) }
            return status
        }
    }
}

extension NATSError {
    /// The meaning of a libnats status that is not `NATS_OK`, for an operation that sends.
    static func library(_ status: natsStatus, _ operation: String, context: String? = nil) -> NATSError {
        // The buffer is the one for the time without a link, which we keep at nothing.
        let isUnbuffered = status == NATS_INSUFFICIENT_BUFFER
        let text = isUnbuffered ? "no link to a server" : String(cString: natsStatus_GetText(status))
        let code: Code =
            switch status {
            case NATS_INSUFFICIENT_BUFFER, NATS_CONNECTION_DISCONNECTED, NATS_NOT_YET_CONNECTED, NATS_NO_SERVER,
                NATS_CONNECTION_CLOSED:
                .disconnected
            case NATS_IO_ERROR, NATS_STALE_CONNECTION, NATS_TIMEOUT: .connectionLost
            case NATS_CONNECTION_AUTH_FAILED: .notAuthorized
            case NATS_SSL_ERROR, NATS_SECURE_CONNECTION_WANTED, NATS_SECURE_CONNECTION_REQUIRED: .notTrusted
            case NATS_NOT_PERMITTED: .notPermitted
            case NATS_MAX_PAYLOAD: .payloadTooLarge
            case NATS_INVALID_SUBJECT, NATS_INVALID_QUEUE_NAME: .invalidSubject
            case NATS_DRAINING: .closed
            default: .library(status: status.rawValue)
            }
        return NATSError(code, "\(operation) failed: \(text).", context: context)
    }
}
