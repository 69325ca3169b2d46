import JSONText
import LocalServers
import NATSClient
import Recurrence
import ServiceFixture
import Synchronization
import TestSupport
import Testing

/// Pause, resume, update and delete at random moments around due times, on two instances: what fired, what the replies
/// said and what the ledger says agree, one by one.
@Suite(.serialized) struct RecallTests {
    static let commands = TestForm.isLong ? 10_000 : 300
    static let slots = TestForm.isLong ? 64 : 24

    @Test(.timeLimit(.minutes(12))) func afterAReplyNothingFiresButWhatItNames() async throws {
        let fixture = try await ServiceFixture.start()
        try await fixture.makeStream()
        let instances = [try await fixture.startInstance("first"), try await fixture.startInstance("second")]
        let history = CommandHistory()
        let beginsAt = wallMilliseconds() + 1500
        try await withThrowingTaskGroup(of: Void.self) { group in
            for slot in 0..<Self.slots {
                group.addTask {
                    var hand = CommandHand(
                        fixture: fixture, history: history, beginsAt: beginsAt + Int64(slot) * 19, seed: UInt64(slot))
                    for _ in 0..<(Self.commands / Self.slots) { try await hand.play() }
                    try await hand.finish()
                }
            }
            try await group.waitForAll()
        }
        let isQuiet = await waitUntil(.seconds(20)) {
            let open = try? await fixture.count(
                """
                SELECT (SELECT count(*) FROM scheduler.claims) + (SELECT count(*) FROM scheduler.outbox)
                    + (SELECT count(*) FROM scheduler.executions WHERE state = 'claimed')
                """)
            return open == 0
        }
        #expect(isQuiet, "something is left open")
        let ledger = try await RecallLedger.read(fixture)
        let problems = ledger.problems(history.all)
        #expect(problems.isEmpty, "\(problems.count):\n\(problems.prefix(20).joined(separator: "\n"))")
        let fired = ledger.rows.count { $0.state == "delivered" }
        let named = history.all.reduce(0) { $0 + $1.inFlight.count }
        #expect(fired > Self.commands / 4, "too little fired to prove anything")
        // Whatever is not under way is given back at once: a reply that waits for a fire means that a claimant missed it.
        // On a machine that is busy all replies are slow.
        #expect(history.slow < 300 + 20 * history.usual)
        print(
            "recall: \(history.all.count) commands, \(fired) fires, \(named) named in flight,",
            "99 of 100 replies within \(history.slow) ms, all within \(history.slowest) ms")
        for instance in instances { #expect(await instance.stop()) }
        await fixture.stop()
    }
}

/// What was commanded, and what was answered when.
final class CommandHistory: Sendable {
    struct Entry: Sendable {
        let schedule: String
        let verb: String
        let version: Int64
        let generation: Int
        /// When the command was sent, and its answer here; ms since 1970.
        let sentAt: Int64
        let repliedAt: Int64
        let inFlight: Set<String>
    }

    private let entries = Mutex<[Entry]>([])
    var all: [Entry] { entries.withLock { $0 } }
    var slowest: Int64 { all.map { $0.repliedAt - $0.sentAt }.max() ?? 0 }
    /// The time that 99 of 100 commands were answered in.
    var slow: Int64 {
        let times = all.map { $0.repliedAt - $0.sentAt }.sorted()
        return times.isEmpty ? 0 : times[times.count * 99 / 100]
    }
    /// The time that half of the commands were answered in.
    var usual: Int64 {
        let times = all.map { $0.repliedAt - $0.sentAt }.sorted()
        return times.isEmpty ? 0 : times[times.count / 2]
    }
    func add(_ entry: Entry) { entries.withLock { $0.append(entry) } }
}

/// One who plays with one schedule at a time.
struct CommandHand {
    let fixture: ServiceFixture
    let history: CommandHistory
    let beginsAt: Int64
    private var random: SeededGenerator
    private var schedule: String?
    private var isPaused = false
    private var period: Int64 = 500
    private var version: Int64 = 1
    private var generation = 1

