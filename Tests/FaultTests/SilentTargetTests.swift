import JSONText
import LocalServers
import NATSClient
import PostgresClient
import ServiceFixture
import Testing

/// Targets that never acknowledge: others do not notice, and nothing of theirs is lost.
@Suite(.serialized) struct SilentTargetTests {
    /// Why no acknowledgement comes.
    enum Silence: String, Sendable, CaseIterable, CustomTestStringConvertible {
        /// Nobody takes the subject: the server says so at once.
        case nobody
        /// A subscriber takes it and no stream: each publish waits for its time-out.
        case listener

        var testDescription: String { rawValue }
    }

    private func start(mostInFlight: Int) async throws -> ServiceFixture {
        var options = ServiceFixture.Options()
        options.environment["MAX_EXECUTIONS_IN_FLIGHT"] = "\(mostInFlight)"
        let fixture = try await ServiceFixture.start(options)
        try await fixture.makeStream("DEMO", subjects: "demo.js.good")
        return fixture
    }

    private func executions(_ namespace: String, _ condition: String = "true") -> String {
        """
        SELECT count(*) FROM scheduler.executions
        WHERE schedule_id IN (SELECT id FROM scheduler.schedules WHERE namespace = '\(namespace)') AND \(condition)
        """
    }

    /// Makes a schedule of which 900 occurrences wait; it fires all of them, and 20 more or so.
    private func makeBacklog(_ name: String, _ fixture: ServiceFixture) async throws {
        let end = Load.time(wallMilliseconds() + 4000)
        let body = """
            {"name":"\(name)","schedule_type":"interval","interval_seconds":0.1,"end_at":"\(end)","paused":true,\
            "misfire_policy":"fire_all","catchup_limit":1000,"target_command":"demo.js.backlog"}
            """
        let reply = try await fixture.changing("schedule.create", body, namespace: "backlog")
        let id = reply["schedule"]?["id"]?.string ?? "no id"
        try await fixture.database.execute(
            script: """
                UPDATE scheduler.schedules SET anchor_at = anchor_at - interval '90 seconds' WHERE id = '\(id)';
                UPDATE scheduler.timers SET resume_from = resume_from - interval '90 seconds' WHERE schedule_id = '\(id)'
                """)
        _ = try await fixture.changing(
            "schedule.resume", "{\"name\":\"\(name)\",\"catch_up\":true}", namespace: "backlog")
    }

    private func status(_ fixture: ServiceFixture) async throws -> (isReady: Bool, unanswered: Int64) {
        let status = try await fixture.statuses().first
        return (status?["ready"]?.bool ?? false, status?["unanswered"]?.int64 ?? -1)
    }

