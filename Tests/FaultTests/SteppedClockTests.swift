import JSONText
import LocalServers
import ServiceFixture
import TestSupport
import Testing

/// Wall clocks that are wrong while schedules run (semantics.md §7, *Clocks*): who is over two seconds away from
/// PostgreSQL's time claims nothing and says why, nothing fires early, and when the clock is right again nothing is
/// lost or doubled.
@Suite(.serialized) struct SteppedClockTests {
    private static let steps: [Int64] = [5, -5]

    private func isOff(_ instance: ServiceInstance, _ fixture: ServiceFixture) async -> Bool {
        await waitUntil(.seconds(15)) {
            guard let status = try? await fixture.status(of: instance), status["ready"]?.bool == false else {
                return false
            }
            let reasons = status["reasons"].map { $0.elements.compactMap(\.string) } ?? []
            return reasons.contains { $0.contains("ms off PostgreSQL's") }
        }
    }

    /// Executions of a load that an instance has claimed in a time (ms since 1970).
    private func claims(
        by instance: ServiceInstance, from: Int64, to: Int64, _ fixture: ServiceFixture
    ) async throws -> Int64 {
        try await fixture.count(
            """
            SELECT count(*) FROM scheduler.executions e JOIN scheduler.instances i ON i.id = e.claimed_by
            WHERE i.name = '\(instance.name)' AND extract(epoch FROM e.claimed_at) * 1000 BETWEEN \(from) AND \(to)
            """)
    }

    @Test(.timeLimit(.minutes(2)), arguments: steps)
    func anInstanceWhoseClockIsWrongClaimsNothing(_ seconds: Int64) async throws {
        let fixture = try await ServiceFixture.start()
        try await fixture.makeStream()
        let clock = try await SteppedClock(in: fixture.folder)
        let victim = try await fixture.startInstance("stepped", environment: clock.environment)
        let other = try await fixture.startInstance("steady")
        let fired = try FiredMessages("demo.js.clock", on: fixture.client)
        let load = try await Load.start(fixture, named: "clock", rate: 40, seconds: 12)
        try await fixture.reach(load.beginsAt + 2000)
        #expect(try await claims(by: victim, from: 0, to: .max, fixture) > 0, "the victim has no share")

        try clock.set(ahead: seconds)
        #expect(await isOff(victim, fixture), "\(victim.logTail)")
        #expect(try await fixture.status(of: other)?["ready"]?.bool == true)
        let wrongFrom = wallMilliseconds()
        try await fixture.reach(wrongFrom + 4000)
        let wrongTo = wallMilliseconds()
        #expect(try await claims(by: victim, from: wrongFrom, to: wrongTo, fixture) == 0)
        // The other one takes over what it does not claim, as soon as that is overdue by a second.
        let unclaimed = try await fixture.count(
            """
            SELECT count(*) FROM scheduler.timers t JOIN scheduler.schedules s ON s.id = t.schedule_id
            WHERE s.namespace = 'clock' AND t.next_fire_at < clock_timestamp() - interval '2.5 seconds'
            """)
        #expect(unclaimed == 0)
        #expect(try await claims(by: other, from: wrongFrom, to: wrongTo, fixture) > 80)

        try clock.set(ahead: 0)
        try await fixture.waitUntilReady(victim)
        let rightFrom = wallMilliseconds()
        try await Ledger.settled(fixture, load)
        try await Ledger.read(fixture, load).check(load, fired.all)
        #expect(fired.count == load.total, "something was published twice")
        #expect(try await claims(by: victim, from: rightFrom, to: .max, fixture) > 0, "it claims again")
        #expect(try await fixture.count("SELECT count(*) FROM scheduler.instances WHERE fenced_at IS NOT NULL") == 0)
        for instance in [victim, other] { #expect(await instance.stop()) }
        await fixture.stop()
    }

    /// PostgreSQL's clock is now: what it says is followed at once, nobody claims by it, and no instant is fired twice.
    @Test(.timeLimit(.minutes(2)), arguments: steps)
    func aStepOfPostgreSQLsClockFiresNothingTwice(_ seconds: Int64) async throws {
        let folder = try Filesystem.makeTemporaryFolder()
        defer { Filesystem.remove(folder) }
        let clock = try await SteppedClock(in: folder)
        var options = ServiceFixture.Options()
        options.postgresEnvironment = clock.environment
        let fixture = try await ServiceFixture.start(options)
        try await fixture.makeStream()
        let instances = [try await fixture.startInstance("first"), try await fixture.startInstance("second")]
        let fired = try FiredMessages("demo.js.step", on: fixture.client)
        let load = try await Load.start(fixture, named: "step", rate: 40, seconds: 8)
        try await fixture.reach(load.beginsAt + 2000)
        try clock.set(ahead: seconds)
        for instance in instances { #expect(await isOff(instance, fixture), "\(instance.logTail)") }
        let count = fired.count
        #expect(count < load.total)
        try await fixture.reach(wallMilliseconds() + 2000)
        try clock.set(ahead: 0)
        for instance in instances { try await fixture.waitUntilReady(instance) }
        try await Ledger.settled(fixture, load)
        // Early and late are PostgreSQL's to say here; the arrivals were timed by another clock.
        try await Ledger.read(fixture, load).check(load, [])
        #expect(fired.count == load.total, "something was published twice")
        for instance in instances { #expect(await instance.stop()) }
        await fixture.stop()
    }
}
