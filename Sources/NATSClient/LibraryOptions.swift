import CNATS

/// The `natsOptions` of one connect attempt. libnats copies them on connect.
final class LibraryOptions {
    let pointer: OpaquePointer

    /// - Parameter identity: what the callbacks are given, see ``ConnectionRegistry``.
    /// - Throws: `.invalidConfiguration` with libnats' own word for it.
    init(_ configuration: NATSConfiguration, identity: UInt64) throws(NATSError) {
        var created: OpaquePointer?
        guard LibraryThreads.status == NATS_OK, natsOptions_Create(&created) == NATS_OK, let created else {
            throw NATSError(.library(status: NATS_NO_MEMORY.rawValue), "libnats gave no options object.")
        }
        pointer = created
        try setServers(configuration)
        try setTimings(configuration)
        try setAuthentication(configuration, identity)
        try setSecurity(configuration)
        try setCallbacks(identity)
    }

    deinit { natsOptions_Destroy(pointer) }

    private func must(_ status: natsStatus, _ what: String) throws(NATSError) {
        guard status != NATS_OK else { return }
        throw NATSError(
            .invalidConfiguration, "libnats refused \(what): \(String(cString: natsStatus_GetText(status))).")
    }

    private func setServers(_ configuration: NATSConfiguration) throws(NATSError) {
        let copies = configuration.servers.map { strdupPointer($0) }
        defer { for copy in copies { copy.deallocate() } }
        var list: [UnsafePointer<CChar>?] = copies.map { UnsafePointer($0) }
        try must(natsOptions_SetServers(pointer, &list, Int32(list.count)), "the server URLs")
        try must(natsOptions_SetNoRandomize(pointer, true), "the server order")
        try must(natsOptions_SetName(pointer, configuration.name), "the connection name")
        try must(natsOptions_SetCustomInboxPrefix(pointer, configuration.inboxPrefix), "the inbox prefix")
    }

    private func setTimings(_ configuration: NATSConfiguration) throws(NATSError) {
        try must(natsOptions_SetTimeout(pointer, configuration.connectTimeout.libraryMilliseconds), "connectTimeout")
        try must(natsOptions_SetAllowReconnect(pointer, true), "reconnecting")
        try must(natsOptions_SetMaxReconnect(pointer, -1), "endless reconnecting")
        let wait = configuration.reconnectWait.libraryMilliseconds
        try must(natsOptions_SetReconnectWait(pointer, wait), "reconnectWait")
        try must(natsOptions_SetReconnectJitter(pointer, wait / 10 + 1, wait / 10 + 1), "the reconnect jitter")
        try must(
            natsOptions_SetReconnectBufSize(pointer, Int32(clamping: configuration.reconnectBufferBytes)),
            "reconnectBufferBytes")
        let deadline = configuration.writeDeadline.libraryMilliseconds
        try must(natsOptions_SetWriteDeadline(pointer, deadline), "writeDeadline")
        try must(natsOptions_SetPingInterval(pointer, configuration.pingInterval.libraryMilliseconds), "pingInterval")
        try must(natsOptions_SetMaxPingsOut(pointer, Int32(clamping: configuration.maximumPingsOut)), "maximumPingsOut")
        try must(natsOptions_SetIOBufSize(pointer, Int32(clamping: configuration.ioBufferBytes)), "ioBufferBytes")
        try must(natsOptions_SetSendAsap(pointer, configuration.sendAsap), "sendAsap")
        try must(natsOptions_SetFailRequestsOnDisconnect(pointer, true), "failing requests on disconnect")
        // In bytes this is × 1024, and must fit an Int32.
        try must(natsOptions_SetMaxPendingMsgs(pointer, 65_536), "the pending limit")
    }

