import NATSClient
import Recurrence
package import SchedulerCore
import Synchronization

/// A schedule made ready to be claimed and fired over and over: occurrences, subject, and the headers that no fire
/// changes.
package final class CompiledSchedule: Sendable {
    package let id: ScheduleID
    package let version: Int64
    package let namespace: String
    package let name: String
    package let target: String
    package let delivery: Delivery
    package let misfire: MisfireRule
    package let life: LifeRule
    package let overlap: OverlapRule
    /// What bounds its executions together with those of others.
    package let limits: ConcurrencyLimits
    package let dispatch: DispatchRule
    package let priority: Int16
    /// Everything but the publish.
    package let isShadow: Bool
    /// As it is stored; what a fire carries is for ``payloads`` to say.
    package let payload: [UInt8]
    let payloads: CompiledPayload
    package let payloadSHA256: String
    package let planner: ClaimPlanner
    /// Its fires publish a command.
    package let firesCommand: Bool
    /// What it listens to must be allowed, besides its target.
    private let source: SubjectPattern?
    /// Nil where the target cannot be published on at all, which is a fault.
    let subject: Subject?
    let fixedHeaders: [(name: HeaderName, value: String)]
    let fixedHeaderBytes: Int
    /// Everything that keeps it from being fired; with any it becomes `invalid` when it is claimed.
    package let faults: [ScheduleFault]
    /// What the allow-list is asked about.
    private let destination: (namespace: Namespace, target: TargetSubject)

    /// - Parameter calendars: those that the schedule names.
    init(
        _ schedule: Schedule, zones: ZoneLookup, calendars: [CalendarName: BusinessCalendar], rules: TargetRules
    ) {
        let definition = schedule.definition
        id = schedule.id
        version = schedule.version
        destination = (schedule.namespace, definition.target)
        namespace = schedule.namespace.description
        name = definition.name.description
        target = definition.target.description
        delivery = definition.delivery
        misfire = definition.misfire
        life = LifeRule(definition)
        overlap = OverlapRule(definition)
        isShadow = definition.isShadow
        limits = ConcurrencyLimits(of: definition, in: schedule.namespace, under: rules)
        dispatch = DispatchRule(
            delivery: definition.delivery, guarantee: definition.guarantee, completion: definition.completion)
        firesCommand = definition.firesCommand
        source = definition.timing.isListening ? definition.timing.event.subject : nil
        priority = definition.priority
        payload = definition.payload
        payloadSHA256 = Digest.hexadecimal(Digest.sha256(definition.payload))
        var faults: [ScheduleFault] = []
        var source = OccurrenceSource(recurrence: .once(.latest))
        var placement: Placement?
        do throws(TimingError) {
            source = try schedule.occurrences(zones: zones)
            placement = try definition.timing.placement(of: source, zones: zones, calendars: calendars)
        } catch {
            faults.append(ScheduleFault(.timing, "\(error.field): \(error)"))
        }
        planner = ClaimPlanner(
            source: source, placement: placement, rule: definition.misfire, offset: schedule.spreadOffset,
            runLimit: definition.timing.runLimit, trigger: definition.timing.trigger,
            listening: definition.timing.isListening ? definition.timing : nil)
        payloads = CompiledPayload(schedule, zones: zones, rules: rules, &faults)
        var headers = Self.ownHeaders(of: schedule)
        var subject: Subject?
        do {
            subject = try Subject(definition.target.description)
            for header in definition.headers { headers.append((try HeaderName(header.name), header.value)) }
        } catch {
            faults.append(ScheduleFault(.message, error.description))
        }
        self.subject = subject
        fixedHeaders = headers
        fixedHeaderBytes = headers.reduce(0) { $0 + $1.name.description.utf8.count + $1.value.utf8.count + 4 }
        self.faults = faults
    }

    /// Its target tells how its executions end.
    package var isTracked: Bool { life.completion != .none }

    /// The headers that its creator chose.
    var userHeaders: [(name: String, value: String)] {
        fixedHeaders.dropFirst(Self.ownHeaderCount).map { ($0.name.description, $0.value) }
    }

    /// Why it cannot be fired, in short.
    package var fault: ScheduleFault? { faults.first }

    /// Why nothing of it may be published, be it claimed or asked for already. A fault of the timing is none: that only
    /// says that no further occurrences can be told.
    package var publishingFault: ScheduleFault? { faults.first { $0.kind != .timing } }

    /// Why another allow-list than the one that it was compiled by refuses it; nil where it does not.
    func refusal(by rules: TargetRules) -> TargetRules.Refusal? {
        do {
            if let source {
                try rules.check(
                    source: source, target: firesCommand ? destination.target : nil, for: destination.namespace)
            }
            guard firesCommand else { return nil }
            try rules.check(
                destination.target, delivery: delivery, payloadBytes: payload.count, for: destination.namespace)
            return nil
        } catch { return error }
    }

    /// How many ``ownHeaders(of:)`` are.
    private static let ownHeaderCount = 4

    private static func ownHeaders(of schedule: Schedule) -> [(name: HeaderName, value: String)] {
        [
            (FiredHeader.scheduleID, schedule.id.description),
            (FiredHeader.scheduleName, schedule.definition.name.description),
            (FiredHeader.namespace, schedule.namespace.description),
            (HeaderName.contentType, "application/json"),
        ]
    }
}

/// Why a schedule cannot be fired (semantics.md §3).
package struct ScheduleFault: Hashable, Sendable, CustomStringConvertible {
    package enum Kind: Hashable, Sendable {
        /// Its occurrences cannot be told: its zone is gone, or its expression is none that this version reads.
        case timing
        /// The allow-list refuses it, or its payload.
        case target(TargetRules.Refusal.Code)
        /// A subject or header that no message can have.
        case message
    }

    package let kind: Kind
    package let description: String

    init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }
}

/// The compiled schedules that claims met lately. A schedule is found by its id and its version, which every change
/// grows, so a stale entry is never used.
///
/// Two generations: when the young one is full it becomes the old one, and what is used again moves up. No list to
/// keep, no lock order, and at most twice the capacity is held.
package final class CompiledSchedules: Sendable {
    private struct Generations {
        var young: [ScheduleID: CompiledSchedule] = [:]
        var old: [ScheduleID: CompiledSchedule] = [:]
        /// How often all was forgotten.
        var generation = 0
    }

    private let capacity: Int
    private let generations = Mutex(Generations())

    package init(capacity: Int = 20_000) { self.capacity = capacity }

    package func find(_ id: ScheduleID, version: Int64) -> CompiledSchedule? {
        generations.withLock { generations in
            if let found = generations.young[id] { return found.version == version ? found : nil }
            guard let found = generations.old[id], found.version == version else { return nil }
            insert(found, into: &generations)
            return found
        }
    }

    /// Grows each time all is forgotten.
    package var generation: Int { generations.withLock { $0.generation } }

    /// - Parameter generation: the one in which the schedule was compiled; if all was forgotten since, it is not kept.
    package func keep(_ schedule: CompiledSchedule, from generation: Int) {
        generations.withLock { if $0.generation == generation { insert(schedule, into: &$0) } }
    }

    /// Forgets all, when the allow-list or the zones have changed.
    package func removeAll() { generations.withLock { $0 = Generations(generation: $0.generation + 1) } }

    private func insert(_ schedule: CompiledSchedule, into generations: inout Generations) {
        if generations.young.count >= capacity {
            generations.old = generations.young
            generations.young = [:]
        }
        generations.young[schedule.id] = schedule
    }
}
