import CNATS

/// One call of `natsConnection_Connect` on a thread of its own, which may be given up: libnats' connect has hung in TLS
/// handshakes past every time-out of its own.
enum ConnectAttempt {
    private enum State {
        case running
        case abandoned
        case done(Outcome)
    }

    enum Outcome: Sendable {
        /// The address of a `natsConnection`.
        case connected(UInt)
        case failed(NATSError)
    }

    /// Blocks until connected, refused, or `limit` is over.
    static func run(_ configuration: NATSConfiguration, identity: UInt64, limit: Duration) -> Outcome {
        let state = Monitor(State.running)
        do throws(NATSError) {
            try OwnThread.start("nats-connect") {
                let outcome = connect(configuration, identity)
                let isAbandoned = state.update { state in
                    if case .abandoned = state { return true }
                    state = .done(outcome)
                    return false
                }
                guard isAbandoned, case .connected(let address) = outcome else { return }
                natsConnection_Destroy(OpaquePointer(bitPattern: address))
            }
        } catch {
            return .failed(error)
        }
        let outcome: Outcome? = state.wait(atMost: limit.nanoseconds) { state in
            if case .done(let outcome) = state { return outcome }
            return nil
        }
        if let outcome { return outcome }
        return state.update { state in
            if case .done(let outcome) = state { return outcome }
            state = .abandoned
            return .failed(NATSError(.timeout, "Connecting hung for \(limit) and was given up."))
        }
    }

    /// In TLS 1.3 a server asks for a certificate, and misses it, only when the client believes the handshake over.
    private static let serverHungUp = [
        NATS_PROTOCOL_ERROR.rawValue, NATS_IO_ERROR.rawValue, NATS_CONNECTION_CLOSED.rawValue,
    ]

    private static func connect(_ configuration: NATSConfiguration, _ identity: UInt64) -> Outcome {
        do throws(NATSError) {
            let options = try LibraryOptions(configuration, identity: identity)
            var connection: OpaquePointer?
            let status = natsConnection_Connect(&connection, options.pointer)
            if status == NATS_OK, let connection { return .connected(UInt(bitPattern: connection)) }
            let detail = nats_GetLastError(nil).map { configuration.redacted(String(cString: $0)) } ?? ""
            var error = NATSError.library(status, "Connecting", context: configuration.description)
            if !detail.isEmpty { error.message += " libnats says: \(detail)" }
            if let tls = configuration.tls, tls.certificate == nil, Self.serverHungUp.contains(status.rawValue) {
                error.message += " A server that hangs up after the handshake usually wants a client certificate."
            }
            return .failed(error)
        } catch {
            return .failed(error)
        }
    }
}
