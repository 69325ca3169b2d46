import JSONText
import LocalServers
import NATSClient
import ServiceFixture
import Testing

/// What the three witnesses say of a load: the tables, the target's messages, and the events.
struct Ledger: Sendable {
    struct Row: Sendable {
        let id: String
        let schedule: String
        let scheduledFor: Int64
        let dueAt: Int64
        let state: String
        let rangeFrom: Int64?
        let rangeCount: Int64

        var isTerminal: Bool { state != "claimed" }
    }

    let rows: [Row]
    /// Executions in the target stream, once for each message.
    let stored: [String]
    /// The events of each execution, verb and id, once for each message of the events stream.
    let events: [String: [String]]
    let claims: Int64
    let outbox: Int64
    /// Schedules that have fired their last and are not exhausted.
    let unended: Int64

    static func read(_ fixture: ServiceFixture, _ load: Load, stream: String = "DEMO") async throws -> Ledger {
        let rows = try await rows(fixture, namespace: load.namespace)
        var stored: [String] = []
        if load.delivery == .jetstream {
            for message in try await fixture.everyMessage(of: stream) where message.subject == load.subject {
                stored.append(message.header("Scheduler-Execution-Id") ?? "none")
            }
        }
        return Ledger(
            rows: rows, stored: stored, events: try await fixture.executionEvents(namespace: load.namespace),
            claims: try await fixture.count("SELECT count(*) FROM scheduler.claims"),
            outbox: try await fixture.count("SELECT count(*) FROM scheduler.outbox"),
            unended: try await fixture.count(
                """
                SELECT count(*) FROM scheduler.schedules
                WHERE namespace = '\(load.namespace)' AND state <> 'exhausted'
                """))
    }

    static func rows(_ fixture: ServiceFixture, namespace: String) async throws -> [Row] {
        let milliseconds = { (column: String) in "floor(extract(epoch FROM e.\(column)) * 1000)::bigint::text" }
        return try await fixture.rows(
            """
            SELECT e.id::text, e.schedule_id::text, \(milliseconds("scheduled_for")), \(milliseconds("due_at")), e.state,
                \(milliseconds("range_from")), e.range_count::text
            FROM scheduler.executions e JOIN scheduler.schedules s ON s.id = e.schedule_id
            WHERE s.namespace = '\(namespace)'
            """
        ).map { row in
            Row(
                id: row[0] ?? "", schedule: row[1] ?? "", scheduledFor: row[2].flatMap { Int64($0) } ?? 0,
                dueAt: row[3].flatMap { Int64($0) } ?? 0, state: row[4] ?? "", rangeFrom: row[5].flatMap { Int64($0) },
                rangeCount: row[6].flatMap { Int64($0) } ?? 0)
        }
    }

    /// Waits until everything of a load is terminal and told, its schedules are over, and nothing is owed any more.
    static func settled(
        _ fixture: ServiceFixture, _ load: Load, within limit: Duration = .seconds(30),
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        var state = ""
        let isSettled = await waitUntil(limit) {
            try? await Task.sleep(for: .milliseconds(100))
            guard
                let row = try? await fixture.rows(
                    """
                    SELECT coalesce(sum(e.range_count) FILTER (WHERE e.state <> 'claimed'), 0)::text,
                        (SELECT count(*) FROM scheduler.claims)::text, (SELECT count(*) FROM scheduler.outbox)::text,
                        (SELECT count(*) FROM scheduler.schedules
                         WHERE namespace = '\(load.namespace)' AND state = 'active')::text
                    FROM scheduler.executions e JOIN scheduler.schedules s ON s.id = e.schedule_id
                    WHERE s.namespace = '\(load.namespace)'
                    """
                ).first
            else { return false }
            state = """
                \(row[0] ?? "") of \(load.total) terminal, \(row[1] ?? "") claims, \(row[2] ?? "") outbox rows, \
                \(row[3] ?? "") schedules active
                """
            return row[0].flatMap { Int($0) } ?? 0 >= load.total && row[1...3] == ["0", "0", "0"]
        }
        #expect(isSettled, "after \(limit): \(state)", sourceLocation: sourceLocation)
    }
}

