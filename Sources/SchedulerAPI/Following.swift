import JSONText
import PostgresClient
import SchedulerCore
import SchedulerStore
import SchedulerWire

/// `after`: what a definition that follows others needs, and what those need that are followed.
extension ScheduleDefinitions {
    /// Refuses links that lead nowhere or come back to itself. From here on nobody else changes the namespace's links.
    /// - Parameter others: schedules that the same transaction makes before this one.
    func expectFollowable(
        _ schedule: Schedule, besides others: Set<ScheduleName> = [], in transaction: PostgresTransaction
    ) async throws {
        guard let rule = schedule.definition.after else { return }
        try await LinkTable.lock(schedule.namespace, in: transaction)
        let names = rule.links.map(\.schedule)
        let outlook = try await LinkTable.outlook(
            names, of: schedule.definition.name, in: schedule.namespace, on: transaction)
        let missing = outlook.missing.filter { !others.contains(names[$0]) }
        let problems = missing.map { place in
            WireError.Problem(
                .scheduleNotFound, rule.pointer(to: place),
                "the namespace has no schedule called '\(names[place])' that could end")
        }
        if let error = WireError(problems) { throw error }
        if outlook.missing.count > missing.count {
            // What follows it already cannot be compared with what is not made yet.
            try await expectUnfollowed(schedule, in: transaction)
        }
        guard outlook.isCycle else { return }
        throw WireError(
            .dependencyCycle,
            "'\(schedule.definition.name)' would follow itself: what it follows, follows it, directly or through others",
            details: [WireError.Detail(.root.appending("after"), "comes back to this schedule")])
    }

    /// Refuses what would cut a chain, a rename, or could close one.
    func expectUnfollowed(_ old: Schedule, in transaction: PostgresTransaction) async throws {
        let followers = try await LinkTable.followers(
            of: old.definition.name, in: old.namespace, on: transaction)
        guard !followers.isEmpty else { return }
        throw WireError(
            .wrongState,
            "'\(old.definition.name)' is followed under its name by \(followers.joined(separator: ", ")): change those first"
        )
    }
}

extension FollowRule {
    fileprivate func pointer(to place: Int) -> JSONPointer {
        let after = JSONPointer.root.appending("after")
        if join == .any, links.count == 1 { return after.appending("schedule") }
        return after.appending(join.rawValue).appending(place).appending("schedule")
    }
}

extension Change {
    /// Writes whom a schedule follows from now on. - Parameter old: what it said so far; nil of a new one.
    mutating func follow(_ schedule: Schedule, insteadOf old: ScheduleDefinition?) {
        let (rule, id) = (schedule.definition.after, schedule.id)
        if old?.name != schedule.definition.name {
            write(LinkTable.adopt(id, called: schedule.definition.name, in: schedule.namespace))
        }
        guard old?.after != rule else { return }
        if old?.after != nil { write(LinkTable.remove(of: id)) }
        if let rule { write(LinkTable.insert(rule, of: id, in: schedule.namespace)) }
    }

    /// The same of one that was over, and followed nobody: it has its name again, and whom it follows.
    mutating func followAgain(_ schedule: Schedule) {
        write(LinkTable.remove(of: schedule.id))
        follow(schedule, insteadOf: nil)
    }
}
