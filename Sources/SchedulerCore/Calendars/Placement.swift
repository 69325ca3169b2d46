package import Recurrence

/// A freeze as one schedule meets it: instants are those of its occurrences before their spread.
package struct FrozenTime: Hashable, Sendable {
    package let id: FreezeID
    package let from: Instant
    /// Exclusive.
    package let until: Instant
    package let mode: FreezeMode

    /// - Parameter offset: the schedule's spread, in milliseconds: a freeze holds what is *due* while it lasts.
    package init(_ freeze: Freeze, offset: Int64) {
        id = freeze.id
        from = freeze.from.adding(milliseconds: -offset)
        until = freeze.until.adding(milliseconds: -offset)
        mode = freeze.mode
    }
}

/// Where the occurrences of a schedule go: which of them fire, and when. Pure; all questions are bounded.
///
/// Two steps. The *shift* maps a nominal instant to one on a day that the calendars allow. Then the *pieces* of time
/// say what happens to what lies there: it fires at that moment, waits for the end of the piece, or is skipped. Both
/// steps are monotone, so the occurrences that are due by some moment are always the first ones, and what is due can be
/// found by bisection and counted piece by piece, whatever the number of occurrences.
package struct Placement: Sendable {
    /// Where one occurrence goes.
    package struct Place: Hashable, Sendable {
        /// When it fires, or when it is written down as skipped; before the spread.
        package let due: Instant
        package let fires: Bool
        /// The freeze that it waits for.
        package let heldBy: FreezeID?
    }

    /// The pieces of time that one question walks over at most: with two a day that is more than five years.
    package static let mostPieces = 4000

    package let source: OccurrenceSource
    let shift: DayShift?
    /// What lies outside of it is skipped.
    private let keeping: OpenTime?
    /// What lies outside of it, or is released from a freeze outside of it, is due when it opens.
    private let opening: OpenTime?
    private let freezes: [FrozenTime]
    /// Nothing is due before this: the turn that a released schedule was given.
    private let floor: Instant

    /// - Parameters:
    ///   - days: the days that the calendars allow; nil for all.
    ///   - constraint: what it says about calendars is `days` already.
    package init(source: OccurrenceSource, constraint: FireConstraint, days: DaySet?, zone: ZoneRules) {
        self.source = source
        let direction = days == nil ? .none : constraint.shift
        shift = days.flatMap { DayShift(direction, days: $0, zone: zone, source: source) }
        let windows = constraint.windows
        let defersOutside = constraint.outside == .defer && !windows.isEmpty
        opening = defersOutside ? OpenTime(zone: zone, days: days, windows: windows) : nil
        let kept = defersOutside ? [] : windows
        keeping = days == nil && kept.isEmpty ? nil : OpenTime(zone: zone, days: days, windows: kept)
        freezes = []
        floor = .earliest
    }

    /// Of a schedule that nothing constrains but freezes.
    package init(source: OccurrenceSource) {
        self.init(source: source, constraint: FireConstraint(), days: nil, zone: .utc)
    }

    private init(_ other: Placement, freezes: [FrozenTime], floor: Instant) {
        source = other.source
        shift = other.shift
        keeping = other.keeping
        opening = other.opening
        self.freezes = freezes
        self.floor = floor
    }

    /// The same under freezes.
    /// - Parameter floor: nothing is due before it.
    package func under(_ freezes: [FrozenTime], floor: Instant = .earliest) -> Placement {
        Placement(self, freezes: freezes, floor: floor)
    }

    /// Whether each occurrence from one on fires at its own moment, whatever it is.
    package func isFree(from occurrence: Instant) -> Bool {
        shift == nil && keeping == nil && opening == nil && floor <= occurrence
            && freezes.allSatisfy { $0.until <= occurrence }
    }
}

// MARK: - One occurrence

extension Placement {
    /// Where an occurrence goes. Monotone: a later occurrence is never due before an earlier one.
    package func place(of occurrence: Instant) -> Place {
        let moment = shifted(occurrence)
        let piece = piece(at: moment)
        return Place(due: max(floor, piece.due ?? moment), fires: piece.fires, heldBy: piece.heldBy)
    }

    func shifted(_ occurrence: Instant) -> Instant { shift?.moved(occurrence) ?? occurrence }

    /// A stretch of time within which one thing happens to all occurrences.
    private struct Piece {
        /// Exclusive.
        var end = Instant.latest
        var fires = true
        /// When it is due; nil: at its own moment.
        var due: Instant?
        var heldBy: FreezeID?

        mutating func ends(by instant: Instant) { end = min(end, instant) }
    }

    private func piece(at moment: Instant) -> Piece {
        var piece = Piece()
        if let keeping {
            let open = keeping.stretch(atOrAfter: moment)
            piece.fires = open.map { $0.start <= moment } ?? false
            if let open { piece.ends(by: piece.fires ? open.end : open.start) }
        }
        if let opening {
            if let open = opening.stretch(atOrAfter: moment) {
                if open.start > moment { piece.due = open.start }
                piece.ends(by: open.start > moment ? open.start : open.end)
            } else {
                piece.fires = false
            }
        }
        if !freezes.isEmpty { freeze(&piece, at: moment) }
        return piece
    }

