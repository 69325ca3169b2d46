package import Recurrence

/// An occurrence that will fire, and when.
package struct ForeseenFire: Hashable, Sendable {
    package let scheduledFor: Instant
    package let dueAt: Instant

    package init(scheduledFor: Instant, dueAt: Instant) {
        self.scheduledFor = scheduledFor
        self.dueAt = dueAt
    }
}

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
    /// Fires of both sides that are due at another time.
    package let moved: Int
    /// The first ``mostListed`` that were added, removed or moved.
    package let changed: [Changed]
    /// How many different instants were looked at.
    package let compared: Int
    /// What is told holds from now through here.
    package let until: Instant
    /// The comparison ended before the horizon.
    package let isTruncated: Bool

    /// An occurrence for which something else happens; nil where it does not fire.
    package struct Changed: Hashable, Sendable {
        package let scheduledFor: Instant
        package let dueBefore: Instant?
        package let dueAfter: Instant?
    }

    /// Of fires that are told by their occurrences alone: none of them counts as moved.
    /// - Parameters: instants in ascending order, none twice.
    package init(
        before: some Sequence<Instant>, after: some Sequence<Instant>, through horizon: Instant,
        most: Int = mostCompared
    ) {
        func onTime(_ instant: Instant) -> ForeseenFire { ForeseenFire(scheduledFor: instant, dueAt: instant) }
        self.init(before: before.lazy.map(onTime), after: after.lazy.map(onTime), through: horizon, most: most)
    }

    /// - Parameters:
    ///   - before: in ascending order of their occurrences, none twice; as `after`.
    ///   - horizon: the last occurrence that is compared.
    ///   - most: how many different occurrences are compared.
    package init(
        before: some Sequence<ForeseenFire>, after: some Sequence<ForeseenFire>, through horizon: Instant,
        most: Int = mostCompared
    ) {
        var (old, new) = (Side(before), Side(after))
        var compared = 0
        var (added, removed, moved) = (0, 0, 0)
        var changed: [Changed] = []
        var last = horizon
        var isTruncated = false
        while let instant = earlier(old.head, new.head), instant <= horizon {
            guard compared < most else {
                isTruncated = true
                break
            }
            compared += 1
            last = instant
            let change = Changed(
                scheduledFor: instant, dueBefore: old.take(instant), dueAfter: new.take(instant))
            guard change.dueBefore != change.dueAfter else { continue }
            if change.dueBefore == nil {
                added += 1
            } else if change.dueAfter == nil {
                removed += 1
            } else {
                moved += 1
            }
            if changed.count < Self.mostListed { changed.append(change) }
        }
        self.before = old.listed
        self.after = new.listed
        beforeCount = old.count
        afterCount = new.count
        self.added = added
        self.removed = removed
        self.moved = moved
        self.changed = changed
        self.compared = compared
        until = isTruncated ? last : horizon
        self.isTruncated = isTruncated
    }

    private struct Side<Iterator: IteratorProtocol<ForeseenFire>> {
        var iterator: Iterator
        private var first: ForeseenFire?
        var listed: [Instant] = []
        var count = 0

        init<Fires: Sequence>(_ fires: Fires) where Fires.Iterator == Iterator {
            iterator = fires.makeIterator()
            first = iterator.next()
        }

        /// The occurrence that comes next here.
        var head: Instant? { first?.scheduledFor }

        /// Moves on if `instant` is what comes next here.
        /// - Returns: when it is due; nil where it is not here.
        mutating func take(_ instant: Instant) -> Instant? {
            guard let fire = first, fire.scheduledFor == instant else { return nil }
            count += 1
            if listed.count < FireDifference.mostListed { listed.append(instant) }
            first = iterator.next()
            return fire.dueAt
        }
    }
}

private func earlier(_ one: Instant?, _ other: Instant?) -> Instant? {
    guard let one, let other else { return one ?? other }
    return min(one, other)
}
