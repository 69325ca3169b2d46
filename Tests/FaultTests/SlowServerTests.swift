import LocalServers
import NATSClient
import ServiceFixture
import Testing

/// A server that is slow to answer has what was written to it: a core target sees nothing twice by that.
@Suite(.serialized) struct SlowServerTests {
    @Test(.timeLimit(.minutes(1))) func aSlowFlushDoublesNothing() async throws {
        var options = ServiceFixture.Options()
        // The lease outlasts the pause: nobody joins anew, and nothing is rescued.
        options.leaseSeconds = 20
        let fixture = try await ServiceFixture.start(options)
        try await fixture.makeStream()
        let instance = try await fixture.startInstance()
        let fired = try FiredMessages("demo.core.slow", on: fixture.client)
        let load = try await Load.start(fixture, named: "slow", delivery: .core, rate: 40, seconds: 6)
        try await fixture.reach(load.beginsAt + 1000)
        await fixture.nats.pause()
        // Longer than one PING is waited for, shorter than a silent server is borne.
        try await fixture.reach(load.beginsAt + 4800)
        let waiting = try await fixture.count(
            """
            SELECT count(*) FROM scheduler.executions
            WHERE state = 'claimed' AND due_at < now() - interval '1 second'
            """)
        #expect(waiting >= 40, "nothing waited for an answer: the server was not slow")
        await fixture.nats.resume()
        try await Ledger.settled(fixture, load)
        try await Ledger.read(fixture, load).check(load, fired.all, inFlight: 0)
        #expect(try await fixture.count("SELECT count(*) FROM scheduler.executions WHERE outcome IS NOT NULL") == 0)
        #expect(await instance.stop())
        await fixture.stop()
    }
}
