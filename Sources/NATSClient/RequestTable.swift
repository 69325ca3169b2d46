import HeapModule

/// The requests whose reply is awaited, by the numbers that their reply subjects carry. Each has a deadline of its own.
///
/// What was answered leaves its deadline behind in the heap, until that comes or the heap is mostly such.
struct RequestTable {
    struct Entry {
        let token: UInt64
        let subject: Subject
        /// On the monotonic clock.
        let deadline: Int64
        /// Which connection it went out on.
        let road: RequestPublisher.Road
        /// Its reply is awaited beyond a break of that connection.
        let outlastsBreaks: Bool
    }

    private struct Expiry: Comparable {
        let deadline: Int64
        let key: UInt64

        static func < (left: Expiry, right: Expiry) -> Bool { left.deadline < right.deadline }
    }

    private static let slack = 1024

    private var entries: [UInt64: Entry] = [:]
    private var expiries = Heap<Expiry>()

    var count: Int { entries.count }

    /// Awaits a reply. - Returns: the token of what was awaited under the same number, which is so no longer.
    mutating func admit(_ key: UInt64, _ entry: Entry) -> UInt64? {
        let earlier = entries.updateValue(entry, forKey: key)
        expiries.insert(Expiry(deadline: entry.deadline, key: key))
        if expiries.count > 2 * entries.count + Self.slack {
            expiries = Heap(entries.map { Expiry(deadline: $1.deadline, key: $0) })
        }
        return earlier?.token
    }

    /// Ends one wait and gives its token; nil when it has ended already.
    mutating func take(_ key: UInt64) -> UInt64? { entries.removeValue(forKey: key)?.token }

    /// Ends all waits whose deadline is not after `now`, the earliest first.
    mutating func takeExpired(_ now: Int64) -> [UInt64] {
        var tokens: [UInt64] = []
        while let next = expiries.min, next.deadline <= now {
            expiries.removeMin()
            // Asked once more since, under the same number, it has a later one.
            guard let entry = entries[next.key], entry.deadline <= now else { continue }
            entries[next.key] = nil
            tokens.append(entry.token)
        }
        return tokens
    }

    /// Ends all waits that are chosen.
    mutating func takeAll(where isChosen: (Entry) -> Bool) -> [UInt64] {
        let keys = entries.filter { isChosen($0.value) }.map(\.key)
        return keys.compactMap { entries.removeValue(forKey: $0)?.token }
    }
}
