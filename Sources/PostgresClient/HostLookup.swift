import Glibc
import Synchronization

/// Name resolution with a deadline. libpq would call `getaddrinfo` itself, which can block for a resolver's full
/// timeouts; here it runs on a thread of its own, which is left behind when the deadline passes first.
enum HostLookup {
    /// The hosts to try, in order: one for each numeric address behind a name. Sockets and addresses pass through.
    static func resolve(
        _ host: PostgresConfiguration.Host, deadline: ContinuousClock.Instant
    ) throws(PostgresError) -> [PostgresConfiguration.Host] {
        let isSocket = host.name.isEmpty || host.name.hasPrefix("/") || host.name.hasPrefix("@")
        if host.address != nil || isSocket { return [host] }
        if !addresses(of: host.name, flags: AI_NUMERICHOST).isEmpty { return [host] }
        let found = try Lookup(host.name).wait(until: deadline)
        guard !found.isEmpty else {
            throw PostgresError(.connectionRefused, "expected an address for host \(host.name), found none")
        }
        return found.map { PostgresConfiguration.Host(name: host.name, port: host.port, address: $0) }
    }

    fileprivate static func addresses(of name: String, flags: Int32) -> [String] {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = flags
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(name, nil, &hints, &list) == 0, let list else { return [] }
        defer { freeaddrinfo(list) }
        var found: [String] = []
        var entry: UnsafeMutablePointer<addrinfo>? = list
        while let info = entry?.pointee {
            var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            if getnameinfo(info.ai_addr, info.ai_addrlen, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST) == 0 {
                let bytes = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
                found.append(String(decoding: bytes, as: UTF8.self))
            }
            entry = info.ai_next
        }
        return found
    }

    /// One lookup on its own thread, which closes `writeEnd` when it has stored what it found.
    private final class Lookup: Sendable {
        private let name: String
        private let found = Mutex<[String]>([])
        private let readEnd: Int32
        private let writeEnd: Int32

        init(_ name: String) throws(PostgresError) {
            self.name = name
            var ends: [Int32] = [-1, -1]
            guard pipe(&ends) == 0 else {
                throw PostgresError(.resourceLimit, "expected a pipe for a host lookup, got errno \(errno)")
            }
            (readEnd, writeEnd) = (ends[0], ends[1])
            var thread = pthread_t()
            let retained = Unmanaged.passRetained(self)
            let status = pthread_create(
                &thread, nil,
                { context in
                    let lookup = Unmanaged<Lookup>.fromOpaque(context!).takeRetainedValue()
                    let found = HostLookup.addresses(of: lookup.name, flags: 0)
                    lookup.found.withLock { $0 = found }
                    close(lookup.writeEnd)
                    return nil
                }, retained.toOpaque())
            guard status == 0 else {
                retained.release()
                close(writeEnd)
                throw PostgresError(.resourceLimit, "expected a thread for a host lookup, got errno \(status)")
            }
            pthread_detach(thread)
        }

        deinit { close(readEnd) }

        func wait(until deadline: ContinuousClock.Instant) throws(PostgresError) -> [String] {
            guard waitForSocket(readEnd, Int16(POLLIN), until: deadline) != 0 else {
                throw PostgresError(.timedOut, "expected an address for host \(name) before the deadline")
            }
            return found.withLock { $0 }
        }
    }
}

/// Waits until `events` (or an error) show on `socket`; returns those that did, none when the deadline passed.
func waitForSocket(_ socket: Int32, _ events: Int16, until deadline: ContinuousClock.Instant) -> Int16 {
    var entry = pollfd(fd: socket, events: events, revents: 0)
    while true {
        let remaining = ContinuousClock.now.duration(to: deadline)
        if remaining <= .zero { return 0 }
        // Rounded up: rounding down would spin through the last millisecond.
        let milliseconds = min(remaining.wholeMilliseconds + 1, 60_000)
        if poll(&entry, 1, Int32(milliseconds)) > 0 { return entry.revents }
    }
}
