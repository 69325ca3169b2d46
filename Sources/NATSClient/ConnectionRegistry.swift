import Synchronization

/// Finds the Swift object a libnats callback is about.
///
/// The callbacks get a number, not a pointer: libnats promises nothing about the last callback of a connection, and a
/// number that is no longer registered is simply ignored.
enum ConnectionRegistry {
    private struct Entry {
        weak var connection: NATSConnection?
        let generation: UInt32
        /// What signs for it.
        var seed: NKeySeed?
    }

    private struct State {
        var next: UInt64 = 1
        var entries: [UInt64: Entry] = [:]
    }

    private static let state = Mutex(State())

    static func register(_ connection: NATSConnection, generation: UInt32) -> UInt64 {
        state.withLock { state in
            let identity = state.next
            state.next += 1
            state.entries[identity] = Entry(connection: connection, generation: generation)
            return identity
        }
    }

    static func unregister(_ identity: UInt64) {
        state.withLock { _ = $0.entries.removeValue(forKey: identity) }
    }

    static func keep(_ seed: NKeySeed, identity: UInt64) { state.withLock { $0.entries[identity]?.seed = seed } }

    static func seed(identity: UInt64) -> NKeySeed? { state.withLock { $0.entries[identity]?.seed } }

    static func post(_ event: LibraryEvent, identity: UInt64) {
        let (connection, generation) = state.withLock {
            ($0.entries[identity]?.connection, $0.entries[identity]?.generation ?? 0)
        }
        connection?.handle(event, generation: generation)
    }
}