    init(fixture: ServiceFixture, history: CommandHistory, beginsAt: Int64, seed: UInt64) {
        self.fixture = fixture
        self.history = history
        self.beginsAt = beginsAt
        random = SeededGenerator(seed: seed)
    }

    mutating func play() async throws {
        if schedule == nil { try await create() }
        guard let schedule else { return }
        try await reachNextDue()
        switch Int.random(in: 0..<10, using: &random) {
        case 0: try await send("delete", schedule, "")
        case 1, 2:
            period = period == 500 ? 400 : 500
            generation += 1
            try await send("update", schedule, ",\"interval_seconds\":\(Double(period) / 1000)")
        case 3, 4, 5: try await send("update", schedule, ",\"command_payload\":{\"version\":\(version + 1)}")
        default: try await send(isPaused ? "resume" : "pause", schedule, "")
        }
    }

    mutating func finish() async throws {
        if let schedule { try await send("delete", schedule, "") }
    }

    private mutating func create() async throws {
        period = 500
        version = 1
        generation = 1
        isPaused = false
        let start = Instant(milliseconds: beginsAt).rfc3339
        let reply = try await fixture.command(
            "schedule.create",
            """
            {"schedule_type":"interval","interval_seconds":0.5,"start_at":"\(start)","target_command":"demo.js.r",\
            "misfire_policy":"fire_all","catchup_limit":1000}
            """)
        schedule = reply["schedule"]?["id"]?.string
        #expect(schedule != nil, "\(String(decoding: reply.bytes, as: UTF8.self))")
    }

    /// Waits until within 50 ms, on either side, of a coming due time.
    private mutating func reachNextDue() async throws {
        let now = wallMilliseconds() + 60
        let steps = max(0, (now - beginsAt + period - 1) / period)
        try await fixture.reach(beginsAt + steps * period + Int64.random(in: -50...50, using: &random))
    }

    private mutating func send(_ verb: String, _ id: String, _ rest: String) async throws {
        let sentAt = wallMilliseconds()
        let reply = try await fixture.command("schedule.\(verb)", "{\"id\":\"\(id)\"\(rest)}")
        let repliedAt = wallMilliseconds()
        #expect(reply["error"] == nil, "\(String(decoding: reply.bytes, as: UTF8.self))")
        version = reply["schedule"]?["version"]?.int64 ?? version + 1
        let named = reply["in_flight"].map { $0.elements.compactMap(\.string) } ?? []
        history.add(
            CommandHistory.Entry(
                schedule: id, verb: verb, version: version, generation: generation, sentAt: sentAt,
                repliedAt: repliedAt, inFlight: Set(named)))
        if verb == "delete" { schedule = nil }
        isPaused = verb == "pause" ? true : verb == "resume" ? false : isPaused
    }
}

/// The tables, the stream and the events after the game.
struct RecallLedger {
    struct Row {
        let id: String
        let schedule: String
        let generation: Int
        let version: Int64
        let scheduledFor: Int64
        let rangeFrom: Int64?
        let rangeCount: Int64
        let state: String
        let firedAt: Int64
        let finishedAt: Int64
    }

    let rows: [Row]
    let stored: [String]
    let events: [String: [String]]

    static func read(_ fixture: ServiceFixture) async throws -> RecallLedger {
        let milliseconds = { (column: String) in "floor(extract(epoch FROM \(column)) * 1000)::bigint::text" }
        let rows = try await fixture.rows(
            """
            SELECT id::text, schedule_id::text, generation::text, schedule_version::text,
                \(milliseconds("scheduled_for")), \(milliseconds("range_from")), range_count::text, state,
                \(milliseconds("fired_at")), \(milliseconds("finished_at"))
            FROM scheduler.executions
            """
        ).map { row in
            let number = { (index: Int) in row[index].flatMap { Int64($0) } }
            return Row(
                id: row[0] ?? "", schedule: row[1] ?? "", generation: Int(number(2) ?? 0), version: number(3) ?? 0,
                scheduledFor: number(4) ?? 0, rangeFrom: number(5), rangeCount: number(6) ?? 1, state: row[7] ?? "",
                firedAt: number(8) ?? 0, finishedAt: number(9) ?? 0)
        }
        let stored = try await fixture.everyMessage(of: "DEMO").map { $0.header("Scheduler-Execution-Id") ?? "none" }
        return RecallLedger(rows: rows, stored: stored, events: try await fixture.executionEvents(namespace: "test"))
    }

