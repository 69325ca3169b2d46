package import Recurrence

/// What becomes of a schedule (contract.md §3).
package enum ScheduleState: String, Sendable, CaseIterable {
    case active
    case paused
    case exhausted
    case invalid
    /// Kept for its executions' sake until the history's retention drops it; no command sees it.
    case deleted
}

package enum ScheduleType: String, Sendable, CaseIterable {
    case cron
    case interval
    case once
    case immediate
    case rrule
    /// A message came.
    case event
    /// No message came.
    case absence
}

package enum Guarantee: String, Sendable, CaseIterable {
    case atLeastOnce = "at_least_once"
    /// What may have arrived is never sent again.
    case atMostOnce = "at_most_once"
}

package enum Completion: String, Sendable, CaseIterable {
    /// Done when delivered.
    case none
    /// The reply to a request is the outcome.
    case reply
    /// The worker reports.
    case report
}

package enum OverlapPolicy: String, Sendable, CaseIterable {
    case skip
    case bufferOne = "buffer_one"
    case buffer
    case allow
    case cancelPrevious = "cancel_previous"
}

package enum MisfirePolicy: String, Sendable, CaseIterable {
    case fireOnce = "fire_once"
    case skip
    case fireAll = "fire_all"
}

/// When a schedule fires, as its creator said it. An edit of any of this grows the generation.
package struct Timing: Hashable, Sendable {
    package var type: ScheduleType
    package var cronExpression: String?
    package var intervalMilliseconds: Int64?
    package var runAt: Instant?
    /// A rule of RFC 5545 and its dates; `startAt` stands in for its `DTSTART`.
    package var rrule: String?
    package var timezone: String
    package var dstPolicy: DSTPolicy
    package var startAt: Instant?
    package var endAt: Instant?
    package var maxRuns: Int64?
    package var spreadMilliseconds: Int64
    /// Calendars and execution windows.
    package var constraint = FireConstraint()
    /// What it listens to; says nothing of other types than `event` and `absence`.
    package var event = EventRule()

    package init(type: ScheduleType) {
        self.type = type
        timezone = "UTC"
        dstPolicy = .vixie
        spreadMilliseconds = 0
    }

    /// How many occurrences may fire in all; `once` and `immediate` fire one.
    package var runLimit: Int64? {
        switch type {
        case .once, .immediate: 1
        case .cron, .interval, .rrule, .event: maxRuns
        case .absence: nil
        }
    }

    /// Whether the schedule's name decides over when it fires: by `H`, or by a spread.
    package var dependsOnName: Bool {
        if spreadMilliseconds > 0 { return true }
        guard let cronExpression, let parsed = try? CronExpression(parsing: cronExpression, hash: 0) else {
            return false
        }
        return parsed.usesHash
    }

    /// What a fire of this timing's own is called.
    package var trigger: Trigger {
        switch type {
        case .cron: .cron
        case .interval: .interval
        case .once: .once
        case .immediate: .immediate
        case .rrule: .rrule
        case .event: .event
        case .absence: .absence
        }
    }
}

/// What decides over occurrences that were missed (semantics.md §3).
package struct MisfireRule: Hashable, Sendable {
    package var policy: MisfirePolicy
    /// Up to this late an occurrence fires as it is.
    package var graceMilliseconds: Int64
    /// Beyond this late a missed occurrence is not made up by `fire_once`.
    package var catchupWindowMilliseconds: Int64
    /// The most that `fire_all` makes up.
    package var catchupLimit: Int64

    package init(
        policy: MisfirePolicy = .fireOnce, graceMilliseconds: Int64 = 300_000,
        catchupWindowMilliseconds: Int64 = 86_400_000, catchupLimit: Int64 = 100
    ) {
        self.policy = policy
        self.graceMilliseconds = graceMilliseconds
        self.catchupWindowMilliseconds = catchupWindowMilliseconds
        self.catchupLimit = catchupLimit
    }
}

package struct RetryRule: Hashable, Sendable {
    package var maxRetries: Int32
    package var delaySeconds: Double
    package var maxDelaySeconds: Double
    package var maxAgeSeconds: Double

    package init(
        maxRetries: Int32 = 3, delaySeconds: Double = 300, maxDelaySeconds: Double = 3600,
        maxAgeSeconds: Double = 86_400
    ) {
        self.maxRetries = maxRetries
        self.delaySeconds = delaySeconds
        self.maxDelaySeconds = maxDelaySeconds
        self.maxAgeSeconds = maxAgeSeconds
    }
}

package struct UserHeader: Hashable, Sendable {
    package let name: String
    package let value: String

    package init(name: String, value: String) {
        self.name = name
        self.value = value
    }
}

/// Everything a creator says about a schedule, with the defaults filled in.
package struct ScheduleDefinition: Hashable, Sendable {
    package var name: ScheduleName
    package var description = ""
    package var timing: Timing
    package var target: TargetSubject
    /// Any JSON, kept and delivered as the exact bytes of the request.
    package var payload: [UInt8] = Array("{}".utf8)
    /// The payload's strings are templates, rendered for each fire.
    package var payloadTemplate = false
    package var headers: [UserHeader] = []
    package var delivery = Delivery.jetstream
    package var guarantee = Guarantee.atLeastOnce
    package var completion = Completion.none
    package var startTimeoutSeconds: Double?
    package var runTimeoutSeconds: Double = 300
    package var heartbeatTimeoutSeconds: Double?
    package var overlapPolicy = OverlapPolicy.skip
    package var maxInFlight: Int32 = 1
    /// Shares its places with other schedules of the namespace that say the same.
    package var concurrencyKey: String?
    package var misfire = MisfireRule()
    package var retry = RetryRule()
    package var pauseAfterFailures: Int32?
    /// Fires besides when others have ended.
    package var after: FollowRule?
    /// 0 to 9.
    package var priority: Int16 = 5
    package var tags: [String] = []
    package var metadata: [UserHeader] = []
    package var deleteWhenExhausted = false
    /// Everything but the publish: its executions come to their time, and are told as skipped.
    package var isShadow = false

    package init(name: ScheduleName, timing: Timing, target: TargetSubject) {
        self.name = name
        self.timing = timing
        self.target = target
    }
}

