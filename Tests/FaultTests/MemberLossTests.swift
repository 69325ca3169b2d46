import LocalServers
import ServiceFixture
import TestSupport
import Testing

/// Two instances under load, of which one dies, or sleeps and wakes, or leaves in good order.
@Suite(.serialized) struct MemberLossTests {
    static let rate = TestForm.isLong ? 200 : 60
    static let seconds = TestForm.isLong ? 60 : 10
    static let lease = 2.0

    private func pair() async throws -> (ServiceFixture, ServiceInstance, ServiceInstance) {
        var options = ServiceFixture.Options()
        options.leaseSeconds = Self.lease
        let fixture = try await ServiceFixture.start(options)
        try await fixture.makeStream()
        let first = try await fixture.startInstance("first")
        return (fixture, first, try await fixture.startInstance("second"))
    }

    @Test(.timeLimit(.minutes(4))) func aKilledMemberIsReplacedWithinALeaseAndASecond() async throws {
        let (fixture, victim, survivor) = try await pair()
        let fired = try FiredMessages("demo.js.kill", on: fixture.client)
        let load = try await Load.start(
            fixture, named: "kill", rate: Self.rate, seconds: Self.seconds, oneShots: Self.rate)
        try await fixture.reach(load.beginsAt + Int64(Self.seconds) * 300)
        await victim.kill()
        try await Ledger.settled(fixture, load, within: .seconds(Self.seconds + 30))
        let ledger = try await Ledger.read(fixture, load)
        ledger.check(load, fired.all)
        let gap = ledger.largestGap(load, fired.all)
        #expect(gap > 500, "the kill hit nothing: the largest gap is \(gap) ms")
        #expect(gap <= Int64(Self.lease * 1000) + 1000)
        print("kill -9 at \(Self.rate)/s: the largest gap was \(gap) ms at a lease of \(Self.lease) s")
        _ = await survivor.stop()
        await fixture.stop()
    }

    @Test(.timeLimit(.minutes(4))) func aMemberThatSleptFindsItselfFencedAndJoinsAnew() async throws {
        let (fixture, victim, survivor) = try await pair()
        let fired = try FiredMessages("demo.js.sleep", on: fixture.client)
        let load = try await Load.start(
            fixture, named: "sleep", rate: Self.rate, seconds: Self.seconds + 4, oneShots: Self.rate)
        try await fixture.reach(load.beginsAt + Int64(Self.seconds) * 300)
        victim.pause()
        try await Task.sleep(for: .seconds(3 * Self.lease))
        victim.resume()
        try await fixture.waitUntilReady(victim)
        try await Ledger.settled(fixture, load, within: .seconds(Self.seconds + 30))
        let ledger = try await Ledger.read(fixture, load)
        ledger.check(load, fired.all)
        let gap = ledger.largestGap(load, fired.all)
        #expect(gap <= Int64(Self.lease * 1000) + 1000)
        let fenced = try await fixture.rows(
            "SELECT name FROM scheduler.instances WHERE fenced_at IS NOT NULL ORDER BY started_at")
        #expect(fenced == [["first"]])
        let living = try await fixture.rows(
            "SELECT name FROM scheduler.instances WHERE fenced_at IS NULL ORDER BY name")
        #expect(living == [["first"], ["second"]])
        print("SIGSTOP for three leases: the largest gap was \(gap) ms")
        _ = await victim.stop()
        _ = await survivor.stop()
        await fixture.stop()
    }

    @Test(.timeLimit(.minutes(4))) func aMemberThatLeavesHandsOverAtOnce() async throws {
        let (fixture, first, second) = try await pair()
        let fired = try FiredMessages("demo.js.leave", on: fixture.client)
        let load = try await Load.start(
            fixture, named: "leave", rate: Self.rate, seconds: Self.seconds, oneShots: Self.rate)
        try await fixture.reach(load.beginsAt + Int64(Self.seconds) * 200)
        // A rolling restart: each in turn, the other one works on.
        #expect(await first.stop(), "\(first.logTail)")
        let again = try await fixture.startInstance("first again")
        #expect(await second.stop(), "\(second.logTail)")
        let last = try await fixture.startInstance("second again")
        try await Ledger.settled(fixture, load, within: .seconds(Self.seconds + 30))
        let ledger = try await Ledger.read(fixture, load)
        ledger.check(load, fired.all)
        #expect(fired.count == load.total, "something was published twice")
        let gap = ledger.largestGap(load, fired.all)
        #expect(gap < 2000)
        print("a rolling restart: the largest gap was \(gap) ms")
        _ = await again.stop()
        _ = await last.stop()
        await fixture.stop()
    }
}
