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
}

/// Claimed occurrences that wait for their time, then for their turn. Pure: time comes in as an argument.
///
/// Not yet due, they lie in a heap by due time. Once due, they lie in one queue for each class and priority. The class
/// decides first; within it the higher level, which is the priority and one more for each 5 s of waiting, so that
/// nothing starves; among equals, the earlier due time.
package struct FireQueue<Item> {
    /// Waiting this long lifts an occurrence by one level.
    package static var agingMilliseconds: Int64 { 5000 }

    /// An entry of the heap. Plain numbers: what is sifted up and down is not counted as a reference each time.
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

    private var waiting = Heap<Waiting>()
    /// The items of the heap's entries by slot, nil in `free` slots.
    private var items: [Item?] = []
    private var free: [Int32] = []
    private var lanes: [Deque<(dueAt: Int64, item: Item)>]
    private var readyCounts = [Int](repeating: 0, count: FireClass.allCases.count)
    private var order: UInt64 = 0

    package init() {
        lanes = Array(repeating: [], count: FireClass.allCases.count * 10)
    }

    package var count: Int { waiting.count + readyCounts.reduce(0, +) }

    /// Occurrences that are due and have not been taken.
    package func readyCount(_ kind: FireClass) -> Int { readyCounts[kind.rawValue] }

    /// When the next one becomes due, in milliseconds since 1970.
    package var nextDueAt: Instant? { waiting.min.map { Instant(milliseconds: $0.dueAt) } }

    /// - Parameter priority: 0 to 9; others count as the nearer bound.
    package mutating func insert(_ item: Item, dueAt: Instant, priority: Int16, kind: FireClass) {
        let lane = kind.rawValue * 10 + min(9, max(0, Int(priority)))
        waiting.insert(
            Waiting(dueAt: dueAt.milliseconds, order: order, lane: Int32(lane), slot: store(item)))
        order &+= 1
    }

    private mutating func store(_ item: Item) -> Int32 {
        guard let slot = free.popLast() else {
            items.append(item)
            return Int32(items.count - 1)
        }
        items[Int(slot)] = item
        return slot
    }

    private mutating func removeItem(_ slot: Int32) -> Item? {
        let item = items[Int(slot)]
        items[Int(slot)] = nil
        free.append(slot)
        return item
    }

    /// Moves what has become due from the heap to its lane.
    package mutating func ripen(now: Instant) {
        while let next = waiting.min, next.dueAt <= now.milliseconds {
            let ripe = waiting.removeMin()
            guard let item = removeItem(ripe.slot) else { continue }
            lanes[Int(ripe.lane)].append((ripe.dueAt, item))
            readyCounts[Int(ripe.lane) / 10] += 1
        }
    }

    /// Takes the occurrence of a class whose turn it is; call ``ripen(now:)`` first.
    package mutating func take(_ kind: FireClass, now: Instant) -> Item? {
        guard readyCounts[kind.rawValue] > 0 else { return nil }
        var best: (lane: Int, level: Int64, dueAt: Int64)?
        for priority in 0..<10 {
            let lane = kind.rawValue * 10 + priority
            guard let head = lanes[lane].first else { continue }
            let level = Int64(priority) + max(0, now.milliseconds - head.dueAt) / Self.agingMilliseconds
            if let best, (best.level, -best.dueAt) > (level, -head.dueAt) { continue }
            best = (lane, level, head.dueAt)
        }
        guard let best, let head = lanes[best.lane].popFirst() else { return nil }
        readyCounts[kind.rawValue] -= 1
        return head.item
    }

    /// Takes everything out, for a member that was fenced or that hands its claims over.
    package mutating func removeAll() -> [Item] {
        let removed = items.compactMap { $0 } + lanes.flatMap { $0.map(\.item) }
        self = FireQueue()
        return removed
    }
}

extension FireQueue: Sendable where Item: Sendable {}