extension ScheduleDefinition {
    /// Whether this definition fires at other times than `old` did: another timing, or another name where the name
    /// chooses a part of it.
    package func isRetimed(from old: ScheduleDefinition) -> Bool {
        timing != old.timing || (name != old.name && timing.dependsOnName)
    }

    /// Whether its fires publish a command: an `absence` without a target tells its event alone.
    package var firesCommand: Bool { timing.type != .absence || target != .none }

    /// The same with what is a set of pairs in the order of the names: JSON's objects have none.
    package var inOrder: ScheduleDefinition {
        var ordered = self
        ordered.headers.sort { $0.name < $1.name }
        ordered.metadata.sort { $0.name < $1.name }
        return ordered
    }

    /// Whether two definitions say the same. The payload counts as bytes, for as such it is delivered.
    package func says(sameAs other: ScheduleDefinition) -> Bool { inOrder == other.inOrder }
}

/// A schedule as it stands: the definition and what the scheduler keeps with it.
package struct Schedule: Hashable, Sendable {
    package let id: ScheduleID
    package let namespace: Namespace
    package var definition: ScheduleDefinition
    /// 1, 2, …: grows with each change.
    package var version: Int64
    package var generation: Int32
    package var state: ScheduleState
    package var pauseReason: String?
    /// When a pause ends by itself; counts while it is paused only.
    package var pausedUntil: Instant?
    /// What an interval counts from: `start_at`, else the creation, else the last edit of the timing.
    package var anchor: Instant
    package var createdAt: Instant
    package var createdBy: String?
    package var updatedAt: Instant
    package var updatedBy: String?

    package init(
        id: ScheduleID, namespace: Namespace, definition: ScheduleDefinition, version: Int64 = 1, generation: Int32 = 1,
        state: ScheduleState = .active, pauseReason: String? = nil, pausedUntil: Instant? = nil, anchor: Instant,
        createdAt: Instant,
        createdBy: String? = nil, updatedAt: Instant, updatedBy: String? = nil
    ) {
        self.id = id
        self.namespace = namespace
        self.definition = definition
        self.version = version
        self.generation = generation
        self.state = state
        self.pauseReason = pauseReason
        self.pausedUntil = pausedUntil
        self.anchor = anchor
        self.createdAt = createdAt
        self.createdBy = createdBy
        self.updatedAt = updatedAt
        self.updatedBy = updatedBy
    }

    /// What `H` and the spread are taken from: a hash of `<namespace>/<name>`.
    package static func timingHash(namespace: Namespace, name: ScheduleName) -> UInt64 {
        Digest.stableNumber(of: "\(namespace)/\(name)")
    }

    /// The fixed distance between an occurrence and its fire: a hash of `<namespace>/<name>` in `[0, spread)`.
    package var spreadOffset: Int64 {
        Self.spreadOffset(
            of: "\(namespace)/\(definition.name)", spreadMilliseconds: definition.timing.spreadMilliseconds)
    }

    /// - Parameter key: `<namespace>/<name>`.
    package static func spreadOffset(of key: String, spreadMilliseconds spread: Int64) -> Int64 {
        guard spread > 0 else { return 0 }
        return Int64(Digest.stableNumber(of: key, below: UInt64(spread)))
    }

    /// The schedule's own occurrences, by their nominal instants.
    package func occurrences(zones: ZoneLookup) throws(TimingError) -> OccurrenceSource {
        let hash = Schedule.timingHash(namespace: namespace, name: definition.name)
        return try definition.timing.source(anchor: anchor, hash: hash, zones: zones)
    }
}

/// The narrow, hot half of a schedule: what a claim reads and writes.
package struct Timer: Hashable, Sendable {
    package let schedule: ScheduleID
    /// When the next occurrence is due, spread included; nil where none is to come.
    package var nextFireAt: Instant?
    /// The nominal instant of the first occurrence that is not accounted for: of a paused schedule, and of one whose
    /// calendars, windows or freezes move what is due. Of a schedule that messages drive, whose timer is put off, what it
    /// was set to.
    package var resumeFrom: Instant?
    /// Counts attempts, and all other steps that events are ordered by: the fence.
    package var fireSequence: Int64
    /// Occurrences of the schedule's own time that were fired.
    package var runCount: Int64
    package var version: Int64
    package var generation: Int32

    package init(
        schedule: ScheduleID, nextFireAt: Instant?, resumeFrom: Instant? = nil, fireSequence: Int64 = 0,
        runCount: Int64 = 0, version: Int64 = 1, generation: Int32 = 1
    ) {
        self.schedule = schedule
        self.nextFireAt = nextFireAt
        self.resumeFrom = resumeFrom
        self.fireSequence = fireSequence
        self.runCount = runCount
        self.version = version
        self.generation = generation
    }

    /// The nominal instant of the first occurrence that is not accounted for.
    /// - Parameter offset: the schedule's spread, in milliseconds.
    package func position(offset: Int64) -> Instant? {
        resumeFrom ?? nextFireAt?.adding(milliseconds: -offset)
    }
}
