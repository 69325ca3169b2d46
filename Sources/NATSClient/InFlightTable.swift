/// The publishes whose acknowledgement is awaited: slots, threaded as one list in the order of publishing.
///
/// The time-out is the same for all, so that the list's head always expires first. A slot is used again with the next
/// generation, so that a late acknowledgement of its earlier user finds nothing. No allocation once it has grown.
struct InFlightTable {
    /// Names one use of one slot; goes over the wire in the reply subject.
    struct Ticket: Equatable {
        var slot: UInt32
        var generation: UInt32

        var rawValue: UInt64 { UInt64(slot) << 32 | UInt64(generation) }

        init(slot: UInt32, generation: UInt32) {
            self.slot = slot
            self.generation = generation
        }

        init(rawValue: UInt64) {
            slot = UInt32(truncatingIfNeeded: rawValue >> 32)
            generation = UInt32(truncatingIfNeeded: rawValue)
        }
    }

    private struct Slot {
        var token: UInt64
        var deadline: Int64
        var generation: UInt32
        var isOpen: Bool
        var previous: Int32
        /// In the list of open slots, or in that of free ones.
        var next: Int32
        var subject: Subject?
    }

    private static let none: Int32 = -1

    let capacity: Int
    private(set) var count = 0
    private var slots: [Slot] = []
    private var oldest = none
    private var newest = none
    private var free = none

    init(capacity: Int) { self.capacity = max(1, min(capacity, Int(Int32.max))) }

    /// Takes a slot; nil when `capacity` are open. Deadlines must not go back from call to call.
    mutating func admit(token: UInt64, subject: Subject, deadline: Int64) -> Ticket? {
        guard count < capacity else { return nil }
        let index: Int32
        if free == Self.none {
            index = Int32(slots.count)
            slots.append(
                Slot(
                    token: token, deadline: deadline, generation: 0, isOpen: true, previous: newest, next: Self.none,
                    subject: subject))
        } else {
            index = free
            let at = Int(index)
            free = slots[at].next
            slots[at].token = token
            slots[at].deadline = deadline
            slots[at].generation &+= 1
            slots[at].isOpen = true
            slots[at].previous = newest
            slots[at].next = Self.none
            slots[at].subject = subject
        }
        if newest == Self.none { oldest = index } else { slots[Int(newest)].next = index }
        newest = index
        count += 1
        return Ticket(slot: UInt32(index), generation: slots[Int(index)].generation)
    }

    /// Ends one wait and gives its token; nil when it has ended already.
    mutating func take(_ ticket: Ticket) -> UInt64? {
        let at = Int(ticket.slot)
        guard at < slots.count, slots[at].isOpen, slots[at].generation == ticket.generation else { return nil }
        release(at)
        return slots[at].token
    }

    /// Ends all waits whose deadline is not after `now`, oldest first.
    mutating func takeExpired(_ now: Int64, _ body: (UInt64) -> Void) {
        while oldest != Self.none, slots[Int(oldest)].deadline <= now {
            let at = Int(oldest)
            release(at)
            body(slots[at].token)
        }
    }

    /// Ends all waits, oldest first.
    mutating func takeAll(_ body: (UInt64) -> Void) { takeExpired(.max, body) }

    /// Ends all waits for publishes on `subject`.
    mutating func takeAll(on subject: Subject, _ body: (UInt64) -> Void) {
        var index = oldest
        while index != Self.none {
            let at = Int(index)
            index = slots[at].next
            guard slots[at].subject == subject else { continue }
            release(at)
            body(slots[at].token)
        }
    }

    private mutating func release(_ at: Int) {
        let (previous, next) = (slots[at].previous, slots[at].next)
        if previous == Self.none { oldest = next } else { slots[Int(previous)].next = next }
        if next == Self.none { newest = previous } else { slots[Int(next)].previous = previous }
        slots[at].isOpen = false
        slots[at].subject = nil
        slots[at].next = free
        free = Int32(at)
        count -= 1
    }
}
