package import Recurrence

/// When a schedule fires, one instant after another: nominal instants, without those that calendars and windows leave
/// out, as many as its run limit leaves. Lazy; each step is bounded.
package struct UpcomingFires: Sequence, IteratorProtocol, Sendable {
    private enum Position {
        case first(Instant?)
        case after(Instant)
    }

    private let source: OccurrenceSource?
    private let placement: Placement?
    private var position: Position
    private var left: Int64

    /// Nothing to come.
    package static let none = UpcomingFires(source: nil, placement: nil, position: .first(nil), left: 0)

    /// - Parameters:
    ///   - first: the first occurrence that may fire.
    ///   - left: how many may fire yet.
    package init(of source: OccurrenceSource, placement: Placement?, from first: Instant?, left: Int64 = .max) {
        self.init(source: source, placement: placement, position: .first(first), left: left)
    }

    private init(source: OccurrenceSource?, placement: Placement?, position: Position, left: Int64) {
        self.source = source
        self.placement = placement
        self.position = position
        self.left = left
    }

    package mutating func next() -> Instant? {
        guard left > 0 else { return nil }
        let occurrence: Instant? =
            switch position {
            case .first(let instant): instant
            case .after(let instant): source?.next(after: instant)
            }
        let firing = occurrence.flatMap { occurrence in
            placement.map { $0.firstFiring(from: occurrence) } ?? occurrence
        }
        guard let firing else {
            left = 0
            return nil
        }
        position = .after(firing)
        left -= 1
        return firing
    }
}