    /// The bound on what is in flight is passed by what the silent target keeps waiting, and by nothing else.
    @Test(.timeLimit(.minutes(2)), arguments: Silence.allCases)
    func othersAreNotDisturbed(_ silence: Silence) async throws {
        let fixture = try await start(mostInFlight: 4000)
        let instance = try await fixture.startInstance()
        let listener = silence == .listener ? try FiredMessages("demo.js.*", on: fixture.client) : nil
        let ticking = try await Load.start(fixture, named: "poison", rate: 1, seconds: 5, every: 100)
        for number in 0..<6 { try await makeBacklog("b\(number)", fixture) }
        #expect(await waitUntil(.seconds(25)) { (try? await self.status(fixture).unanswered) ?? 0 >= 5400 })

        let fired = try FiredMessages("demo.js.good", on: fixture.client)
        let good = try await Load.start(fixture, named: "good", rate: 20, seconds: 5)
        try await fixture.reach(good.endsAt + 1000)
        // Each by itself, and none late: a catch-up would say so.
        let onTime = executions(
            "good", "state = 'delivered' AND trigger = 'interval' AND fired_at < due_at + interval '1 second'")
        #expect(try await fixture.count(onTime) == good.total)
        #expect(try await fixture.count(executions("poison", "state <> 'claimed'")) == 0)
        let during = try await status(fixture)
        #expect(during.isReady && during.unanswered >= 5400)

        // A stream for the poisonous ones: all of theirs is delivered, once.
        try await fixture.makeStream("LATE", subjects: "demo.js.poison")
        try await fixture.makeStream("LATER", subjects: "demo.js.backlog")
        try await Ledger.settled(fixture, ticking, within: .seconds(60))
        // The last of the backlog, which found no place before.
        let ended = "SELECT count(*) FROM scheduler.schedules WHERE namespace = 'backlog' AND state = 'exhausted'"
        #expect(await waitUntil(.seconds(30)) { (try? await fixture.count(ended)) == 6 })
        try await Ledger.read(fixture, good).check(good, fired.all)
        try await Ledger.read(fixture, ticking, stream: "LATE").check(ticking, [])
        let gaps = try await fixture.rows(
            """
            SELECT s.name, count(*)::text, count(DISTINCT e.scheduled_for)::text,
                (extract(epoch FROM max(e.scheduled_for) - min(e.scheduled_for)) * 10 + 1)::bigint::text
            FROM scheduler.executions e JOIN scheduler.schedules s ON s.id = e.schedule_id
            WHERE s.namespace = 'backlog' AND e.state = 'delivered' GROUP BY s.name
            """)
        #expect(gaps.count == 6)
        for row in gaps { #expect(Set(row.dropFirst()).count == 1 && Int(row[1] ?? "") ?? 0 >= 900, "\(row)") }
        #expect(try await fixture.count(executions("backlog", "state <> 'delivered'")) == 0)
        let stored = try await fixture.everyMessage(of: "LATER").map { $0.header("Scheduler-Execution-Id") ?? "none" }
        #expect(stored.count == Set(stored).count)
        #expect(Int64(stored.count) == (try await fixture.count(executions("backlog"))))
        #expect(try await status(fixture).unanswered == 0)
        listener?.cancel()
        #expect(await instance.stop())
        await fixture.stop()
    }

    /// Beyond a crowd nothing more is claimed; the occurrences wait in their timer. An instance that leaves does not
    /// wait for what is never answered, and its successor takes it over.
    @Test(.timeLimit(.minutes(2)), arguments: Silence.allCases) func aCrowdIsEnough(_ silence: Silence) async throws {
        let crowd = 20
        let fixture = try await start(mostInFlight: 10 * crowd)
        let first = try await fixture.startInstance("first")
        let listener = silence == .listener ? try FiredMessages("demo.js.poison", on: fixture.client) : nil
        // A listener's silence is known only after a time-out of 5 s.
        let unnoticed = silence == .listener ? 50 : 0
        let load = try await Load.start(
            fixture, named: "poison", rate: 1, seconds: silence == .listener ? 12 : 6, every: 100)
        try await fixture.reach(load.endsAt + 500)
        let opened = try await fixture.count(executions("poison"))
        // What one look claims, up to its reach, may come on top.
        #expect(opened >= crowd && opened <= unnoticed + crowd + 25, "\(opened) of \(load.total) were claimed")
        #expect(try await fixture.count(executions("poison", "state <> 'claimed'")) == 0)
        #expect(try await status(fixture).isReady)
        #expect(await first.stop(within: .seconds(8)), "it waited for what nobody answers")
        let second = try await fixture.startInstance("second")
        #expect(await waitUntil(.seconds(10)) { (try? await self.status(fixture).unanswered) ?? 0 >= crowd })
        try await fixture.makeStream("LATE", subjects: "demo.js.poison")
        try await Ledger.settled(fixture, load)
        try await Ledger.read(fixture, load, stream: "LATE").check(load, [])
        listener?.cancel()
        #expect(await second.stop())
        await fixture.stop()
    }

    /// What falls due for a target that is known to be silent stands in line, and is not sent.
    @Test(.timeLimit(.minutes(1))) func aSilentTargetIsProbed() async throws {
        let fixture = try await start(mostInFlight: 10_000)
        let instance = try await fixture.startInstance()
        let listener = try FiredMessages("demo.js.poison", on: fixture.client)
        let load = try await Load.start(fixture, named: "poison", rate: 5, seconds: 9, every: 100)
        #expect(await waitUntil(.seconds(10)) { (try? await self.status(fixture).unanswered) ?? 0 >= 1 })
        let seen = Set(listener.all.map(\.executionID)).count
        try await fixture.reach(load.endsAt)
        let due = try await fixture.count(executions("poison", "due_at < now()"))
        #expect(due >= seen + 100)
        // A probe or two; the second tries of what was sent before are no news.
        let news = Set(listener.all.map(\.executionID)).count - seen
        #expect(news <= 5, "\(news) of \(Int(due) - seen) were sent to a target that is known to be silent")
        try await fixture.makeStream("LATE", subjects: "demo.js.poison")
        try await Ledger.settled(fixture, load)
        try await Ledger.read(fixture, load, stream: "LATE").check(load, listener.all)
        listener.cancel()
        #expect(await instance.stop())
        await fixture.stop()
    }

    /// What nobody took can be taken back, however often it was tried.
    @Test(.timeLimit(.minutes(1))) func aDeletionTakesBackWhatNobodyTook() async throws {
        let fixture = try await start(mostInFlight: 1000)
        let instance = try await fixture.startInstance()
        let body = """
            {"name":"p","schedule_type":"interval","interval_seconds":0.1,"target_command":"demo.js.poison"}
            """
        _ = try await fixture.changing("schedule.create", body, namespace: "poison")
        #expect(await waitUntil(.seconds(10)) { (try? await self.status(fixture).unanswered) ?? 0 >= 10 })
        let reply = try await fixture.changing("schedule.delete", "{\"name\":\"p\"}", namespace: "poison")
        #expect(reply["error"] == nil && (reply["in_flight"]?.count ?? 0) == 0)
        #expect(try await fixture.count(executions("poison", "state = 'claimed'")) == 0)
        #expect(try await fixture.count(executions("poison", "reason = 'deleted'")) >= 10)
        try await fixture.makeStream("LATE", subjects: "demo.js.poison")
        #expect(await waitUntil(.seconds(10)) { (try? await self.status(fixture).unanswered) == 0 })
        #expect(try await fixture.everyMessage(of: "LATE").isEmpty)
        #expect(await instance.stop())
        await fixture.stop()
    }
}
