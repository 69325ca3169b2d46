import JSONText
import LocalServers
import NATSClient
import PostgresClient
import ServiceFixture
import Synchronization
import Testing

extension Integration {
    /// Limits that schedules share, on two instances.
    @Suite("Concurrency limits", .serialized, .timeLimit(.minutes(2))) struct ConcurrencyTests {
        private static let space = "shared"

        private func make(
            _ name: String, key: String?, target: String = "demo.cc.still", in space: String = Self.space,
            every seconds: Double = 3600, _ further: String = "", on fixture: ServiceFixture
        ) async throws {
            let limit = key.map { #","concurrency_key":"\#($0)""# } ?? ""
            try await fixture.done(
                "schedule.create",
                """
                {"name":"\(name)","schedule_type":"interval","interval_seconds":\(seconds),"completion":"report",\
                "delivery":"core","target_command":"\(target)"\(limit)\(further)}
                """, in: space)
        }

        /// How many hold a place of a limit, and how many wait for one: `1+2`.
        private func places(_ limit: String, on fixture: ServiceFixture) async -> String {
            let open = (try? await fixture.count("SELECT count(*) FROM scheduler.runs WHERE \(limit)")) ?? -1
            let waiting = (try? await fixture.count("SELECT count(*) FROM scheduler.buffered WHERE \(limit)")) ?? -1
            return "\(open)+\(waiting)"
        }

        private func becomes(_ expected: String, _ limit: String, on fixture: ServiceFixture) async -> Bool {
            await waitUntil(.seconds(10)) { await places(limit, on: fixture) == expected }
        }

        /// Ends the oldest open executions, as workers' reports would.
        private func end(_ count: Int = 1, _ limit: String, on fixture: ServiceFixture) async throws {
            try await fixture.database.execute(
                script: """
                    SELECT 1 FROM scheduler.timers WHERE schedule_id IN (
                        SELECT schedule_id FROM scheduler.runs WHERE \(limit)) ORDER BY schedule_id FOR UPDATE;
                    WITH ended AS (
                        DELETE FROM scheduler.runs WHERE execution_id IN (
                            SELECT execution_id FROM scheduler.runs WHERE \(limit) ORDER BY opened_at LIMIT \(count))
                        RETURNING execution_id)
                    UPDATE scheduler.executions e SET state = 'succeeded', finished_at = now()
                    FROM ended WHERE e.id = ended.execution_id
                    """)
        }

        private func remove(
            _ names: [String], _ limit: String, in space: String = Self.space, on fixture: ServiceFixture
        ) async throws {
            for name in names { try await fixture.done("schedule.delete", #"{"name":"\#(name)"}"#, in: space) }
            #expect(await waitUntil(.seconds(10)) { await places(limit, on: fixture).hasSuffix("+0") })
            try await end(100, limit, on: fixture)
        }

        @Test("Fifty schedules of one key on two instances: never more than three at once, and all of them end")
        func contended() async throws {
            let fixture = try await RuleSystem.running.fixture
            try await fixture.administer("namespace.limits", #"{"namespace":"shared","concurrency":{"crowd":3}}"#)
            let worker = try CountingWorker("demo.cc.crowd.>", on: fixture.client)
            defer { worker.cancel() }
            let names = (0..<50).map { "crowd\($0)" }
            let limit = "concurrency_key = 'shared/crowd'"
            async let asked = fixture.together(50, "schedule.create", in: Self.space) {
                """
                {"name":"crowd\($0)","schedule_type":"immediate","completion":"report","delivery":"core",\
                "target_command":"demo.cc.crowd.c\($0)","concurrency_key":"crowd"}
                """
            }
            var most: Int64 = 0
            let isThrough = await waitUntil(.seconds(20)) {
                let open = try? await fixture.count("SELECT count(*) FROM scheduler.runs WHERE \(limit)")
                most = max(most, open ?? 0)
                return worker.seen >= 50 && open == 0
            }
            #expect(try await asked.allSatisfy { $0["error"] == nil })
            #expect(isThrough && most <= 3 && worker.most <= 3 && worker.most > 1, "\(most), \(worker.most)")
            let ended = """
                SELECT count(*) FROM scheduler.executions e JOIN scheduler.schedules s ON s.id = e.schedule_id
                WHERE s.name LIKE 'crowd%' AND e.state = 'succeeded'
                """
            #expect(worker.seen == 50)
            #expect(await fixture.waits(until: ended, is: 50))
            try await remove(names, limit, on: fixture)
        }

        @Test("Of their own time too: what has no place waits in its turn, and its policy takes it for an open one")
        func claims() async throws {
            let fixture = try await RuleSystem.running.fixture
            let limit = "concurrency_key = 'shared/timed'"
            let names = ["t0", "t1", "t2"]
            for name in names {
                try await make(name, key: "timed", every: 0.2, #","max_runs":2"#, on: fixture)
            }
            // One place, three schedules under skip: each has one that is open or waits, and skips the next ones.
            #expect(await becomes("1+2", limit, on: fixture))
            let skipped = """
                SELECT count(*) FROM scheduler.schedules s WHERE s.namespace = 'shared' AND s.name LIKE 't_' AND EXISTS (
                    SELECT FROM scheduler.executions e WHERE e.schedule_id = s.id AND e.reason = 'overlap')
                """
            #expect(await fixture.waits(until: skipped, is: 3))
            #expect(await places(limit, on: fixture) == "1+2")
            try await explains(limit, on: fixture)
            var most: Int64 = 0
            let done = """
                SELECT count(*) FROM scheduler.executions e JOIN scheduler.schedules s ON s.id = e.schedule_id
                WHERE s.namespace = 'shared' AND s.name LIKE 't_' AND e.state = 'succeeded'
                """
            let isThrough = await waitUntil(.seconds(20)) {
                let open = (try? await fixture.count("SELECT count(*) FROM scheduler.runs WHERE \(limit)")) ?? 0
                most = max(most, open)
                if open > 0 { try? await end(Int(open), limit, on: fixture) }
                return (try? await fixture.count(done)) == 6
            }
            #expect(isThrough && most == 1, "\(most)")
            let perSchedule = try await fixture.rows(
                """
                SELECT s.name, count(*)::text FROM scheduler.executions e JOIN scheduler.schedules s ON s.id = e.schedule_id
                WHERE s.namespace = 'shared' AND s.name LIKE 't_' AND e.state = 'succeeded' GROUP BY 1 ORDER BY 1
                """)
            #expect(perSchedule == names.map { [$0, "2"] })
        }

        /// That what waits is explained by who holds the place.
        private func explains(_ limit: String, on fixture: ServiceFixture) async throws {
            let waiting = try await fixture.rows(
                """
                SELECT s.name, to_char(b.scheduled_for AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
                FROM scheduler.buffered b JOIN scheduler.schedules s ON s.id = b.schedule_id WHERE b.\(limit) LIMIT 1
                """)
            let (name, at) = (waiting.first?[0] ?? "?", waiting.first?[1] ?? "?")
            let why = try await fixture.done(
                "schedule.explain", #"{"name":"\#(name)","at":"\#(at)"}"#, in: Self.space)
            let sentences = why["explanation"]?.items("sentences").compactMap(\.string).joined(separator: " ") ?? ""
            let holder = try await fixture.rows(
                """
                SELECT s.name || ' (' || r.execution_id || ')' FROM scheduler.runs r
                JOIN scheduler.schedules s ON s.id = r.schedule_id WHERE r.\(limit)
                """)
            let expected =
                "All of 1 places of concurrency_key timed are held, 2 wait for one: \(holder.first?[0] ?? "?")."
            #expect(sentences.contains(expected), "\(sentences)")
        }

        @Test("A raised limit wakes those that wait, a lowered one stops nobody; the limits tell how full they are")
        func raised() async throws {
            let fixture = try await RuleSystem.running.fixture
            let limit = "concurrency_key = 'shared/turn \"ü\"'"
            let names = (0..<6).map { "turn\($0)" }
            for name in names {
                try await make(name, key: #"turn \"ü\""#, on: fixture)
                try await fixture.done("schedule.trigger", #"{"name":"\#(name)"}"#, in: Self.space)
            }
            #expect(await places(limit, on: fixture) == "1+5")
            let key = #""turn \"ü\"""#
            let rehearsed = try await fixture.administer(
                "namespace.limits", #"{"namespace":"shared","concurrency":{\#(key):3},"dry_run":true}"#)
            #expect(rehearsed["namespace"]?["concurrency"]?[#"turn "ü""#]?.int64 == 3)
            #expect(await places(limit, on: fixture) == "1+5")
            try await fixture.administer("namespace.limits", #"{"namespace":"shared","concurrency":{\#(key):3}}"#)
            #expect(await becomes("3+3", limit, on: fixture))
            let lowered = try await fixture.administer(
                "namespace.limits", #"{"namespace":"shared","concurrency":{\#(key):null}}"#)
            let use = lowered.items("concurrency_use").first { $0["concurrency_key"]?.string == #"turn "ü""# }
            #expect(use?["open"]?.int64 == 3 && use?["waiting"]?.int64 == 3 && use?["places"]?.int64 == 1)
            let status = try await fixture.ask("system.status", "")
            #expect(
                status["system"]?.items("concurrency_use").contains {
                    $0["concurrency_key"]?.string == #"shared/turn "ü""# && $0["waiting"]?.int64 == 3
                } == true)
            try await end(2, limit, on: fixture)
            #expect(await places(limit, on: fixture) == "1+3")
            try await end(limit, on: fixture)
            #expect(await becomes("1+2", limit, on: fixture))
            let opened = try await fixture.rows(
                """
                SELECT s.name FROM scheduler.executions e JOIN scheduler.schedules s ON s.id = e.schedule_id
                WHERE s.name LIKE 'turn_' ORDER BY e.claimed_at, s.name
                """)
            #expect(opened.map { $0[0] ?? "" } == ["turn0", "turn1", "turn2", "turn3"])
            try await remove(names, limit, on: fixture)
        }

        private func end(_ limit: String, on fixture: ServiceFixture) async throws {
            try await end(1, limit, on: fixture)
        }

        @Test("A target's limit is one for all namespaces, and moves with its entry")
        func targets() async throws {
            let fixture = try await RuleSystem.running.fixture
            func allow(_ most: Int) -> String {
                #"{"namespace":"*","subject":"demo.cc.pool.*","delivery":["core"],"max_in_flight":\#(most)}"#
            }
            let allowed = try await fixture.administer("target.allow", allow(2))
            #expect(allowed["target"]?["max_in_flight"]?.int64 == 2)
            let limit = "target_limit = 'demo.cc.pool.*'"
            for space in ["pool-a", "pool-b"] {
                for name in ["p0", "p1", "p2"] {
                    try await make(name, key: nil, target: "demo.cc.pool.\(name)", in: space, on: fixture)
                    try await fixture.done("schedule.trigger", #"{"name":"\#(name)"}"#, in: space)
                }
            }
            #expect(await places(limit, on: fixture) == "2+4")
            try await end(limit, on: fixture)
            #expect(await becomes("2+3", limit, on: fixture))
            try await fixture.administer("target.allow", allow(4))
            #expect(await becomes("4+1", limit, on: fixture))
            try await fixture.administer("target.revoke", #"{"namespace":"*","subject":"demo.cc.pool.*"}"#)
            #expect(await becomes("4+0", limit, on: fixture))
            #expect(
                try await fixture.count(
                    """
                    SELECT count(*) FROM scheduler.runs r JOIN scheduler.schedules s ON s.id = r.schedule_id
                    WHERE s.namespace LIKE 'pool-_'
                    """) == 5)
            for space in ["pool-a", "pool-b"] {
                try await remove(
                    ["p0", "p1", "p2"],
                    "schedule_id IN (SELECT id FROM scheduler.schedules WHERE namespace = '\(space)')", in: space,
                    on: fixture)
            }
        }

        @Test(
            "Commands obey limits, forced ones too; pauses and edits move what waits; where nothing is tracked a key is refused"
        )
        func commands() async throws {
            let fixture = try await RuleSystem.running.fixture
            #expect(
                try await fixture.refused(
                    "schedule.create",
                    #"{"schedule_type":"immediate","target_command":"demo.cc.a","concurrency_key":"k"}"#, in: Self.space
                )
                    == "10427 /concurrency_key")
            #expect(
                try await fixture.refused(
                    "schedule.create",
                    #"{"schedule_type":"immediate","target_command":"demo.cc.a","completion":"report","concurrency_key":""}"#,
                    in: Self.space) == "10426 /concurrency_key")
            let bad = try await fixture.ask(
                "namespace.limits", #"{"namespace":"shared","concurrency":{"a":0,"b":10001,"c":"x"}}"#)
            #expect(bad["error"]?.items("details").count == 3)
            let limit = "concurrency_key = 'shared/asked'"
            try await make("holder", key: "asked", on: fixture)
            try await make("other", key: "asked", #","start_at":"2026-11-01T03:33:33Z""#, on: fixture)
            let shown = try await fixture.done("schedule.get", #"{"name":"other"}"#, in: Self.space)
            #expect(shown.schedule["concurrency_key"]?.string == "asked")
            try await fixture.done("schedule.trigger", #"{"name":"holder"}"#, in: Self.space)
            #expect(try await fixture.refused("schedule.trigger", #"{"name":"holder"}"#, in: Self.space) == "20435")
            let first = try await fixture.done("schedule.trigger", #"{"name":"other"}"#, in: Self.space)
            #expect(first["waiting"] != nil)
            #expect(try await fixture.refused("schedule.trigger", #"{"name":"other"}"#, in: Self.space) == "20435")
            let forced = try await fixture.done(
                "schedule.trigger", #"{"name":"other","force":true}"#, in: Self.space)
            #expect(forced["waiting"]?["ahead"]?.int64 == 1)
            #expect(await places(limit, on: fixture) == "1+2")
            try await fixture.done("schedule.pause", #"{"name":"other"}"#, in: Self.space)
            #expect(await places(limit, on: fixture) == "1+0")
            let past = #"{"name":"other","from":"2026-11-01T00:00:00Z","limit":3}"#
            let filled = try await fixture.done("schedule.backfill", past, in: Self.space)
            #expect(filled["backfill"]?["count"]?.int64 == 1 && filled["backfill"]?["waiting"]?.int64 == 1)
            // Another key, which nobody holds: it has its turn there.
            try await fixture.done("schedule.update", #"{"name":"other","concurrency_key":"apart"}"#, in: Self.space)
            #expect(await becomes("1+0", "concurrency_key = 'shared/apart'", on: fixture))
            #expect(await places(limit, on: fixture) == "1+0")
            try await remove(["other"], "concurrency_key = 'shared/apart'", on: fixture)
            try await remove(["holder"], limit, on: fixture)
        }

        @Test("A message that has no place of its limit waits with the others, and keeps what it says")
        func messages() async throws {
            let fixture = try await TwoInstances.running.fixture
            let limit = "concurrency_key = 'shared/heard'"
            try await make("talker", key: "heard", on: fixture)
            try await fixture.done("schedule.trigger", #"{"name":"talker"}"#, in: Self.space)
            try await fixture.done(
                "schedule.create",
                """
                {"name":"listener","schedule_type":"event","event_subject":"demo.cc.word","delivery":"core",\
                "target_command":"demo.cc.still","completion":"report","concurrency_key":"heard",\
                "command_payload":{"said":"{{event.body}}"},"payload_template":true}
                """, in: Self.space)
            let isHeard = await waitUntil(.seconds(10)) {
                _ = try? fixture.client.publish(try Subject("demo.cc.word"), payload: Array(#""hello""#.utf8))
                return await places(limit, on: fixture) == "1+1"
            }
            #expect(isHeard)
            try await end(limit, on: fixture)
            let opened = """
                SELECT count(*) FROM scheduler.executions e JOIN scheduler.runs r ON r.execution_id = e.id
                WHERE r.\(limit) AND e.origin = 'event' AND e.payload IS NOT NULL
                """
            #expect(await fixture.waits(until: opened, is: 1))
            try await remove(["listener", "talker"], limit, on: fixture)
        }
    }
}

/// A worker that counts how many it works at in one moment, by its own books.
private final class CountingWorker: Sendable {
    private struct Books {
        var open = 0
        var most = 0
        var seen: Set<String> = []
    }

    private let books = Mutex(Books())
    private let connection: NATSConnection
    private let messages: NATSSubscription
    private let task = Mutex<Task<Void, Never>?>(nil)

    init(_ filter: String, on connection: NATSConnection) throws {
        self.connection = connection
        messages = try connection.subscribe(try SubjectFilter(filter), capacity: 1024)
        task.withLock { $0 = Task { await run() } }
    }

    var most: Int { books.withLock { $0.most } }
    var seen: Int { books.withLock { $0.seen.count } }

    func cancel() { messages.cancel() }

    private func run() async {
        await withDiscardingTaskGroup { tasks in
            for await message in messages {
                guard let status = message.header("Scheduler-Status-Subject"),
                    let fence = message.header("Scheduler-Fence"), let id = message.header("Scheduler-Execution-Id")
                else { continue }
                books.withLock { books in
                    books.open += 1
                    books.most = max(books.most, books.open)
                    books.seen.insert(id)
                }
                tasks.addTask {
                    // What its work takes.
                    try? await Task.sleep(for: .milliseconds(20))
                    self.books.withLock { $0.open -= 1 }
                    var headers = NATSHeaders()
                    try? headers.append("Scheduler-Fence", fence)
                    guard let subject = try? Subject("\(status).succeeded") else { return }
                    _ = try? self.connection.publish(subject, headers: headers, payload: [])
                }
            }
        }
    }
}
