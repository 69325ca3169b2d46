import Glibc
import Synchronization

/// A TCP proxy before a server that breaks a connection at a chosen moment.
///
/// Sendable: all state is behind the mutex or never changes.
package final class CuttingProxy: Sendable {
    package enum Rule: Sendable, Equatable {
        case forward
        /// Closes both sides instead of forwarding a chunk from the client that holds the text.
        case cutBefore(String)
        /// Forwards that chunk, waits for the server's answer to it, and closes both sides instead of passing it on.
        case cutAfter(String)
        /// Forwards that chunk, then nothing more in either direction, and keeps both sides open.
        case freezeAfter(String)
        /// Passes the server's answer on but for its end, `ReadyForQuery`, and closes both sides.
        case cutBeforeReady
    }

    private struct State {
        var rule = Rule.forward
        var turns = 0
        var clientSpokeLast = false
        var triggered = 0
    }

    package let port: Int
    private let target: Int
    private let listener: Int32
    private let state = Mutex(State())

    package init(to target: Int) throws {
        self.target = target
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = Self.loopback(0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = listener
        let status = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) + listen(descriptor, 16) + getsockname(descriptor, $0, &length)
            }
        }
        guard status == 0 else { throw LocalPostgres.Failure(description: "proxy: errno \(errno)") }
        port = Int(UInt16(bigEndian: address.sin_port))
        startThread { self.acceptAll() }
    }

    package func set(_ rule: Rule) {
        state.withLock { $0.rule = rule }
    }

    /// How often a rule took effect.
    package var triggered: Int { state.withLock { $0.triggered } }

    /// How often the client spoke after the server had: round trips, when one connection is used. Resets to 0.
    package func takeTurns() -> Int {
        state.withLock { state in
            defer { state.turns = 0 }
            return state.turns
        }
    }

    /// Ends the accepting thread, which closes the socket itself: closed here, its number could be another's by then.
    package func stop() { shutdown(listener, Int32(SHUT_RDWR)) }

    private static func loopback(_ port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(INADDR_LOOPBACK).bigEndian
        return address
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
            startThread { self.pump(link, fromClient: true) }
            startThread { self.pump(link, fromClient: false) }
        }
    }

    private func pump(_ link: Link, fromClient: Bool) {
        let source = fromClient ? link.client : link.server
        let sink = fromClient ? link.server : link.client
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = recv(source, &buffer, buffer.count, 0)
            if count <= 0 { break }
            countTurn(fromClient)
            if !fromClient && link.dropsAnswers.withLock({ $0 }) { break }
            if fromClient && !apply(to: buffer[..<count], link) { break }
            if link.isFrozen.withLock({ $0 }) && !fromClient { continue }
            let isCut = !fromClient && cutsHere(buffer[..<count])
            let length = isCut ? count - Self.readyLength : count
            if send(sink, buffer, length, Int32(MSG_NOSIGNAL)) < 0 || isCut { break }
        }
        link.cut()
    }

    private static let readyLength = 6

    /// Whether the chunk ends in ReadyForQuery (`Z`, length 5, status) and the rule is to cut before it.
    private func cutsHere(_ chunk: ArraySlice<UInt8>) -> Bool {
        let tail = chunk.suffix(Self.readyLength)
        guard tail.count == Self.readyLength, tail.starts(with: [0x5a, 0, 0, 0, 5]) else { return false }
        return state.withLock { state in
            guard state.rule == .cutBeforeReady else { return false }
            state.triggered += 1
            return true
        }
    }

    /// Whether to go on forwarding.
    private func apply(to chunk: ArraySlice<UInt8>, _ link: Link) -> Bool {
        let rule = state.withLock { $0.rule }
        func holds(_ text: String) -> Bool {
            let isHit = String(decoding: chunk, as: UTF8.self).contains(text)
            if isHit { state.withLock { $0.triggered += 1 } }
            return isHit
        }
        switch rule {
        case .forward, .cutBeforeReady: return true
        case .cutBefore(let text): return !holds(text)
        case .cutAfter(let text):
            if holds(text) { link.dropsAnswers.withLock { $0 = true } }
            return true
        case .freezeAfter(let text):
            if holds(text) { link.isFrozen.withLock { $0 = true } }
            return true
        }
    }

    private func countTurn(_ fromClient: Bool) {
        state.withLock { state in
            if fromClient && !state.clientSpokeLast { state.turns += 1 }
            state.clientSpokeLast = fromClient
        }
    }

    /// The two sockets of one connection; closed when the last pump is gone.
    private final class Link: Sendable {
        let client: Int32
        let server: Int32
        let dropsAnswers = Mutex(false)
        let isFrozen = Mutex(false)

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
