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
    package let delivery: Delivery
    package let misfire: MisfireRule
    package let priority: Int16
    package let payload: [UInt8]
    package let payloadSHA256: String
    package let planner: ClaimPlanner
    let subject: Subject
    let fixedHeaders: [(name: HeaderName, value: String)]
    let fixedHeaderBytes: Int
    /// What is wrong with it: it cannot be fired, and becomes `invalid` when it is claimed.
    package let fault: String?

    init(
        _ schedule: Schedule, zones: ZoneLookup, rules: TargetRules
    ) throws {
        let definition = schedule.definition
        id = schedule.id
        version = schedule.version
        namespace = schedule.namespace.description
        name = definition.name.description
        delivery = definition.delivery
        misfire = definition.misfire
        priority = definition.priority
        payload = definition.payload
        payloadSHA256 = Digest.hexadecimal(Digest.sha256(definition.payload))
        var faults: [String] = []
        var source = OccurrenceSource(recurrence: .once(.latest))
        do { source = try schedule.occurrences(zones: zones) } catch {
            faults.append("\(error.field): \(error)")
        }
        planner = ClaimPlanner(
            source: source, rule: definition.misfire, offset: schedule.spreadOffset,
            runLimit: definition.timing.runLimit, trigger: definition.timing.trigger)
        subject = try Subject(definition.target.description)
        fixedHeaders = try Self.fixedHeaders(of: schedule)
        fixedHeaderBytes = fixedHeaders.reduce(0) { $0 + $1.name.description.utf8.count + $1.value.utf8.count + 4 }
        do {
            try rules.check(
                definition.target, delivery: definition.delivery, payloadBytes: definition.payload.count,
                for: schedule.namespace)
        } catch {
            faults.append(error.description)
        }
        fault = faults.first
    }

    private static func fixedHeaders(of schedule: Schedule) throws -> [(name: HeaderName, value: String)] {
        var headers: [(name: HeaderName, value: String)] = [
            (FiredHeader.scheduleID, schedule.id.description),
            (FiredHeader.scheduleName, schedule.definition.name.description),
            (FiredHeader.namespace, schedule.namespace.description),
            (HeaderName.contentType, "application/json"),
        ]
        for header in schedule.definition.headers { headers.append((try HeaderName(header.name), header.value)) }
        return headers
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

    package func keep(_ schedule: CompiledSchedule) {
        generations.withLock { insert(schedule, into: &$0) }
    }

    /// Forgets all, when the allow-list or the zones have changed.
    package func removeAll() { generations.withLock { $0 = Generations() } }

    private func insert(_ schedule: CompiledSchedule, into generations: inout Generations) {
        if generations.young.count >= capacity {
            generations.old = generations.young
            generations.young = [:]
        }
        generations.young[schedule.id] = schedule
    }
}
