import JSONText
import LocalServers
import NATSClient
import PostgresClient
import Recurrence
import SchedulerEngine
import ServiceFixture
import TestSupport
import Testing

/// `guarantee: at_most_once` through crashes and broken connections (semantics.md §7).
@Suite(.serialized) struct AtMostOnceTests {
    /// Those at which it is decided whether a rescue may send.
    static let points: [FailPoint] =
        TestForm.isLong ? FailPoint.ofFires : [.publishing, .published]

    private static let once = #","guarantee":"at_most_once""#

    /// Reason, outcome and last outcome of each dead execution.
    private func words(_ fixture: ServiceFixture, _ load: Load) async throws -> [String: String] {
        let rows = try await fixture.rows(
            """
            SELECT e.id::text, concat_ws(' ', e.reason, e.outcome, e.last_outcome)
            FROM scheduler.executions e JOIN scheduler.schedules s ON s.id = e.schedule_id
            WHERE s.namespace = '\(load.namespace)' AND e.state = 'dead'
            """)
        return Dictionary(rows.map { ($0[0] ?? "", $0[1] ?? "") }, uniquingKeysWith: { first, _ in first })
    }

    /// `kill -9` with streams, core and request targets under way: a stream has each once, the others at most once. Those
    /// requests that may be sent again are all answered.
    @Test(.timeLimit(.minutes(1)), arguments: points) func aKilledInstanceDoublesNothing(_ point: FailPoint)
        async throws
    {
        let system = try await SharedSystem.shared.started()
        let name = "o\(Self.points.firstIndex(of: point) ?? 0)"
        let isDecisive = [.publishing, .published, .acknowledged].contains(point)
        let fired = try FiredMessages("demo.>", on: system.client)
        let victim = try await system.startInstance(
            "victim", environment: ["CARILLON_FAIL_AT": "\(point.rawValue)@\(isDecisive ? 12 : 6)"])
        var once: [Load] = []
        for delivery in [Load.Delivery.core, .request] {
            once.append(
                try await Load.start(
                    system, named: "\(name)\(delivery)", delivery: delivery, rate: 8, seconds: 3, fields: Self.once))
        }
        let stored = try await Load.start(system, named: "\(name)js", rate: 4, seconds: 3, fields: Self.once)
        let again = try await Load.start(system, named: "\(name)again", delivery: .request, rate: 4, seconds: 3)
        #expect(await victim.process.waitForEnd(.seconds(10)), "the victim did not reach \(point.rawValue)")
        for load in once + [stored, again] { try await Ledger.settled(system, load) }
        let owed = "SELECT count(*) FROM scheduler.owed_messages"
        #expect(await waitUntil(.seconds(10)) { (try? await system.count(owed)) == 0 })
        var uncertain = 0
        for load in once {
            let ledger = try await Ledger.read(system, load)
            uncertain += ledger.checkAtMostOnce(load, fired.all, try await words(system, load))
        }
        if isDecisive { #expect(uncertain > 0, "what the victim had in hand is nobody's to know") }
        try await Ledger.read(system, stored).check(stored, fired.all)
        let asked = try await Ledger.read(system, again)
        #expect(asked.rows.count == again.total && asked.rows.allSatisfy { $0.state == "delivered" })
        fired.cancel()
    }

    /// A stream's memory can be relied upon for half its window: what was to be sent longer ago is not sent again.
    @Test(.timeLimit(.minutes(1))) func aLateRescueSendsNothing() async throws {
        let fixture = try await ServiceFixture.start()
        try await fixture.makeStream()
        let victim = try await fixture.startInstance("victim", environment: ["CARILLON_FAIL_AT": "publish.before"])
        let at = Instant(milliseconds: wallMilliseconds() + 1000).rfc3339
        for (name, guarantee) in [("once", Self.once), ("again", "")] {
            let created = try await fixture.command(
                "schedule.create",
                #"{"name":"\#(name)","schedule_type":"once","run_at":"\#(at)","target_command":"demo.js.\#(name)"\#(guarantee)}"#
            )
            #expect(created["error"] == nil)
        }
        #expect(await victim.process.waitForEnd(.seconds(10)))
        #expect(try await fixture.count("SELECT count(*) FROM scheduler.executions WHERE state = 'claimed'") == 2)
        try await fixture.database.execute(
            script: """
                UPDATE scheduler.executions SET claimed_at = claimed_at - interval '61 seconds',
                    due_at = due_at - interval '61 seconds'
                """)
        let rescuer = try await fixture.startInstance("rescuer")
        let ended = "SELECT count(*) FROM scheduler.executions WHERE finished_at IS NOT NULL"
        #expect(await waitUntil(.seconds(10)) { (try? await fixture.count(ended)) == 2 })
        let rows = try await fixture.rows(
            """
            SELECT s.name, e.state, e.reason, e.outcome, e.last_outcome
            FROM scheduler.executions e JOIN scheduler.schedules s ON s.id = e.schedule_id ORDER BY s.name
            """)
        #expect(
            rows == [
                ["again", "delivered", nil, "uncertain", nil], ["once", "dead", "uncertain", "uncertain", "uncertain"],
            ])
        #expect(try await fixture.messages(of: "DEMO").map(\.subject) == ["demo.js.again"])
        #expect(await rescuer.stop())
        await fixture.stop()
    }

