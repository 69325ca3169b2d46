import JSONText
import LocalServers
import NATSClient
import ServiceFixture
import Testing

/// Schedules of every policy, workers that fail, and two instances that are killed and stopped in turn. Afterwards the
/// ledger is proved whole, and a recorder outside agrees with it, message by message.
@Suite(.serialized) struct SoakTests {
    private struct Size {
        let schedules: Int
        let seconds: Int64
        /// Between two ends of an instance.
        let turn: Int64

        static let chosen =
            Filesystem.environment("LONG_TESTS") == nil
            ? Size(schedules: 90, seconds: 16, turn: 6) : Size(schedules: 500, seconds: 600, turn: 25)
    }

    private static let policies = ["skip", "buffer_one", "buffer", "allow", "cancel_previous"]
    private static let misfires = ["fire_once", "skip", "fire_all"]

    /// Every completion with every overlap and misfire policy, by turns.
    private func definition(_ number: Int, until end: String, _ size: Size) -> String {
        let (completion, place) = (number % 3, number / 3)
        let delivery = completion == 2 ? "request" : place % 2 == 0 ? "jetstream" : "core"
        let target = delivery == "jetstream" ? "demo.js.soak.s\(number)" : "demo.soak.s\(number)"
        var fields = [
            #""name":"s\#(number)","schedule_type":"interval","end_at":"\#(end)""#,
            #""interval_seconds":\#(Double(size.schedules * 10 / 90) / 10 + Double(number % 4) * 0.5)"#,
            #""target_command":"\#(target)","delivery":"\#(delivery)""#,
            #""completion":"\#(["none", "report", "reply"][completion])""#,
            #""misfire_policy":"\#(Self.misfires[place / 5 % 3])","misfire_grace_seconds":2"#,
            #""max_retries":2,"retry_delay_seconds":0.3,"retry_max_delay_seconds":1,"run_timeout_seconds":2"#,
        ]
        if completion != 0 { fields.append(#""overlap_policy":"\#(Self.policies[place % 5])""#) }
        return "{\(fields.joined(separator: ","))}"
    }

    @Test(.timeLimit(.minutes(15))) func theLedgerIsWhole() async throws {
        let size = Size.chosen
        var options = ServiceFixture.Options()
        options.leaseSeconds = 2
        let fixture = try await ServiceFixture.start(options)
        try await fixture.makeStream()
        let speaker = try await NATSConnection.connect(
            NATSConfiguration(servers: [await fixture.nats.url], name: "worker"), within: .seconds(10))
        let worker = try SoakWorker("demo.>", on: speaker)
        let working = Task { await worker.run() }
        var instances = [try await fixture.startInstance("first"), try await fixture.startInstance("second")]
        let begun = wallMilliseconds()
        try await create(size, on: fixture)
        var turn = 0
        while wallMilliseconds() < begun + (size.seconds - size.turn) * 1000 {
            turn += 1
            try await fixture.reach(begun + Int64(turn) * size.turn * 1000)
            let place = turn % 2
            if turn % 4 < 2 { await instances[place].kill() } else { #expect(await instances[place].stop()) }
            instances[place] = try await fixture.startInstance(instances[place].name)
        }
        try await fixture.reach(begun + size.seconds * 1000)
        try await settle(fixture)
        try await agree(fixture, worker.noted)
        try await prove(fixture, size)
        worker.stop()
        await working.value
        await speaker.close()
        for instance in instances { #expect(await instance.stop()) }
        await fixture.stop()
    }

    private func create(_ size: Size, on fixture: ServiceFixture) async throws {
        let end = try await fixture.rows(
            """
            SELECT to_char((clock_timestamp() + interval '\(size.seconds) seconds') AT TIME ZONE 'UTC',
                'YYYY-MM-DD"T"HH24:MI:SS"Z"')
            """)
        let until = try #require(end[0][0])
        let definitions = (0..<size.schedules).map { definition($0, until: until, size) }
        let reply = try await fixture.command(
            "schedule.bulk_create", #"{"schedules":[\#(definitions.joined(separator: ","))]}"#,
            timeout: .seconds(20))
        #expect(
            reply["created"]?.int64 == Int64(size.schedules),
            "\(String(decoding: reply.bytes, as: UTF8.self).prefix(1000))")
    }

    /// Waits until everything has ended: retries, what waited for a place, and what is owed.
    private func settle(_ fixture: ServiceFixture) async throws {
        let open = """
            SELECT (SELECT count(*) FROM scheduler.runs) + (SELECT count(*) FROM scheduler.claims)
                + (SELECT count(*) FROM scheduler.buffered) + (SELECT count(*) FROM scheduler.owed_messages)
                + (SELECT count(*) FROM scheduler.schedules WHERE state <> 'exhausted')
            """
        let isSettled = await waitUntil(.seconds(120)) { (try? await fixture.count(open)) == 0 }
        let left = try await fixture.rows(
            """
            SELECT s.name || ' ' || s.state || coalesce(' ' || r.state || ' ' || coalesce(r.deadline, '-'), '')
            FROM scheduler.schedules s LEFT JOIN scheduler.runs r ON r.schedule_id = s.id
            WHERE s.state <> 'exhausted' OR r.schedule_id IS NOT NULL LIMIT 10
            """)
        #expect(isSettled, "\(left)")
    }

    /// What was fired by the ledger was seen, each attempt of it, and nothing else.
    private func agree(_ fixture: ServiceFixture, _ seen: Set<SoakWorker.Seen>) async throws {
        let rows = try await fixture.rows("SELECT id::text, state, attempt::text FROM scheduler.executions")
        var attempts: [String: (state: String, last: Int64)] = [:]
        for row in rows {
            attempts[try #require(row[0])] = (row[1] ?? "?", row[2].flatMap { Int64($0) } ?? 0)
        }
        let strangers = seen.filter { $0.attempt > attempts[$0.execution]?.last ?? 0 }
        #expect(strangers.isEmpty, "\(strangers.count) of \(seen.count): \(strangers.prefix(3))")
        var missing: [String] = []
        var fired = 0
        for (id, execution) in attempts where ["delivered", "succeeded", "dead"].contains(execution.state) {
            fired += 1
            for attempt in 1...max(1, execution.last)
            where !seen.contains(SoakWorker.Seen(execution: id, attempt: attempt)) {
                missing.append("\(id) \(execution.state) \(attempt) of \(execution.last)")
            }
        }
        #expect(missing.isEmpty, "\(missing.count) of \(fired): \(missing.prefix(5))")
        let ids = try await fixture.messages(of: "DEMO").compactMap { $0.header("Nats-Msg-Id") }
        #expect(Set(ids).count == ids.count)
        let states = Dictionary(grouping: attempts.values, by: \.state).mapValues(\.count)
        #expect(states["claimed"] == nil && states["succeeded"] ?? 0 > 0, "\(states)")
        print("soak: \(seen.count) messages, \(states.sorted { $0.key < $1.key })")
    }

    /// The proof from the tables, piece by piece.
    private func prove(_ fixture: ServiceFixture, _ size: Size) async throws {
        var cursor: String?
        var schedules: Int64 = 0
        repeat {
            let after = cursor.map { #","cursor":"\#($0)""# } ?? ""
            let reply = try await fixture.client.request(
                try Subject("scheduler.admin.system.verify"), payload: Array(#"{"check":"ledger"\#(after)}"#.utf8),
                timeout: .seconds(10))
            let body = try JSONValue.parse(reply.payload)
            let ledger = try #require(body["verified"]?["ledger"], "\(String(decoding: reply.payload, as: UTF8.self))")
            let problems = ledger["problems"].map { Array($0.elements) } ?? []
            #expect(problems.isEmpty, "\(problems.prefix(3).map { String(decoding: $0.bytes, as: UTF8.self) })")
            schedules += ledger["schedules"]?.int64 ?? 0
            cursor = body["next_cursor"]?.string
        } while cursor != nil
        #expect(schedules >= Int64(size.schedules))
    }
}
