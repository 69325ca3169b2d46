package import Recurrence

/// Names a freeze.
package struct FreezeID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let uuid: UUIDValue

    package init(_ uuid: UUIDValue) { self.uuid = uuid }

    package init?(text: String) {
        guard let uuid = UUIDValue(text: text) else { return nil }
        self.uuid = uuid
    }

    package var description: String { uuid.text }

    package static func < (left: FreezeID, right: FreezeID) -> Bool { left.uuid < right.uuid }
}

package enum FreezeMode: String, Sendable, CaseIterable {
    /// What is due meanwhile is released afterwards.
    case `defer`
    /// What is due meanwhile is skipped.
    case skip
}

/// A time in which nothing of a namespace, of a target, or of anybody fires.
package struct Freeze: Hashable, Sendable {
    package let id: FreezeID
    /// nil: all namespaces.
    package var namespace: Namespace?
    /// nil: all targets.
    package var target: SubjectPattern?
    package var from: Instant
    /// Exclusive: what is due then fires.
    package var until: Instant
    package var mode: FreezeMode
    /// How many held schedules are released a second.
    package var releasePerSecond: Double
    package var reason: String?
    package var actor: String?
    package var createdAt: Instant

    package static let usualReleasePerSecond = 100.0

    package init(
        id: FreezeID, namespace: Namespace? = nil, target: SubjectPattern? = nil, from: Instant, until: Instant,
        mode: FreezeMode, releasePerSecond: Double = Freeze.usualReleasePerSecond, reason: String? = nil,
        actor: String? = nil, createdAt: Instant
    ) {
        self.id = id
        self.namespace = namespace
        self.target = target
        self.from = from
        self.until = until
        self.mode = mode
        self.releasePerSecond = releasePerSecond
        self.reason = reason
        self.actor = actor
        self.createdAt = createdAt
    }

    package func holds(at instant: Instant) -> Bool { from <= instant && instant < until }

    /// From when on what it holds goes its way where it is replaced by another of its id: as soon as that ends where
    /// nothing but the end is earlier, and now where it holds others, or otherwise. Who it still holds waits anew then.
    /// - Returns: nil where what it holds stays as it is.
    package func release(for next: Freeze, at now: Instant) -> Instant? {
        let holdsAlike =
            namespace == next.namespace && target == next.target && mode == next.mode
            && releasePerSecond == next.releasePerSecond && max(from, now) == max(next.from, now)
        guard holdsAlike else { return now }
        return next.until < until ? max(next.until, now) : nil
    }

    /// Whether it concerns schedules of a namespace with a target.
    package func concerns(namespace: String, target: String) -> Bool {
        (self.namespace?.description ?? namespace) == namespace && (self.target?.matches(target) ?? true)
    }
}