    func problems(_ history: [CommandHistory.Entry]) -> [String] {
        let bySchedule = Dictionary(grouping: rows, by: \.schedule)
        var problems = witnessProblems()
        for (schedule, entries) in Dictionary(grouping: history, by: \.schedule) {
            let fired = (bySchedule[schedule] ?? []).filter { $0.state == "delivered" }
            problems += replyProblems(schedule, entries, fired)
        }
        for (schedule, rows) in bySchedule {
            for (generation, rows) in Dictionary(grouping: rows, by: \.generation) {
                problems += gapProblems(schedule, generation, rows)
            }
        }
        return problems
    }

    /// After a reply nothing fires that the command ended, but what the reply names; and what it does not name and has
    /// fired was recorded before the reply.
    private func replyProblems(_ schedule: String, _ entries: [CommandHistory.Entry], _ fired: [Row]) -> [String] {
        var problems: [String] = []
        var named: Set<String> = []
        var isPaused = false
        for (index, entry) in entries.enumerated() {
            named.formUnion(entry.inFlight)
            if entry.verb == "pause" { isPaused = true } else if entry.verb == "resume" { isPaused = false }
            let until = index + 1 < entries.count ? entries[index + 1].sentAt : Int64.max
            for row in fired where !named.contains(row.id) {
                let isOld = entry.verb != "resume" && row.version < entry.version
                let isWithin = isPaused && row.firedAt > entry.repliedAt && row.firedAt < until
                if row.firedAt > entry.repliedAt, isOld || isWithin {
                    let late = row.firedAt - entry.repliedAt
                    problems.append("\(schedule): \(row.id) fired \(late) ms after the reply to \(entry.verb)")
                } else if isOld, row.finishedAt > entry.repliedAt {
                    let late = row.finishedAt - entry.repliedAt
                    problems.append("\(schedule): \(row.id) was recorded \(late) ms after the reply to \(entry.verb)")
                }
            }
        }
        return problems
    }

    /// Rows, stream and events agree.
    private func witnessProblems() -> [String] {
        let counts = Dictionary(stored.map { ($0, 1) }, uniquingKeysWith: +)
        let delivered = Set(rows.filter { $0.state == "delivered" }.map(\.id))
        return counts.filter { $0.value > 1 }.map { "\($0.key) is \($0.value) times in the stream" }
            + delivered.subtracting(counts.keys).map { "\($0) is delivered by its row, and not in the stream" }
            + Set(counts.keys).subtracting(delivered).map { "\($0) is in the stream, and not delivered by its row" }
            + rows.filter { Set(events[$0.id] ?? []).count != 1 }.map {
                "\($0.id), \($0.state), has the events \(Set(events[$0.id] ?? []).sorted())"
            }
            + Set(events.keys).subtracting(rows.map(\.id)).map { "an event tells of \($0), which has no row" }
    }

    /// A generation's rows follow one another without a gap or an overlap.
    private func gapProblems(_ schedule: String, _ generation: Int, _ rows: [Row]) -> [String] {
        // The first timing fires each 500 ms, and each edit changes between that and 400 ms.
        let period: Int64 = generation % 2 == 1 ? 500 : 400
        var problems: [String] = []
        var last: Int64?
        for row in rows.sorted(by: { $0.scheduledFor < $1.scheduledFor }) {
            let from = row.rangeFrom ?? row.scheduledFor
            if let last, from != last + period {
                let hole = "\(from - last) ms from \(last) to \(row.state) \(from)"
                problems.append("\(schedule), generation \(generation): \(hole)")
            }
            if row.scheduledFor != from + (row.rangeCount - 1) * period {
                problems.append("\(schedule): a range of \(row.rangeCount) from \(from) ends at \(row.scheduledFor)")
            }
            last = row.scheduledFor
        }
        return problems
    }
}
