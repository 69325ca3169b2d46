package import Recurrence

/// How limits stand while their locks are held: who may take a place of them. Pure.
///
/// Whoever waits goes before whoever comes later; of those that wait, the one that has waited longest, whichever schedule
/// it is of. So no schedule keeps the others from a place, however much of it waits.
package struct ConcurrencyBook: Hashable, Sendable {
    /// One limit.
    package struct Standing: Hashable, Sendable {
        /// Nil where the schedules themselves know it.
        package var places: Int?
        /// Executions that hold a place.
        package var open: Int
        /// Occurrences that need one.
        package var waiting: Int

        package init(places: Int? = nil, open: Int = 0, waiting: Int = 0) {
            self.places = places
            self.open = open
            self.waiting = waiting
        }
    }

    package private(set) var keys: [String: Standing]
    package private(set) var targets: [String: Standing]

    package init(keys: [String: Standing] = [:], targets: [String: Standing] = [:]) {
        self.keys = keys
        self.targets = targets
    }

    /// Places that nobody holds: at least 0, and no bound where there is no limit.
    package func free(_ limits: ConcurrencyLimits) -> Int { room(limits) { $0.open } }

    /// Places that nobody holds and nobody waits for.
    package func unclaimed(_ limits: ConcurrencyLimits) -> Int { room(limits) { $0.open + $0.waiting } }

    private func room(_ limits: ConcurrencyLimits, _ taken: (Standing) -> Int) -> Int {
        var room = Int.max
        if let key = limits.names.key {
            let standing = keys[key] ?? Standing()
            room = (standing.places ?? ConcurrencyLimits.usual) - taken(standing)
        }
        if let target = limits.names.target {
            let standing = targets[target] ?? Standing()
            room = min(room, (standing.places ?? limits.targetPlaces) - taken(standing))
        }
        return max(0, room)
    }

    /// So many more are open, and so many more wait.
    package mutating func note(opened: Int, waiting: Int, _ limits: ConcurrencyLimits) {
        func note(_ standing: inout Standing) {
            standing.open += opened
            standing.waiting += waiting
        }
        if let key = limits.names.key { note(&keys[key, default: Standing()]) }
        if let target = limits.names.target { note(&targets[target, default: Standing()]) }
    }

    /// What of one schedule waits, and could be opened were there no limits.
    package struct Queue: Hashable, Sendable {
        package let schedule: ScheduleID
        package let limits: ConcurrencyLimits
        /// Since when each waits, in the order in which they are opened.
        package let since: [Instant]

        package init(schedule: ScheduleID, limits: ConcurrencyLimits, since: [Instant]) {
            self.schedule = schedule
            self.limits = limits
            self.since = since
        }
    }

    /// Gives the free places to those that wait. Who needs two limits takes a place of both, or none.
    /// - Returns: how many of each schedule are opened; those of which none is are missing.
    package mutating func grant(_ queues: [Queue]) -> [ScheduleID: Int] {
        var granted: [ScheduleID: Int] = [:]
        var left = queues.filter { !$0.since.isEmpty && free($0.limits) > 0 }
        while !left.isEmpty {
            let next = left.indices.min { first, second in
                let (first, second) = (left[first], left[second])
                let since = (first.since[granted[first.schedule] ?? 0], second.since[granted[second.schedule] ?? 0])
                return since.0 == since.1 ? first.schedule < second.schedule : since.0 < since.1
            }
            guard let next else { break }
            let queue = left[next]
            guard free(queue.limits) > 0 else {
                left.remove(at: next)
                continue
            }
            note(opened: 1, waiting: 0, queue.limits)
            let count = (granted[queue.schedule] ?? 0) + 1
            granted[queue.schedule] = count
            if count == queue.since.count { left.remove(at: next) }
        }
        return granted
    }
}
