package import Recurrence

/// What a change does to the fires of the days to come: pure, and bounded whatever the schedules are.
///
/// Both sides are walked together, as in a merge. Where they have too many instants to walk over, the comparison ends
/// early and says so: everything it tells holds through ``until``.
package struct FireDifference: Hashable, Sendable {
    /// How many instants of each side are listed.
    package static let mostListed = 100
    /// How many different instants are compared: a week of minutes is 10,080.
    package static let mostCompared = 20_000
    /// How far ahead a rehearsal looks: 7 days, in milliseconds.
    package static let reach: Int64 = 7 * 86_400_000

    /// The first ``mostListed`` fires as it was, and as it would be.
    package let before: [Instant]
    package let after: [Instant]
    package let beforeCount: Int
    package let afterCount: Int
    /// Fires that only the new side has, and that only the old one has.
    package let added: Int
    package let removed: Int
    /// What is told holds from now through here.
    package let until: Instant
    /// The comparison ended before the horizon.
    package let isTruncated: Bool

    /// - Parameters: instants in ascending order, none twice.
    package init(
        before: some Sequence<Instant>, after: some Sequence<Instant>, through horizon: Instant,
        most: Int = mostCompared
    ) {
        var (old, new) = (Side(before), Side(after))
        var compared = 0
        var (added, removed) = (0, 0)
        var last = horizon
        var isTruncated = false
        while let instant = earlier(old.head, new.head), instant <= horizon {
            guard compared < most else {
                isTruncated = true
                break
            }
            compared += 1
            last = instant
            let (wasThere, isThere) = (old.take(instant), new.take(instant))
            if !wasThere { added += 1 }
            if !isThere { removed += 1 }
        }
        self.before = old.listed
        self.after = new.listed
        beforeCount = old.count
        afterCount = new.count
        self.added = added
        self.removed = removed
        until = isTruncated ? last : horizon
        self.isTruncated = isTruncated
    }

    private struct Side<Iterator: IteratorProtocol<Instant>> {
        var iterator: Iterator
        var head: Instant?
        var listed: [Instant] = []
        var count = 0

        init<Instants: Sequence>(_ instants: Instants) where Instants.Iterator == Iterator {
            iterator = instants.makeIterator()
            head = iterator.next()
        }

        /// Moves on if `instant` is what comes next here.
        mutating func take(_ instant: Instant) -> Bool {
            guard head == instant else { return false }
            count += 1
            if listed.count < FireDifference.mostListed { listed.append(instant) }
            head = iterator.next()
            return true
        }
    }
}

private func earlier(_ one: Instant?, _ other: Instant?) -> Instant? {
    guard let one, let other else { return one ?? other }
    return min(one, other)
}
