import JSONText
import LocalServers
import Recurrence
import ServiceFixture
import TestSupport
import Testing

/// A COMMIT without an answer, for each transaction on the way of an occurrence, with both truths: it took place, or it
/// did not.
@Suite(.serialized) struct UnknownCommitTests {
    /// The last statement before COMMIT, by which the proxy knows the transaction.
    enum Transaction: String, Sendable, CaseIterable, CustomTestStringConvertible {
        case claim = "claims_insert"
        case record = "executions_end"
        case settle = "claims_delete"

        var testDescription: String { "\(self)" }
    }

    struct Cut: Sendable, CustomTestStringConvertible {
        let transaction: Transaction
        let tookPlace: Bool

        var testDescription: String { "\(transaction), \(tookPlace ? "committed" : "not committed")" }
        var rule: CuttingProxy.Rule {
            tookPlace ? .cutAfter(transaction.rawValue) : .cutBefore(transaction.rawValue)
        }
    }

    static let cuts = Transaction.allCases.flatMap { transaction in
        [true, false].map { Cut(transaction: transaction, tookPlace: $0) }
    }

    @Test(.timeLimit(.minutes(2))) func nothingIsLostOrDoubled() async throws {
        let fixture = try await ServiceFixture.start()
        try await fixture.makeStream()
        let proxy = try CuttingProxy(to: await fixture.postgres.port)
        let instance = try await fixture.startInstance(
            environment: ["DATABASE_URL": "postgresql://postgres@127.0.0.1:\(proxy.port)/carillon"])
        for (index, cut) in Self.cuts.enumerated() {
            let fired = try FiredMessages("demo.js.c\(index)", on: fixture.client)
            let load = try await Load.start(
                fixture, named: "c\(index)", rate: 20, seconds: 2, after: 1200, oneShots: 10)
            try await fixture.reach(load.beginsAt + 500)
            let before = proxy.triggered
            proxy.set(cut.rule)
            #expect(await waitUntil(.seconds(5)) { proxy.triggered > before }, "\(cut.testDescription) was never cut")
            try await Ledger.settled(fixture, load)
            let ledger = try await Ledger.read(fixture, load)
            ledger.check(load, fired.all)
            #expect(fired.count == load.total, "\(cut.testDescription): something was published twice")
            fired.cancel()
        }
        #expect(await instance.stop())
        proxy.stop()
        await fixture.stop()
    }