    private func freeze(_ piece: inout Piece, at moment: Instant) {
        if piece.due == nil {
            for bound in freezes.flatMap({ [$0.from, $0.until] }) where bound > moment { piece.ends(by: bound) }
        }
        // Each turn leaves one freeze behind for good. What is skipped is told in its turn too, or it would be told
        // before something that comes earlier.
        for _ in 0...freezes.count {
            let due = piece.due ?? moment
            let holding = freezes.filter { $0.from <= due && due < $0.until }
            if holding.contains(where: { $0.mode == .skip }) { piece.fires = false }
            let last = holding.filter { $0.mode == .defer }.max { $0.until < $1.until }
            guard let last else { return }
            piece.due = opening?.stretch(atOrAfter: last.until).map { max($0.start, last.until) } ?? last.until
            piece.heldBy = last.id
        }
    }
}

// MARK: - Many occurrences

extension Placement {
    /// The first that fires, at or after an occurrence; nil where none does within ``mostPieces`` pieces of time.
    package func firstFiring(from occurrence: Instant) -> Instant? {
        var occurrence = occurrence
        for _ in 0..<Self.mostPieces {
            let piece = piece(at: shifted(occurrence))
            if piece.fires { return occurrence }
            guard piece.end < .latest, let last = last(in: piece, from: occurrence, through: .latest),
                let next = source.next(after: last)
            else { return nil }
            occurrence = next
        }
        return nil
    }

    /// The first that fires and is due after `instant`, of those scheduled after it as well.
    package func firstFiring(after instant: Instant) -> Instant? {
        guard let first = source.next(after: instant) else { return nil }
        guard let passed = last(from: first, dueThrough: instant) else { return firstFiring(from: first) }
        return source.next(after: passed).flatMap { firstFiring(from: $0) }
    }

    /// The last, from an occurrence on, that is due by `instant`, whether it fires or not; nil if the first is not.
    package func last(from occurrence: Instant, dueThrough instant: Instant) -> Instant? {
        guard place(of: occurrence).due <= instant else { return nil }
        let end = instant.adding(milliseconds: DayShift.farthest)
        return last(from: occurrence, through: end) { place(of: $0).due <= instant }
    }

    /// The last that fires, of those from a firing one through another.
    package func lastFiring(from first: Instant, through last: Instant) -> Instant {
        if place(of: last).fires { return last }
        // Backwards in steps that double: what lies far back is not walked over where something near fires.
        var step: Int64 = 86_400_000
        while true {
            let start = last.adding(milliseconds: -step)
            let from = start <= first ? first : source.next(after: start) ?? first
            var found: Instant?
            walk(from: from, through: last) { _, end, fires in if fires { found = end } }
            if let found { return found }
            if from <= first { return first }
            step *= 2
        }
    }

    /// How many fire of those from one occurrence through another. Exact over ``mostPieces`` pieces of time; what lies
    /// beyond counts as firing.
    package func countFiring(from first: Instant, through last: Instant) -> Int64 {
        guard keeping != nil || !freezes.isEmpty else { return source.count(from: first, through: last) }
        var count: Int64 = 0
        let end = walk(from: first, through: last) { from, through, fires in
            if fires { count += source.count(from: from, through: through) }
        }
        if let end { count += source.count(from: end, through: last) }
        return count
    }

    /// Visits the pieces that the occurrences from `first` through `last` lie in.
    /// - Returns: where it stopped, if that was before the end.
    @discardableResult
    private func walk(
        from first: Instant, through last: Instant,
        _ visit: (_ from: Instant, _ through: Instant, _ fires: Bool) -> Void
    ) -> Instant? {
        var occurrence = first
        for _ in 0..<Self.mostPieces {
            let piece = piece(at: shifted(occurrence))
            let end = self.last(in: piece, from: occurrence, through: last) ?? occurrence
            visit(occurrence, end, piece.fires)
            guard let next = source.next(after: end), next <= last else { return nil }
            occurrence = next
        }
        return occurrence
    }

    /// The last occurrence of a piece, from one in it on, that is not later than `end`.
    private func last(in piece: Piece, from occurrence: Instant, through end: Instant) -> Instant? {
        let bound = piece.end.adding(milliseconds: -1)
        guard shift != nil else { return source.latest(through: min(end, bound)) }
        let farthest = min(end, bound.adding(milliseconds: DayShift.farthest))
        return last(from: occurrence, through: farthest) { shifted($0) <= bound }
    }

    /// The last occurrence through `end` for which something holds that holds for `first`, and once it does not never
    /// again. By bisection of time.
    private func last(from first: Instant, through end: Instant, where holds: (Instant) -> Bool) -> Instant? {
        guard var no = source.latest(through: end), no > first else { return first }
        if holds(no) { return no }
        var yes = first
        while true {
            let middle = Instant(milliseconds: yes.milliseconds + (no.milliseconds - yes.milliseconds) / 2)
            guard var probe = source.latest(through: middle) else { return yes }
            if probe <= yes {
                guard let next = source.next(after: yes), next < no else { return yes }
                probe = next
            }
            if holds(probe) { yes = probe } else { no = probe }
            if probe == no, source.latest(through: Instant(milliseconds: no.milliseconds - 1)) == yes { return yes }
        }
    }
}