    private func setAuthentication(
        _ configuration: NATSConfiguration, _ identity: UInt64
    ) throws(NATSError) {
        switch configuration.authentication {
        case .none: break
        case .user(let user, let password):
            try must(natsOptions_SetUserInfo(pointer, user, password), "user and password")
        case .token(let token):
            try must(natsOptions_SetToken(pointer, token), "the token")
        case .credentials(let file):
            try must(natsOptions_SetUserCredentialsFromFiles(pointer, file, nil), "the credentials file")
        case .nkey(let seed): try setKey(seed, identity)
        case .nkeyFile(let file):
            guard let seed = NKeySeed(file: file) else {
                throw NATSError(
                    .invalidConfiguration, "A file with an NKey's seed must hold one of a user (SU…).", context: file)
            }
            try setKey(seed, identity)
        }
    }

    private func setKey(_ seed: NKeySeed, _ identity: UInt64) throws(NATSError) {
        ConnectionRegistry.keep(seed, identity: identity)
        let onSign: natsSignatureHandler = { _, signature, length, nonce, closure in
            guard let seed = ConnectionRegistry.seed(identity: UInt64(UInt(bitPattern: closure))) else {
                return NATS_NOT_FOUND
            }
            return nats_Sign(seed.text, nonce, signature, length)
        }
        let closure = UnsafeMutableRawPointer(bitPattern: UInt(identity))
        try must(natsOptions_SetNKey(pointer, seed.publicKey, onSign, closure), "the NKey")
    }

    private func setSecurity(_ configuration: NATSConfiguration) throws(NATSError) {
        guard let tls = configuration.tls else { return }
        try must(natsOptions_SetSecure(pointer, true), "TLS")
        if let authorities = tls.authorities {
            try must(natsOptions_LoadCATrustedCertificates(pointer, authorities), "the CA file")
        }
        if let certificate = tls.certificate, let key = tls.key {
            try must(natsOptions_LoadCertificatesChain(pointer, certificate, key), "certificate and key")
        }
        if let name = tls.expectedHostName {
            try must(natsOptions_SetExpectedHostname(pointer, name), "the expected host name")
        }
    }

    private func setCallbacks(_ identity: UInt64) throws(NATSError) {
        let closure = UnsafeMutableRawPointer(bitPattern: UInt(identity))
        try must(natsOptions_SetClosedCB(pointer, { post(.closed, $1) }, closure), "a callback")
        try must(natsOptions_SetDisconnectedCB(pointer, { post(.disconnected, $1) }, closure), "a callback")
        try must(natsOptions_SetReconnectedCB(pointer, { post(.reconnected, $1) }, closure), "a callback")
        try must(natsOptions_SetDiscoveredServersCB(pointer, { post(.discoveredServers, $1) }, closure), "a callback")
        try must(natsOptions_SetLameDuckModeCB(pointer, { post(.lameDuck, $1) }, closure), "a callback")
        let onError: natsErrHandler = { _, subscription, status, closure in
            // libnats sets the text of this error for this thread, for the time of the callback.
            let text = nats_GetLastError(nil).map { String(cString: $0) } ?? ""
            post(.error(status, text, subscription: subscription.map(UInt.init(bitPattern:))), closure)
        }
        try must(natsOptions_SetErrorHandler(pointer, onError, closure), "a callback")
    }
}

/// What libnats' one callback thread tells, before it is understood.
enum LibraryEvent: Sendable {
    case closed
    case disconnected
    case reconnected
    case discoveredServers
    case lameDuck
    /// `subscription` is an address to compare with our own, never to follow: libnats may have freed it.
    case error(natsStatus, String, subscription: UInt?)
}

private func post(_ event: LibraryEvent, _ closure: UnsafeMutableRawPointer?) {
    ConnectionRegistry.post(event, identity: UInt64(UInt(bitPattern: closure)))
}

private func strdupPointer(_ text: String) -> UnsafeMutablePointer<CChar> {
    let bytes = text.utf8CString
    let copy = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count)
    bytes.withUnsafeBufferPointer { copy.initialize(from: $0.baseAddress ?? UnsafePointer(copy), count: bytes.count) }
    return copy
}
