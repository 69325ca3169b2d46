import Glibc
import Synchronization

/// A TCP proxy before a server that breaks one connection at a chosen moment.
///
/// Sendable: all state is behind the mutex or never changes.
package final class CuttingProxy: Sendable {
    /// What happens to the next chunk from a client that holds a text; then the proxy forwards again.
    package enum Rule: Sendable, Equatable {
        case forward
        /// Closes both sides instead of forwarding the chunk: the server never sees it.
        case cutBefore(String)
        /// Forwards the chunk, waits for the server's answer to it, and closes both sides instead of passing it on.
        case cutAfter(String)
        /// As `cutBefore`, but for the chunk that follows on the same connection: a COMMIT that goes out after it.
        case cutBehind(String, reachesServer: Bool)
    }

    private struct State {
        var rule = Rule.forward
        var triggered = 0
    }

    package let port: UInt16
    private let target: UInt16
    private let listener: Int32
    private let state = Mutex(State())

    /// - Parameter target: the server's port on 127.0.0.1.
    package init(to target: UInt16) throws {
        self.target = target
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        listener = descriptor
        var address = Self.loopback(0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) + listen(descriptor, 64) + getsockname(descriptor, $0, &length)
            }
        }
        guard status == 0 else { throw FixtureError(description: "expected a port for a proxy, got errno \(errno)") }
        port = UInt16(bigEndian: address.sin_port)
        Self.startThread { self.acceptAll() }
    }

    /// Arms the proxy for one cut.
    package func set(_ rule: Rule) { state.withLock { $0.rule = rule } }

    /// How often a cut took place.
    package var triggered: Int { state.withLock { $0.triggered } }

    /// Ends the accepting thread, which closes the socket itself: closed here, its number could be another's by then.
    package func stop() { shutdown(listener, Int32(SHUT_RDWR)) }

    private static func loopback(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(INADDR_LOOPBACK).bigEndian
        return address
    }

    private final class Work {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    private static func startThread(_ body: @escaping @Sendable () -> Void) {
        var thread = pthread_t()
        let status = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                Unmanaged<Work>.fromOpaque(context).takeRetainedValue().body()
                return nil
            }, Unmanaged.passRetained(Work(body)).toOpaque())
        if status == 0 { pthread_detach(thread) }
    }

    private func acceptAll() {
        defer { close(listener) }
        while true {
            let client = accept(listener, nil, nil)
            if client < 0 { return }
            let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            var address = Self.loopback(target)
            let status = withUnsafeMutablePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    connect(server, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            guard status == 0 else {
                close(client)
                close(server)
                continue
            }
            let link = Link(client: client, server: server)
            Self.startThread { self.pump(link, fromClient: true) }
            Self.startThread { self.pump(link, fromClient: false) }
        }
    }

    private func pump(_ link: Link, fromClient: Bool) {
        let source = fromClient ? link.client : link.server
        let sink = fromClient ? link.server : link.client
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = recv(source, &buffer, buffer.count, 0)
            if count <= 0 { break }
            if !fromClient && link.dropsAnswers.withLock({ $0 }) { break }
            if fromClient && !forwards(buffer[..<count], link) { break }
            if send(sink, buffer, count, Int32(MSG_NOSIGNAL)) < 0 { break }
        }
        link.cut()
    }

    /// Whether the chunk goes on to the server.
    private func forwards(_ chunk: ArraySlice<UInt8>, _ link: Link) -> Bool {
        state.withLock { state in
            let reachesServer: Bool
            switch state.rule {
            case .forward: return true
            case .cutBefore(let text), .cutAfter(let text):
                guard String(decoding: chunk, as: UTF8.self).contains(text) else { return true }
                reachesServer = state.rule == .cutAfter(text)
            case .cutBehind(let text, let reaches):
                let isNext = link.isMarked.withLock { isMarked in
                    defer { isMarked = isMarked || String(decoding: chunk, as: UTF8.self).contains(text) }
                    return isMarked
                }
                guard isNext else { return true }
                reachesServer = reaches
            }
            state.triggered += 1
            state.rule = .forward
            link.dropsAnswers.withLock { $0 = reachesServer }
            return reachesServer
        }
    }

    /// The two sockets of one connection; closed when the last pump is gone.
    private final class Link: Sendable {
        let client: Int32
        let server: Int32
        let dropsAnswers = Mutex(false)
        /// The chunk before held the text of `cutBehind`.
        let isMarked = Mutex(false)

        init(client: Int32, server: Int32) {
            self.client = client
            self.server = server
        }

        func cut() {
            shutdown(client, Int32(SHUT_RDWR))
            shutdown(server, Int32(SHUT_RDWR))
        }

        deinit {
            close(client)
            close(server)
        }
    }
}
