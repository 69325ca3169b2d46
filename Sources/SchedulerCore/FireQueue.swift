import DequeModule
import HeapModule
package import Recurrence

/// What an occurrence yields to when several are due at once (semantics.md §3, contract.md §3 `priority`).
package enum FireClass: Int, Sendable, CaseIterable {
    /// Claimed in time, or late for want of speed: never held back.
    case onTime
    /// Late because of an outage, within the grace: 2,000/s a cluster.
    case withinGrace
    /// Misfired: 100/s a cluster.
    case misfired
    /// Backfilled by a command: as many a second beside those, so that neither keeps the other waiting.
    case backfilled
}

/// Claimed occurrences that wait for their time, then for their turn. Pure: time comes in as an argument.
///
/// Not yet due, they lie in a heap by due time. Once due, they lie in one queue for each class and priority. The class
/// decides first; within it the higher level, which is the priority and one more for each 5 s of waiting, so that
/// nothing starves; among equals, the earlier due time.
package struct FireQueue<Item> {
    /// Waiting this long lifts an occurrence by one level.
    package static var agingMilliseconds: Int64 { FireOrder.agingMilliseconds }

    private var order = FireOrder()
    /// The items by the order's slots, nil in `free` ones.
    private var items: [Item?] = []
    private var free: [Int32] = []

    package init() {}

    package var count: Int { order.count }

    /// Occurrences that are due and have not been taken.
    package func readyCount(_ kind: FireClass) -> Int { order.readyCounts[kind.rawValue] }

    /// When the next one becomes due, in milliseconds since 1970.
    package var nextDueAt: Instant? { order.nextDueAt.map { Instant(milliseconds: $0) } }

    /// - Parameter priority: 0 to 9; others count as the nearer bound.
    package mutating func insert(_ item: Item, dueAt: Instant, priority: Int16, kind: FireClass) {
        let slot: Int32
        if let last = free.popLast() {
            slot = last
            items[Int(slot)] = item
        } else {
            slot = Int32(items.count)
            items.append(item)
        }
        order.insert(slot, dueAt: dueAt.milliseconds, priority: priority, kind: kind)
    }

    /// Moves what has become due from the heap to its lane.
    package mutating func ripen(now: Instant) { order.ripen(now: now.milliseconds) }

    /// Takes the occurrence of a class whose turn it is; call ``ripen(now:)`` first.
    package mutating func take(_ kind: FireClass, now: Instant) -> Item? {
        guard let slot = order.take(kind, now: now.milliseconds) else { return nil }
        let item = items[Int(slot)]
        items[Int(slot)] = nil
        free.append(slot)
        return item
    }

    /// Takes everything out, for a member that was fenced or that hands its claims over.
    package mutating func removeAll() -> [Item] {
        let removed = items.compactMap { $0 }
        self = FireQueue()
        return removed
    }
}

extension FireQueue: Sendable where Item: Sendable {}

/// The order of a ``FireQueue``, over slots instead of items: plain numbers, so that what is sifted up and down is not
/// counted as a reference each time, and code that is compiled once for the one type it has.
struct FireOrder: Sendable {
    static let agingMilliseconds: Int64 = 5000

    /// An entry of the heap.
    private struct Waiting: Comparable {
        let dueAt: Int64
        let order: UInt64
        let lane: Int32
        let slot: Int32

        static func < (left: Waiting, right: Waiting) -> Bool {
            left.dueAt == right.dueAt ? left.order < right.order : left.dueAt < right.dueAt
        }

        static func == (left: Waiting, right: Waiting) -> Bool { left.order == right.order }
    }

    private struct Ripe {
        let dueAt: Int64
        let slot: Int32
    }

    private var waiting = Heap<Waiting>()
    private var lanes = [Deque<Ripe>](repeating: [], count: FireClass.allCases.count * 10)
    private(set) var readyCounts = [Int](repeating: 0, count: FireClass.allCases.count)
    private var order: UInt64 = 0

    var count: Int { waiting.count + readyCounts.reduce(0, +) }

    var nextDueAt: Int64? { waiting.min?.dueAt }

    mutating func insert(_ slot: Int32, dueAt: Int64, priority: Int16, kind: FireClass) {
        let lane = kind.rawValue * 10 + min(9, max(0, Int(priority)))
        waiting.insert(Waiting(dueAt: dueAt, order: order, lane: Int32(lane), slot: slot))
        order &+= 1
    }

    mutating func ripen(now: Int64) {
        while let next = waiting.min, next.dueAt <= now {
            let ripe = waiting.removeMin()
            lanes[Int(ripe.lane)].append(Ripe(dueAt: ripe.dueAt, slot: ripe.slot))
            readyCounts[Int(ripe.lane) / 10] += 1
        }
    }

    mutating func take(_ kind: FireClass, now: Int64) -> Int32? {
        guard readyCounts[kind.rawValue] > 0 else { return nil }
        var best: (lane: Int, level: Int64, dueAt: Int64)?
        for priority in 0..<10 {
            let lane = kind.rawValue * 10 + priority
            guard let head = lanes[lane].first else { continue }
            let level = Int64(priority) + max(0, now - head.dueAt) / Self.agingMilliseconds
            if let best, (best.level, -best.dueAt) > (level, -head.dueAt) { continue }
            best = (lane, level, head.dueAt)
        }
        guard let best, let head = lanes[best.lane].popFirst() else { return nil }
        readyCounts[kind.rawValue] -= 1
        return head.slot
    }
}