    /// The connection breaks while a core publish is unconfirmed and a reply is awaited. Nothing is sent again; the reply
    /// that comes over the new connection counts.
    @Test(.timeLimit(.minutes(1)), arguments: [true, false])
    func aBrokenConnectionSendsNothingAgain(_ isAtMostOnce: Bool) async throws {
        let fixture = try await ServiceFixture.start()
        let proxy = try CuttingProxy(to: await fixture.nats.port)
        let instance = try await fixture.startInstance(environment: ["NATS_URL": "nats://127.0.0.1:\(proxy.port)"])
        let fired = try FiredMessages("demo.>", on: fixture.client)
        let held = HeldReplies()
        let worker = try fixture.client.subscribe(SubjectFilter("demo.request.b")) { held.hold($0) }
        try await fixture.client.flush()
        let guarantee = isAtMostOnce ? Self.once : ""
        let ended = "SELECT count(*) FROM scheduler.executions WHERE finished_at IS NOT NULL"
        for delivery in ["core", "request"] {
            let completion = delivery == "request" ? #","completion":"reply","max_retries":0"# : ""
            proxy.set(.muteAfter("HPUB demo.\(delivery).b "))
            let before = proxy.triggered
            let reply = try await fixture.command(
                "schedule.create",
                """
                {"name":"\(delivery)","schedule_type":"immediate","target_command":"demo.\(delivery).b",\
                "delivery":"\(delivery)"\(completion)\(guarantee)}
                """)
            #expect(reply["error"] == nil, "\(String(decoding: reply.bytes, as: UTF8.self))")
            #expect(await waitUntil(.seconds(10)) { proxy.triggered > before })
            let subject = "demo.\(delivery).b"
            #expect(await waitUntil(.seconds(5)) { fired.all.contains { $0.subject == subject } })
            proxy.cutSilenced()
            if delivery == "core" {
                #expect(await waitUntil(.seconds(15)) { (try? await fixture.count(ended)) == 1 })
            } else if !isAtMostOnce {
                #expect(await waitUntil(.seconds(10)) { held.count == 2 })
            }
        }
        let hasEnded = await waitUntil(.seconds(15)) {
            // The first copy's reply comes over the new connection, once there is one.
            held.answerFirst(on: fixture.client)
            try? await fixture.client.flush()
            return (try? await fixture.count(ended)) == 2
        }
        #expect(hasEnded)
        let rows = try await fixture.rows(
            """
            SELECT s.name || ' ' || e.state || coalesce(' ' || e.reason, '') || coalesce(' ' || e.outcome, '')
            FROM scheduler.executions e JOIN scheduler.schedules s ON s.id = e.schedule_id ORDER BY s.name
            """
        ).map { $0[0] ?? "" }
        let counts = ["core", "request"].map { name in fired.all.count { $0.subject == "demo.\(name).b" } }
        if isAtMostOnce {
            #expect(rows == ["core dead uncertain uncertain", "request succeeded"])
            #expect(counts == [1, 1])
        } else {
            #expect(rows == ["core delivered uncertain", "request succeeded uncertain"])
            // Two where nothing is slow; a copy more where a reply takes long.
            #expect(counts.allSatisfy { $0 >= 2 }, "\(counts)")
            #expect(Set(fired.all.map(\.attempt)) == ["1"])
        }
        worker.cancel()
        fired.cancel()
        #expect(await instance.stop())
        proxy.stop()
        await fixture.stop()
    }
}
