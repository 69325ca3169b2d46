import SchedulerCore
package import SchedulerWire
import Synchronization

/// The bearer tokens that are known, by their SHA-256. The tokens themselves are nowhere.
package struct TokenTable: Hashable, Sendable {
    package struct Entry: Hashable, Sendable {
        /// 32 bytes.
        package let digest: [UInt8]
        package let access: Access

        package init(digest: [UInt8], access: Access) {
            self.digest = digest
            self.access = access
        }
    }

    package let entries: [Entry]

    package init(entries: [Entry]) { self.entries = entries }

    /// Who has a token; nil for nobody. Takes the same time whichever entry it is, if any: every digest is compared whole.
    package func access(with token: some Sequence<UInt8>) -> Access? {
        let digest = Digest.sha256(Array(token))
        var found: Int?
        for (index, entry) in entries.enumerated() where Self.isEqual(entry.digest, digest) { found = index }
        return found.map { entries[$0].access }
    }

    private static func isEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        guard left.count == right.count else { return false }
        var difference: UInt8 = 0
        for index in left.indices { difference |= left[index] ^ right[index] }
        return difference == 0
    }
}

/// Who may come in, as it holds now: the file of tokens is looked at while the service runs.
package final class TokenBoard: Sendable {
    /// What a look at the file said.
    package enum Reading: Sendable {
        case unchanged
        case tokens(TokenTable)
        /// It cannot be used as it is now; what it said before holds.
        case fault(String)
    }

    private struct State {
        var table: TokenTable?
        var fault: String?
    }

    private let state: Mutex<State>
    private let read: (@Sendable () -> Reading)?

    /// - Parameters:
    ///   - table: nil where no tokens are configured: whoever reaches the service may do everything.
    ///   - read: looks at the file; blocks for as long as a small file takes.
    package init(_ table: TokenTable? = nil, read: (@Sendable () -> Reading)? = nil) {
        state = Mutex(State(table: table))
        self.read = read
    }

    package var isOpen: Bool { state.withLock { $0.table == nil } }

    /// What is wrong with the file now; nil where nothing is.
    package var fault: String? { state.withLock { $0.fault } }

    /// Whom a request's `Authorization` header lets in.
    /// - Throws: `unauthenticated`, which never repeats what was sent.
    package func access(authorization: String?) throws(WireError) -> Access {
        guard let table = state.withLock({ $0.table }) else { return .everything }
        guard let authorization else {
            throw WireError(.unauthenticated, "expected the header Authorization: Bearer <token>")
        }
        let parts = authorization.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "bearer", let access = table.access(with: parts[1].utf8) else {
            throw WireError(.unauthenticated, "expected a bearer token that is known, got another")
        }
        return access
    }

    /// What a look found that is news.
    package enum News: Hashable, Sendable {
        case changed(entries: Int)
        case fault(String)
    }

    package func look() -> News? {
        switch read?() ?? .unchanged {
        case .unchanged: return nil
        case .tokens(let table):
            state.withLock { $0 = State(table: table) }
            return .changed(entries: table.entries.count)
        case .fault(let fault):
            let isNews = state.withLock { state in
                defer { state.fault = fault }
                return state.fault != fault
            }
            return isNews ? .fault(fault) : nil
        }
    }
}