// MARK: - What must hold

extension Ledger {
    /// The invariants that hold after every fault.
    /// - Parameter inFlight: for core targets: the most that a kill may have caught between hand-over and record.
    func check(
        _ load: Load, _ arrivals: [FiredMessages.Arrival], inFlight: Int = 0,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let problems =
            ledgerProblems(load) + storedProblems(load) + eventProblems() + arrivalProblems(load, arrivals, inFlight)
        #expect(problems.isEmpty, "\(problems.prefix(12).joined(separator: "\n"))", sourceLocation: sourceLocation)
        #expect(claims == 0, "claims are left", sourceLocation: sourceLocation)
        #expect(outbox == 0, "outbox rows are left", sourceLocation: sourceLocation)
        #expect(unended == 0, "schedules that fired their last are not exhausted", sourceLocation: sourceLocation)
    }

    var delivered: Set<String> { Set(rows.filter { $0.state == "delivered" }.map(\.id)) }

    /// Every occurrence has exactly one terminal row; a load that catches up on everything skips none.
    private func ledgerProblems(_ load: Load) -> [String] {
        var problems: [String] = []
        var seen: [String: Set<Int64>] = [:]
        for row in rows {
            if row.state != "delivered" { problems.append("\(row.id) of \(row.scheduledFor) is \(row.state)") }
            if !(seen[row.schedule, default: []].insert(row.scheduledFor).inserted) {
                problems.append("\(row.schedule) has two rows for \(row.scheduledFor)")
            }
        }
        for (schedule, instants) in load.occurrences {
            for missing in instants.subtracting(seen[schedule] ?? []) {
                problems.append("\(schedule) has no row for \(missing), \(missing - load.beginsAt) ms after the start")
            }
            for extra in (seen[schedule] ?? []).subtracting(instants) {
                problems.append("\(schedule) has a row for \(extra), which is no occurrence")
            }
        }
        return problems
    }

    /// The target stream holds each delivered execution once, and nothing else.
    private func storedProblems(_ load: Load) -> [String] {
        guard load.delivery == .jetstream else { return [] }
        let counts = Dictionary(stored.map { ($0, 1) }, uniquingKeysWith: +)
        return counts.filter { $0.value > 1 }.map { "\($0.key) is \($0.value) times in the stream" }
            + delivered.subtracting(counts.keys).map { "\($0) is delivered by its row, and not in the stream" }
            + Set(counts.keys).subtracting(delivered).map { "\($0) is in the stream, and not delivered by its row" }
    }

    /// Each terminal row has exactly one event id.
    private func eventProblems() -> [String] {
        var problems: [String] = []
        for row in rows where row.isTerminal {
            let ids = Set(events[row.id] ?? [])
            if ids.count != 1 { problems.append("\(row.id), \(row.state), has the events \(ids.sorted())") }
        }
        let known = Set(rows.map(\.id))
        for execution in events.keys where !known.contains(execution) {
            problems.append("an event tells of \(execution), which has no row")
        }
        return problems
    }

    /// Nothing came early; a core target had each execution, doubled only where a kill may have.
    private func arrivalProblems(
        _ load: Load, _ arrivals: [FiredMessages.Arrival], _ inFlight: Int
    ) -> [String] {
        let due = Dictionary(rows.map { ($0.id, $0.dueAt) }, uniquingKeysWith: { first, _ in first })
        let own = arrivals.filter { $0.subject == load.subject }
        var problems = own.compactMap { arrival -> String? in
            guard let due = due[arrival.executionID] else { return "\(arrival.executionID) came and has no row" }
            return arrival.at < due * 1000 ? "\(arrival.executionID) came \(due * 1000 - arrival.at) µs early" : nil
        }
        guard load.delivery == .core else { return problems }
        let counts = Dictionary(own.map { ($0.executionID, 1) }, uniquingKeysWith: +)
        problems += delivered.subtracting(counts.keys).map { "\($0) is delivered by its row, and never came" }
        let doubled = counts.filter { $0.value > 1 }
        if doubled.count > inFlight {
            problems.append("\(doubled.count) executions came more than once, at most \(inFlight) were in flight")
        }
        problems += doubled.filter { $0.value > 2 }.map { "\($0.key) came \($0.value) times" }
        return problems
    }

