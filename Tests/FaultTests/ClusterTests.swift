import LocalServers
import NATSClient
import ServiceFixture
import TestSupport
import Testing

/// Two instances on three nats-servers, all streams replicated, of which those that lead are killed and come back.
@Suite(.serialized) struct ClusterTests {
    /// What a replicated bucket asks for, longer than an election; and one that runs out in each.
    static let leases = TestForm.isLong ? [20.0, 2.0] : [20.0]
    static let seconds = TestForm.count(6, long: 60)
    static let streams = TestForm.isLong ? ["KV_SCHEDULER_LOCKS", "SCHEDULER_EVENTS", "DEMO"] : ["KV_SCHEDULER_LOCKS"]

    @Test(.timeLimit(.minutes(5)), arguments: leases)
    func aLeadersLossFencesNobodyAndLosesNothing(lease: Double) async throws {
        var options = ServiceFixture.Options()
        options.leaseSeconds = lease
        options.natsNodes = 3
        let fixture = try await ServiceFixture.start(options)
        let cluster = try #require(fixture.cluster)
        try await fixture.makeStream()
        let instances = [try await fixture.startInstance("first"), try await fixture.startInstance("second")]
        let members = try await fixture.rows("SELECT id::text FROM scheduler.instances ORDER BY id")
        let load = try await Load.start(fixture, named: "load", rate: 20, seconds: Self.seconds, oneShots: 20)
        let fired = try FiredMessages("demo.js.load", on: fixture.client)
        for (number, stream) in Self.streams.enumerated() {
            try await fixture.reach(load.beginsAt + 1000 + Int64(number) * 20_000)
            let leader = try #require(await cluster.electedLeader(of: stream, fixture.client))
            await leader.kill()
            let next = await cluster.electedLeader(of: stream, fixture.client)
            #expect(next != nil && next !== leader)
            try await leader.start()
        }
        for instance in instances { try await fixture.waitUntilReady(instance, within: .seconds(60)) }
        try await Ledger.settled(fixture, load, within: .seconds(Self.seconds + 60))
        try await Ledger.read(fixture, load).check(load, fired.all)
        // The same two, under the names they joined with.
        let after = try await fixture.rows(
            "SELECT id::text FROM scheduler.instances WHERE fenced_at IS NULL ORDER BY id")
        #expect(after == members && members.count == 2)
        print(
            "leaders of \(Self.streams) killed at a lease of \(lease) s: the largest gap was \(try await gap(fixture, load, fired)) ms"
        )
        for instance in instances { #expect(await instance.stop()) }
        await fixture.stop()
    }

    private func gap(_ fixture: ServiceFixture, _ load: Load, _ fired: FiredMessages) async throws -> Int64 {
        try await Ledger.read(fixture, load).largestGap(load, fired.all)
    }
}
