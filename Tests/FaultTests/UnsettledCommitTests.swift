import LocalServers
import Recurrence
import ServiceFixture
import TestSupport
import Testing

/// A COMMIT without an answer of which PostgreSQL cannot be asked either: the incarnation ends, and the next one goes by
/// what stands.
@Suite(.serialized) struct UnsettledCommitTests {
    private func instance(_ name: String, behind proxy: CuttingProxy, _ fixture: ServiceFixture) async throws
        -> ServiceInstance
    {
        try await fixture.startInstance(
            name,
            environment: [
                "DATABASE_URL": "postgresql://postgres@127.0.0.1:\(proxy.port)/carillon",
                "CARILLON_COMMIT_PATIENCE": "0.5",
            ])
    }

    /// Nobody learns what became of a transaction.
    private static let silence = CuttingProxy.Rule.cutEach("transaction_status")

    /// Keeps the silence until the instance has joined anew.
    private func keepSilent(_ proxy: CuttingProxy, until name: String, joinsAnewOn fixture: ServiceFixture) async
        -> Bool
    {
        let joins = await waitUntil(.seconds(15)) {
            (try? await fixture.count("SELECT count(*) FROM scheduler.instances WHERE name = '\(name)'")) == 2
        }
        proxy.set(.forward)
        return joins
    }

    /// What may have been adopted is known to nobody in this incarnation.
    @Test(.timeLimit(.minutes(1))) func aRescueIsNotForgotten() async throws {
        let fixture = try await ServiceFixture.start()
        try await fixture.makeStream()
        let proxy = try CuttingProxy(to: await fixture.postgres.port)
        let fired = try FiredMessages("demo.js.x", on: fixture.client)
        let victim = try await fixture.startInstance(
            "victim", environment: ["CARILLON_FAIL_AT": "publish.before@5"])
        let load = try await Load.start(fixture, named: "x", rate: 20, seconds: 2)
        #expect(await victim.process.waitForEnd(.seconds(10)))
        proxy.set(.cutAfter("claims_adopt"), then: Self.silence)
        let rescuer = try await instance("rescuer", behind: proxy, fixture)
        #expect(await waitUntil(.seconds(20)) { proxy.triggered >= 1 })
        #expect(await keepSilent(proxy, until: "rescuer", joinsAnewOn: fixture), "\(rescuer.logTail)")
        try await Ledger.settled(fixture, load)
        try await Ledger.read(fixture, load).check(load, fired.all)
        #expect(await rescuer.stop())
        proxy.stop()
        await fixture.stop()
    }

    /// What may have been given back must not be fired.
    @Test(.timeLimit(.minutes(1))) func whatWasGivenBackDoesNotFire() async throws {
        let fixture = try await ServiceFixture.start()
        try await fixture.makeStream()
        let proxy = try CuttingProxy(to: await fixture.postgres.port)
        let instance = try await instance("one", behind: proxy, fixture)
        let fired = try FiredMessages("demo.js.g", on: fixture.client)
        let due = wallMilliseconds() + 2500
        let at = Instant(milliseconds: due).rfc3339
        _ = try await fixture.command(
            "schedule.create", #"{"name":"g","schedule_type":"once","run_at":"\#(at)","target_command":"demo.js.g"}"#)
        let isClaimed = await waitUntil(.seconds(3)) {
            (try? await fixture.count("SELECT count(*) FROM scheduler.executions")) == 1
        }
        #expect(isClaimed)
        proxy.set(.cutBehind("executions_give_back", reachesServer: true), then: Self.silence)
        async let paused = fixture.command("schedule.pause", #"{"name":"g"}"#)
        #expect(await waitUntil(.seconds(2)) { proxy.triggered >= 1 })
        #expect(await keepSilent(proxy, until: "one", joinsAnewOn: fixture))
        _ = try? await paused
        try await fixture.waitUntilReady(instance)
        let isQuiet = await waitUntil(.seconds(10)) {
            (try? await fixture.count("SELECT count(*) FROM scheduler.claims")) == 0
        }
        #expect(isQuiet, "a claim is left")
        try await fixture.reach(due + 300)
        _ = try await fixture.command("schedule.resume", #"{"name":"g"}"#)
        let skipped = await waitUntil(.seconds(5)) {
            (try? await fixture.count("SELECT count(*) FROM scheduler.executions WHERE reason = 'paused'")) == 1
        }
        #expect(skipped && fired.count == 0, "it was given back, and fired")
        #expect(await instance.stop())
        proxy.stop()
        await fixture.stop()
    }
}