    /// What holds of `at_most_once`: nothing came twice, what is delivered came, what is not says that nobody can know.
    /// - Returns: how many nobody can know of.
    @discardableResult
    func checkAtMostOnce(
        _ load: Load, _ arrivals: [FiredMessages.Arrival], _ words: [String: String],
        sourceLocation: SourceLocation = #_sourceLocation
    ) -> Int {
        let own = arrivals.filter { $0.subject == load.subject }
        let counts = Dictionary(own.map { ($0.executionID, 1) }, uniquingKeysWith: +)
        var problems = counts.filter { $0.value > 1 }.map { "\($0.key) came \($0.value) times" }
        var uncertain = 0
        for row in rows {
            switch row.state {
            case "delivered", "succeeded":
                if counts[row.id] == nil { problems.append("\(row.id) is \(row.state), and never came") }
            case "dead":
                uncertain += 1
                if words[row.id] != "uncertain uncertain uncertain" {
                    problems.append("\(row.id) is dead of \(words[row.id] ?? "nothing")")
                }
            default: problems.append("\(row.id) is \(row.state)")
            }
        }
        let rowsOf = Dictionary(grouping: rows, by: \.schedule).mapValues { Set($0.map(\.scheduledFor)) }
        for (schedule, instants) in load.occurrences where rowsOf[schedule] != instants {
            problems.append("\(schedule) has rows for \(rowsOf[schedule] ?? []), expected \(instants)")
        }
        problems += eventProblems()
        #expect(problems.isEmpty, "\(problems.prefix(12).joined(separator: "\n"))", sourceLocation: sourceLocation)
        #expect(claims == 0 && unended == 0, sourceLocation: sourceLocation)
        return uncertain
    }

    /// The largest distance from an occurrence's due time to its first arrival, in milliseconds.
    func largestGap(_ load: Load, _ arrivals: [FiredMessages.Arrival]) -> Int64 {
        var first: [String: Int64] = [:]
        for arrival in arrivals { first[arrival.executionID] = min(first[arrival.executionID] ?? .max, arrival.at) }
        return rows.compactMap { row in first[row.id].map { $0 / 1000 - row.dueAt } }.max() ?? 0
    }
}

// MARK: - Reading streams

extension ServiceFixture {
    /// Every message of a stream, many asked for at a time; sequences that are gone are passed over.
    func everyMessage(of stream: String) async throws -> [StoredMessage] {
        let api = JetStreamAPI(client)
        guard let info = try await api.streamInfo(stream), info.messages > 0 else { return [] }
        return try await withThrowingTaskGroup(of: [StoredMessage].self) { group in
            let lanes = UInt64(32)
            for lane in 0..<lanes {
                group.addTask {
                    var messages: [StoredMessage] = []
                    for sequence in stride(from: info.firstSequence + lane, through: info.lastSequence, by: Int(lanes))
                    {
                        do throws(NATSError) {
                            messages.append(try await api.message(in: stream, sequence: sequence))
                        } catch {
                            if error.code != .keyNotFound { throw error }
                        }
                    }
                    return messages
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
    }

    /// The ids of the events of each execution of a namespace.
    func executionEvents(namespace: String) async throws -> [String: [String]] {
        var events: [String: [String]] = [:]
        for message in try await everyMessage(of: "SCHEDULER_EVENTS")
        where message.subject.hasPrefix("scheduler.evt.\(namespace).execution.") {
            let event = try JSONValue.parse(message.payload)
            guard let id = event["id"]?.string, let execution = event["data"]?["execution_id"]?.string else { continue }
            let verb = message.subject.split(separator: ".").last ?? ""
            events[execution, default: []].append("\(verb) \(id)")
        }
        return events
    }
}
