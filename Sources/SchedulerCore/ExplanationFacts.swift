package import Recurrence

/// What is known of one moment of a schedule: gathered by a shell, judged by ``Explanation``.
package struct ExplanationFacts: Sendable {
    /// A change of the schedule, as the audit log has it.
    package struct Change: Hashable, Sendable {
        package let at: Instant
        package let action: String
        package let actor: String?
        package let reason: String?

        package init(at: Instant, action: String, actor: String?, reason: String?) {
            self.at = at
            self.action = action
            self.actor = actor
            self.reason = reason
        }
    }

    /// The schedule's own occurrences around a moment, by its timing as it is now.
    package struct Neighbours: Hashable, Sendable {
        package let before: Instant?
        package let after: Instant?

        package init(before: Instant?, after: Instant?) {
            self.before = before
            self.after = after
        }

        /// Requesters name seconds: what lies within one of a moment is meant by it.
        private static let tolerance: Int64 = 1000

        /// The occurrence that is meant by a moment, which may be its nominal or its due time; else the nearest one.
        package func nearest(to at: Instant, offset: Int64) -> (occurrence: Instant, isMeant: Bool)? {
            func distance(_ instant: Instant) -> Int64 {
                let due = instant.adding(milliseconds: offset)
                return min(abs(at.milliseconds(since: instant)), abs(at.milliseconds(since: due)))
            }
            let candidates = [before, after].compactMap { $0 }
            guard let nearest = candidates.min(by: { distance($0) < distance($1) }) else { return nil }
            return (nearest, distance(nearest) < Self.tolerance)
        }
    }

    /// The occurrence waits for a place.
    package struct Waiting: Hashable, Sendable {
        package let since: Instant
        /// How many wait before it.
        package let ahead: Int
        package let open: Int
        package let limits: [SharedLimit]

        package init(since: Instant, ahead: Int, open: Int, limits: [SharedLimit] = []) {
            self.since = since
            self.ahead = ahead
            self.open = open
            self.limits = limits
        }
    }

    /// A limit that the schedule shares with others.
    package struct SharedLimit: Hashable, Sendable {
        /// Holders that are named.
        package static let mostHolders = 5

        /// In words.
        package let name: String
        package let places: Int
        package let open: Int
        package let waiting: Int
        /// Those of the schedule's namespace, the longest first; no namespace learns of another's.
        package let holders: [String]

        package init(name: String, places: Int, open: Int, waiting: Int, holders: [String]) {
            self.name = name
            self.places = places
            self.open = open
            self.waiting = waiting
            self.holders = holders
        }
    }

    /// The moment that is asked after.
    package var at: Instant
    package var now: Instant
    package var schedule: Schedule
    package var neighbours: Neighbours
    /// The occurrence that is meant, or the nearest one.
    package var occurrence: Instant?
    package var isMeant: Bool
    /// When it is due: spread, calendars and windows included.
    package var due: Instant?
    /// Whether calendars and windows let it fire.
    package var fires = true
    /// Its wall-clock time, where the schedule has a zone.
    package var local: String?
    package var clockChange: ClockChange?
    /// Local times around the moment that the clocks leave out.
    package var removed: [RemovedTimes] = []
    /// The first occurrence that is not accounted for; nil where nothing is to come.
    package var standing: Instant?
    /// The history is kept from here on.
    package var keptFrom: Instant
    /// What the ledger has at the occurrence and near the moment.
    package var executions: [Execution] = []
    package var waiting: Waiting?
    /// What else near the moment waits for a place: triggers, backfills, messages and the like.
    package var others: [(occurrence: WaitingOccurrence, waiting: Waiting)] = []
    /// The range of skipped occurrences in which the occurrence lies.
    package var range: Execution?
    /// The last change of the schedule's state at or before the due time.
    package var stateChange: Change?
    /// The first change of its timing after the occurrence.
    package var timingChange: Change?
    /// What is watched for of those executions that are open.
    package var deadlines: [ExecutionID: Life.Deadline] = [:]
    /// A freeze that held then.
    package var freeze: Freeze?

    package init(
        at: Instant, now: Instant, schedule: Schedule, neighbours: Neighbours, standing: Instant?, keptFrom: Instant
    ) {
        self.at = at
        self.now = now
        self.schedule = schedule
        self.neighbours = neighbours
        self.standing = standing
        self.keptFrom = keptFrom
        let nearest = neighbours.nearest(to: at, offset: schedule.spreadOffset)
        occurrence = nearest?.occurrence
        isMeant = nearest?.isMeant ?? false
        due = occurrence?.adding(milliseconds: schedule.spreadOffset)
    }
}
