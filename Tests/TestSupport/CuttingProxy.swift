import Glibc
import Synchronization

/// A TCP proxy before a server that breaks, or silences, one connection at a chosen moment.
///
/// Sendable: all state is behind the mutex or never changes.
package final class CuttingProxy: Sendable {
    /// What happens to the next chunk from a client that holds a text; then the proxy forwards again. What a rule has
    /// done to a connection stays done to it.
    package enum Rule: Sendable, Equatable {
        case forward
        /// Closes both sides instead of forwarding the chunk: the server never sees it.
        case cutBefore(String)
        /// As before, for every such chunk until another rule is set.
        case cutEach(String)
        /// Forwards the chunk, waits for the server's answer to it, and closes both sides instead of passing it on.
        case cutAfter(String)
        /// As the two before, but for the chunk that follows on the same connection: a COMMIT that goes out after it.
        case cutBehind(String, reachesServer: Bool)
        /// Forwards the chunk and all behind it, and keeps the server's answers; both sides stay open.
        case muteAfter(String)
        /// Keeps the chunk and all behind it, and the server's answers; both sides stay open.
        case swallowFrom(String)
        /// Passes PostgreSQL's answer on but for its end, `ReadyForQuery`, and closes both sides.
        case cutBeforeReady
    }

    private enum Action {
        case forward
        case cut
        case cutAnswer
        case mute
        case swallow
    }

    private struct State {
        var rule = Rule.forward
        /// What holds once the rule took effect.
        var next = Rule.forward
        var triggered = 0
        var turns = 0
        var clientSpokeLast = false
        var silenced: [Link] = []
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
        guard status == 0 else {
            throw TestSupportError(description: "expected a port for a proxy, got errno \(errno)")
        }
        port = UInt16(bigEndian: address.sin_port)
        startThread { self.acceptAll() }
    }

    /// Arms the proxy for one chunk, and says what holds from then on.
    package func set(_ rule: Rule, then next: Rule = .forward) { state.withLock { ($0.rule, $0.next) = (rule, next) } }

    /// How often a rule took effect.
    package var triggered: Int { state.withLock { $0.triggered } }

    /// How often the client spoke after the server had: round trips, when one connection is used. Resets to 0.
    package func takeTurns() -> Int {
        state.withLock { state in
            defer { state.turns = 0 }
            return state.turns
        }
    }

    /// Closes the connections that a rule has silenced.
    package func cutSilenced() {
        let links = state.withLock { state in
            defer { state.silenced = [] }
            return state.silenced
        }
        for link in links { link.cut() }
    }

    /// Ends the accepting thread, which closes the socket itself: closed here, its number could be another's by then.
    package func stop() { shutdown(listener, Int32(SHUT_RDWR)) }

    private static func loopback(_ port: UInt16) -> sockaddr_in {
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
            startThread { self.pumpFromClient(link) }
            startThread { self.pumpFromServer(link) }
        }
    }

    private func pumpFromClient(_ link: Link) {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = recv(link.client, &buffer, buffer.count, 0)
            if count <= 0 { break }
            countTurn(fromClient: true)
            let action = action(for: buffer[..<count], on: link)
            if action == .cut { break }
            link.obey(action)
            if link.isSwallowing { continue }
            if send(link.server, buffer, count, Int32(MSG_NOSIGNAL)) < 0 { break }
        }
        link.cut()
    }

    private func pumpFromServer(_ link: Link) {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = recv(link.server, &buffer, buffer.count, 0)
            if count <= 0 { break }
            countTurn(fromClient: false)
            if link.cutsAnswer { break }
            if link.isMute { continue }
            let isCut = cutsHere(buffer[..<count])
            let length = isCut ? count - Self.readyLength : count
            if send(link.client, buffer, length, Int32(MSG_NOSIGNAL)) < 0 || isCut { break }
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
            state.rule = state.next
            return true
        }
    }

    /// What the rule says of a client's chunk.
    private func action(for chunk: ArraySlice<UInt8>, on link: Link) -> Action {
        func holds(_ text: String) -> Bool { String(decoding: chunk, as: UTF8.self).contains(text) }
        return state.withLock { state in
            let action: Action =
                switch state.rule {
                case .forward, .cutBeforeReady: .forward
                case .cutBefore(let text), .cutEach(let text): holds(text) ? .cut : .forward
                case .cutAfter(let text): holds(text) ? .cutAnswer : .forward
                case .muteAfter(let text): holds(text) ? .mute : .forward
                case .swallowFrom(let text): holds(text) ? .swallow : .forward
                case .cutBehind(let text, let reaches):
                    link.wasMarked(marking: holds(text)) ? (reaches ? .cutAnswer : .cut) : .forward
                }
            guard action != .forward else { return action }
            state.triggered += 1
            if case .cutEach = state.rule {} else { state.rule = state.next }
            if action == .mute || action == .swallow { state.silenced.append(link) }
            return action
        }
    }

    private func countTurn(fromClient: Bool) {
        state.withLock { state in
            if fromClient && !state.clientSpokeLast { state.turns += 1 }
            state.clientSpokeLast = fromClient
        }
    }

    /// The two sockets of one connection; closed when the last pump is gone.
    private final class Link: Sendable {
        private struct Marks {
            /// The chunk before held the text of `cutBehind`.
            var isMarked = false
            var cutsAnswer = false
            var isMute = false
            var isSwallowing = false
        }

        let client: Int32
        let server: Int32
        private let marks = Mutex(Marks())

        init(client: Int32, server: Int32) {
            self.client = client
            self.server = server
        }

        var cutsAnswer: Bool { marks.withLock { $0.cutsAnswer } }
        var isMute: Bool { marks.withLock { $0.isMute } }
        var isSwallowing: Bool { marks.withLock { $0.isSwallowing } }

        func obey(_ action: Action) {
            marks.withLock { marks in
                switch action {
                case .forward, .cut: break
                case .cutAnswer: marks.cutsAnswer = true
                case .mute: marks.isMute = true
                case .swallow: (marks.isMute, marks.isSwallowing) = (true, true)
                }
            }
        }

        /// Whether an earlier chunk was marked.
        func wasMarked(marking: Bool) -> Bool {
            marks.withLock { marks in
                defer { marks.isMarked = marks.isMarked || marking }
                return marks.isMarked
            }
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
