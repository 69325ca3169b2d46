import DequeModule
import HeapModule

/// What waits for targets that do not answer, apart from everything else. Pure: time comes in as an argument, in
/// nanoseconds of the monotonic clock.
///
/// Each silent target has a line of its own, in the order of due times, and whatever else falls due for it joins that
/// line untried. While it is silent, one item at a time goes out as a probe, after pauses of 50 ms doubling to 5 s:
/// thousands that wait cost a target without a stream no more than one. The first answer, be it a refusal, opens the
/// line: what waits goes out in order, at most `together` at once, until all are answered and the line is gone, or the
/// target falls silent again.
///
/// ```text
///            silence            pause is over            silence
///  (no line) ───────▶ pausing ───────────────▶ probing ───────────▶ pausing, twice as long
///                                                 │ answer
///                     pausing ◀─────── flowing ◀──┘
///                              silence    │ all answered
///                                         ▼
///                                     (no line)
/// ```
///
/// Probes rotate: an item that is itself the reason of the silence does not stand before the others for ever. All lines
/// together have at most `share` items under way, and take turns.
package struct RetryLane<Target: Hashable, Item> {
    fileprivate struct Line {
        var items: Deque<(dueAt: Int64, item: Item)> = []
        /// Probes without an answer since the last answer.
        var silences = 0
        var inFlight = 0
        var isAnswering = false
        /// Whether it stands in `ready` or in `pausing`; then it has items.
        var isListed = false
    }

    fileprivate struct Pause: Comparable {
        let until: Int64
        let target: Target

        static func < (left: Pause, right: Pause) -> Bool { left.until < right.until }

        static func == (left: Pause, right: Pause) -> Bool { left.until == right.until }
    }

    private let share: Int
    private let together: Int
    private var lines: [Target: Line] = [:]
    /// Lines whose turn may come now, in the order of their turns.
    private var ready: Deque<Target> = []
    private var pausing = Heap<Pause>()
    /// Items taken and not yet answered for.
    package private(set) var inFlight = 0

    /// - Parameters:
    ///   - share: the most items under way.
    ///   - together: the most of one target.
    package init(share: Int, together: Int) {
        self.share = share
        self.together = together
    }

    /// Whether no target is silent; the only question that a healthy system asks.
    package var isEmpty: Bool { lines.isEmpty }

    /// Whether a target has a line: then what falls due for it belongs there.
    package func holds(_ target: Target) -> Bool { lines[target] != nil }

    /// When an item may be taken: 0 for at once, nil while nothing can be before the next answer.
    package var nextAt: Int64? {
        guard inFlight < share else { return nil }
        return ready.isEmpty ? pausing.min?.until : 0
    }

    /// Puts an item into its target's line: one that met silence outside of the lane, or an untried one of a target that
    /// has a line.
    package mutating func enter(_ item: Item, dueAt: Int64, for target: Target, at now: Int64) {
        var line = lines[target] ?? Line()
        Self.insert(item, dueAt, into: &line)
        list(&line, target, until: line.isAnswering ? now : now + Self.pause(after: line.silences), now)
        lines[target] = line
    }

    /// Takes the item whose turn it is; its outcome must come back by ``answered(by:at:)`` or one of its sisters.
    /// - Parameter isWanted: others are forgotten.
    package mutating func take(at now: Int64, where isWanted: (Item) -> Bool) -> Item? {
        while let next = pausing.min, next.until <= now {
            pausing.removeMin()
            ready.append(next.target)
        }
        while inFlight < share, let target = ready.popFirst(), var line = lines[target] {
            line.isListed = false
            let item = Self.next(of: &line, where: isWanted)
            if item != nil {
                line.inFlight += 1
                inFlight += 1
            }
            keep(line, target, until: now, now)
            if let item { return item }
        }
        return nil
    }

    /// An item's target spoke, whatever it said.
    package mutating func answered(by target: Target, at now: Int64) {
        guard var line = lines[target] else { return }
        land(&line)
        line.silences = 0
        line.isAnswering = true
        keep(line, target, until: now, now)
    }

    /// An item met silence: it goes back to its place in the line.
    package mutating func unanswered(_ item: Item, dueAt: Int64, by target: Target, at now: Int64) {
        guard var line = lines[target] else { return }
        land(&line)
        line.isAnswering = false
        // Those that were under way together are one silence.
        if line.inFlight == 0 { line.silences += 1 }
        Self.insert(item, dueAt, into: &line)
        keep(line, target, until: now + Self.pause(after: line.silences), now)
    }

    /// An item met no connection, which says nothing of its target.
    package mutating func unsent(_ item: Item, dueAt: Int64, to target: Target, at now: Int64) {
        guard var line = lines[target] else { return }
        land(&line)
        Self.insert(item, dueAt, into: &line)
        keep(line, target, until: now + DispatchDecision.reconnectPause * 1_000_000, now)
    }

    /// An item was given up and not sent, which says nothing of its target.
    package mutating func withheld(for target: Target, at now: Int64) {
        guard var line = lines[target] else { return }
        land(&line)
        keep(line, target, until: now, now)
    }

    private static func pause(after silences: Int) -> Int64 {
        DispatchDecision.backoffMilliseconds(tries: silences) * 1_000_000
    }

    private mutating func land(_ line: inout Line) {
        line.inFlight -= 1
        inFlight -= 1
    }

    /// Behind those that are due no later.
    private static func insert(_ item: Item, _ dueAt: Int64, into line: inout Line) {
        var low = 0
        var high = line.items.count
        while low < high {
            let middle = (low + high) / 2
            if line.items[middle].dueAt <= dueAt { low = middle + 1 } else { high = middle }
        }
        line.items.insert((dueAt, item), at: low)
    }

    /// The first of a line that flows, the next in rotation of one that is probed.
    private static func next(of line: inout Line, where isWanted: (Item) -> Bool) -> Item? {
        while !line.items.isEmpty {
            let index = line.isAnswering ? 0 : line.silences % line.items.count
            let item = line.items.remove(at: index).item
            if isWanted(item) { return item }
        }
        return nil
    }

    private mutating func keep(_ line: Line, _ target: Target, until: Int64, _ now: Int64) {
        var line = line
        list(&line, target, until: until, now)
        lines[target] = line.items.isEmpty && line.inFlight == 0 ? nil : line
    }

    /// Lists a line that may send more, unless it is listed.
    private mutating func list(_ line: inout Line, _ target: Target, until: Int64, _ now: Int64) {
        let room = line.isAnswering ? together : 1
        guard !line.isListed, !line.items.isEmpty, line.inFlight < room else { return }
        line.isListed = true
        if until <= now { ready.append(target) } else { pausing.insert(Pause(until: until, target: target)) }
    }
}

extension RetryLane: Sendable where Target: Sendable, Item: Sendable {}
extension RetryLane.Line: Sendable where Target: Sendable, Item: Sendable {}
extension RetryLane.Pause: Sendable where Target: Sendable, Item: Sendable {}
