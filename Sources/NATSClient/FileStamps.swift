import Glibc
import Synchronization

/// What the files of a connection looked like when a link was made with them: certificates and keys, which libnats reads
/// once a link. Files that look otherwise now are newer ones, and want a new link.
struct FileStamps: Sendable, Equatable {
    private struct Stamp: Sendable, Equatable {
        let device: UInt
        let inode: UInt
        let size: Int
        let seconds: Int
        let nanoseconds: Int
    }

    /// Nil for a file that cannot be looked at.
    private let stamps: [Stamp?]

    init(_ configuration: NATSConfiguration) {
        var paths = [configuration.tls?.authorities, configuration.tls?.certificate, configuration.tls?.key]
        // A credentials file is read by libnats at each connect.
        if case .nkeyFile(let path) = configuration.authentication { paths.append(path) }
        stamps = paths.compactMap(\.self).map { path in
            var status = stat()
            guard stat(path, &status) == 0 else { return nil }
            return Stamp(
                device: UInt(status.st_dev), inode: UInt(status.st_ino), size: Int(status.st_size),
                seconds: status.st_mtim.tv_sec, nanoseconds: status.st_mtim.tv_nsec)
        }
    }
}

extension NATSConnection {
    /// While libnats tries to come back with files that have changed since, it tries in vain, or as who it was: the link
    /// is given up, and the next is made with the files as they are now.
    func replaceLinkOfOldFiles() {
        guard let link = current.withLock({ $0.link }), !isConnected,
            let stamps = supervision.read({ $0.stamps }), stamps != FileStamps(configuration)
        else { return }
        tell(fault: "certificates or keys have changed: a new link is made with them")
        guard !link.isClosed else { return }
        supervision.update { $0.isLinkLost = true }
    }

    /// What libnats ran into, while it tries by itself.
    func noteFaultOfLink() {
        guard !isConnected, let link = current.withLock({ $0.link }) else { return }
        if let text = link.lastError { tell(fault: configuration.redacted(text)) }
    }

    /// Told once, until something else is in the way.
    private func tell(fault: String) {
        let isNews = supervision.update { state in
            defer { state.fault = fault }
            return state.fault != fault
        }
        if isNews { events.send(.error(fault)) }
    }

    /// Why there is no connection to NATS at the moment; nil while there is one.
    package var fault: String? {
        guard !isConnected else { return nil }
        return supervision.read { $0.fault } ?? "there is no connection"
    }
}