    /// A command without a `request_id` is run again after an unknown COMMIT, and must not meet itself as another's.
    @Test(.timeLimit(.minutes(1)), arguments: [true, false])
    func aCommandThatWasCommittedIsAnsweredAsSuch(_ tookPlace: Bool) async throws {
        let fixture = try await ServiceFixture.start()
        try await fixture.makeStream()
        let proxy = try CuttingProxy(to: await fixture.postgres.port)
        let instance = try await fixture.startInstance(
            environment: ["DATABASE_URL": "postgresql://postgres@127.0.0.1:\(proxy.port)/carillon"])
        func cut(_ statement: String) { proxy.set(tookPlace ? .cutAfter(statement) : .cutBefore(statement)) }
        cut("schedules_insert")
        let created = try await fixture.command(
            "schedule.create",
            #"{"name":"n","schedule_type":"interval","interval_seconds":3600,"target_command":"demo.js.u"}"#)
        #expect(created["error"] == nil, "\(String(decoding: created.bytes, as: UTF8.self))")
        #expect(proxy.triggered == 1)
        let fired = try FiredMessages("demo.js.u", on: fixture.client)
        cut("executions_open")
        let triggered = try await fixture.command("schedule.trigger", #"{"name":"n"}"#)
        #expect(triggered["error"] == nil, "\(String(decoding: triggered.bytes, as: UTF8.self))")
        #expect(proxy.triggered == 2)
        cut("schedules_update")
        let paused = try await fixture.command("schedule.pause", #"{"name":"n","if_version":1}"#)
        #expect(paused["error"] == nil, "\(String(decoding: paused.bytes, as: UTF8.self))")
        #expect(paused["schedule"]?["state"]?.string == "paused")
        cut("schedules_update")
        let deleted = try await fixture.command("schedule.delete", #"{"name":"n"}"#)
        #expect(deleted["error"] == nil, "\(String(decoding: deleted.bytes, as: UTF8.self))")
        #expect(proxy.triggered == 4)
        let isQuiet = await waitUntil(.seconds(10)) {
            (try? await fixture.count("SELECT count(*) FROM scheduler.claims")) == 0
        }
        #expect(isQuiet, "a claim is left")
        #expect(fired.count == 1)
        // Created, triggered, paused, deleted.
        #expect(try await fixture.count("SELECT count(*) FROM scheduler.audit_log") == 4)
        #expect(
            try await fixture.count("SELECT schedule_count FROM scheduler.namespaces WHERE namespace = 'test'") == 0)
        #expect(await instance.stop())
        proxy.stop()
        await fixture.stop()
    }

    /// What a pause takes back does not fire because the answer to its giving back got lost; nor is it forgotten.
    @Test(.timeLimit(.minutes(1)), arguments: [true, false])
    func whatWasGivenBackStaysSo(_ tookPlace: Bool) async throws {
        let fixture = try await ServiceFixture.start()
        try await fixture.makeStream()
        let proxy = try CuttingProxy(to: await fixture.postgres.port)
        let instance = try await fixture.startInstance(
            environment: ["DATABASE_URL": "postgresql://postgres@127.0.0.1:\(proxy.port)/carillon"])
        let fired = try FiredMessages("demo.js.g", on: fixture.client)
        let due = wallMilliseconds() + 1500
        let at = Instant(milliseconds: due).rfc3339
        _ = try await fixture.command(
            "schedule.create", #"{"name":"g","schedule_type":"once","run_at":"\#(at)","target_command":"demo.js.g"}"#)
        let isClaimed = await waitUntil(.seconds(2)) {
            (try? await fixture.count("SELECT count(*) FROM scheduler.executions")) == 1
        }
        #expect(isClaimed)
        proxy.set(.cutBehind("executions_give_back", reachesServer: tookPlace))
        let paused = try await fixture.command("schedule.pause", #"{"name":"g"}"#)
        #expect(proxy.triggered == 1)
        let inFlight = paused["in_flight"].map { $0.elements.compactMap(\.string) } ?? []
        try await fixture.reach(due + 500)
        let isQuiet = await waitUntil(.seconds(10)) {
            (try? await fixture.count("SELECT count(*) FROM scheduler.claims")) == 0
        }
        #expect(isQuiet, "a claim is left")
        let open = try await fixture.count("SELECT count(*) FROM scheduler.executions WHERE state = 'claimed'")
        #expect(open == 0)
        // Where the first giving back did not take place the command asks again.
        #expect(fired.count == 0, "it was given back, and fired")
        #expect(inFlight.isEmpty)
        let resumeFrom = try await fixture.count(
            "SELECT count(*) FROM scheduler.timers WHERE resume_from IS NOT NULL AND run_count = 0")
        #expect(resumeFrom == 1)
        #expect(await instance.stop())
        proxy.stop()
        await fixture.stop()
    }

    /// A rescue whose COMMIT got no answer leaves no claim that a living instance owns and does not know.
    @Test(.timeLimit(.minutes(1)), arguments: [true, false])
    func aRescueIsNotForgotten(_ tookPlace: Bool) async throws {
        let fixture = try await ServiceFixture.start()
        try await fixture.makeStream()
        let proxy = try CuttingProxy(to: await fixture.postgres.port)
        let fired = try FiredMessages("demo.js.x", on: fixture.client)
        let victim = try await fixture.startInstance(
            "victim", environment: ["CARILLON_FAIL_AT": "publish.before@5"])
        let load = try await Load.start(fixture, named: "x", rate: 20, seconds: 2)
        #expect(await victim.process.waitForEnd(.seconds(10)))
        proxy.set(tookPlace ? .cutAfter("claims_adopt") : .cutBefore("claims_adopt"))
        let rescuer = try await fixture.startInstance(
            "rescuer", environment: ["DATABASE_URL": "postgresql://postgres@127.0.0.1:\(proxy.port)/carillon"])
        #expect(await waitUntil(.seconds(20)) { proxy.triggered == 1 })
        try await Ledger.settled(fixture, load)
        try await Ledger.read(fixture, load).check(load, fired.all)
        #expect(await rescuer.stop())
        proxy.stop()
        await fixture.stop()
    }
}
