import ArgumentParser
import JSONText
import LocalServers
import NATSClient
import PostgresClient
import ServiceFixture
import Synchronization

/// *history*: a month of executions, inserted; what looking at it takes, and what dropping a day of it costs a claim.
struct HistoryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "history", abstract: "Lists, counts and retention over many days of executions.")

    @Option(help: "Days of history; 30 at most, which is what the service keeps.") var days = 30
    @Option(help: "Executions a day.") var rows = 1_000_000
    @Option(help: "Schedules that share them; of ten targets.") var schedules = 1000
    @Option(help: "How often each question is asked.") var repeats = 20
    @Option(help: "Claims that go on at once while a day is dropped.") var claimants = 4

    func validate() throws {
        if !(1...30).contains(days) { throw ValidationError("--days: expected 1 to 30, got \(days)") }
        if schedules < 10 || rows < schedules {
            throw ValidationError("expected 10 schedules or more, and an execution a day for each or more")
        }
    }

    func run() async throws {
        let fixture = try await benchFixture()
        let seed = HistorySeed(fixture: fixture, days: days, rows: rows, schedules: schedules)
        try await seed.schedules()
        let begun = wallClock()
        for day in 0..<days { try await seed.day(day) }
        let took = wallClock() - begun
        try await seed.settle()
        let size = try await fixture.rows("SELECT pg_size_pretty(pg_database_size('carillon'))")[0][0] ?? "?"
        print("\(days) days of \(seed.perDay * schedules) executions: \(size), inserted in \(took / 1_000_000) s")
        let instance = try await fixture.startInstance()
        try await ask(fixture, seed)
        print("  \(try await LedgerProof(fixture: fixture, seconds: 10).line())")
        try await drop(fixture, seed)
        _ = await instance.stop()
        await fixture.stop()
    }

    // MARK: Questions

    private func ask(_ fixture: ServiceFixture, _ seed: HistorySeed) async throws {
        let name = "history-\(schedules / 2)"
        let middle = try await seed.cursor(atDay: days / 2)
        let oldest = try await seed.cursor(atDay: 0)
        let window = days * 86_400
        for (what, command, body) in [
            ("list, first page", "execution.list", "{}"),
            ("list, a page of the middle day", "execution.list", #"{"cursor":"\#(middle)"}"#),
            ("list, a page of the oldest day", "execution.list", #"{"cursor":"\#(oldest)"}"#),
            ("list of a schedule, first page", "execution.list", #"{"schedule_name":"\#(name)"}"#),
            (
                "list of a schedule, the middle day", "execution.list",
                #"{"schedule_name":"\#(name)","cursor":"\#(middle)"}"#
            ),
            (
                "list of what is dead (there is none)", "execution.list",
                #"{"schedule_name":"\#(name)","status":"dead"}"#
            ),
            ("stats of a schedule, a day", "schedule.stats", #"{"name":"\#(name)"}"#),
            ("stats of a schedule, all days", "schedule.stats", #"{"name":"\#(name)","window_seconds":\#(window)}"#),
            ("stats of a target, a day", "execution.stats", #"{"target_command":"bench.cmd.1"}"#),
            ("stats of the namespace, a day", "execution.stats", "{}"),
            ("stats of the namespace, all days", "execution.stats", #"{"window_seconds":\#(window)}"#),
        ] { try await measure(what, fixture) { try await fixture.command(command, body, namespace: "bench") } }
    }

    private func measure(_ what: String, _ fixture: ServiceFixture, _ ask: () async throws -> JSONValue) async throws {
        var took: [Int64] = []
        var answer = ""
        for _ in 0..<repeats {
            let begun = wallClock()
            let reply = try await ask()
            took.append(wallClock() - begun)
            answer = Self.summary(reply)
        }
        let quantiles = Quantiles(took)
        print(
            "  \(what): median \(milliseconds(quantiles.value(at: 0.5))), slowest \(milliseconds(quantiles.most)); \(answer)"
        )
    }

    private static func summary(_ reply: JSONValue) -> String {
        if let error = reply["error"] { return "refused: \(error["description"]?.string ?? "?")" }
        if let executions = reply["executions"] { return "\(Array(executions.elements).count) rows" }
        guard let stats = reply["stats"] else { return "?" }
        let part = stats["complete"]?.bool == false ? " from \(stats["from"]?.string ?? "?") on" : ""
        return "\(stats["total"]?.int64 ?? -1) counted\(part)"
    }

    // MARK: Retention

    private func drop(_ fixture: ServiceFixture, _ seed: HistorySeed) async throws {
        let meter = ClaimMeter()
        let configuration = try PostgresConfiguration(await fixture.postgres.url(database: "carillon"))
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<claimants { group.addTask { try await meter.claim(on: PostgresConnection(configuration)) } }
            _ = await waitUntil(.seconds(2)) { false }
            let before = meter.takeLongest()
            let dropper = try PostgresConnection(configuration)
            for day in 0..<min(days, 3) {
                let begun = wallClock()
                // Put off where a lock is not had within 100 ms, and tried again later.
                var tries = 1
                while tries < 100 {
                    let isDropped = try await seed.dropDay(day, on: dropper)
                    if isDropped { break }
                    tries += 1
                }
                print(
                    "  day \(day) dropped in \(milliseconds(wallClock() - begun)), \(tries) tries: a claim waited "
                        + "\(milliseconds(meter.takeLongest())) at most; before \(milliseconds(before))")
            }
            meter.stop()
            try await group.waitForAll()
            print("  \(meter.count) claims meanwhile")
        }
    }
}

/// Claims as the service makes them, and the longest time that one took.
private final class ClaimMeter: Sendable {
    private let longest = Atomic<Int64>(0)
    private let claims = Atomic<Int64>(0)
    private let isOver = Atomic<Bool>(false)

    private static let statement = Statement(
        "bench_claim",
        """
        INSERT INTO scheduler.executions (id, schedule_id, claimed_by, scheduled_for, due_at, claimed_at, fence,
            schedule_version, missed_count, attempt, generation, state, origin, trigger)
        SELECT (lpad(to_hex(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0')
            || substr(md5(random()::text), 1, 20))::uuid, gen_random_uuid(), gen_random_uuid(), now(), now(), now(),
            1, 1, 0, 1, 1, 'claimed', 'time', 'cron'
        """)

    var count: Int64 { claims.load(ordering: .relaxed) }

    func claim(on connection: PostgresConnection) async throws {
        while !isOver.load(ordering: .relaxed) {
            let begun = wallClock()
            try await connection.transaction { transaction in
                _ = try await transaction.commit(with: [Call(Self.statement, [])])
            }
            let took = wallClock() - begun
            longest.max(took, ordering: .relaxed)
            claims.add(1, ordering: .relaxed)
        }
        await connection.close()
    }

    func takeLongest() -> Int64 { longest.exchange(0, ordering: .relaxed) }

    func stop() { isOver.store(true, ordering: .relaxed) }
}
