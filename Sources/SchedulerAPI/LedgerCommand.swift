import JSONText
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import SchedulerWire

/// `admin.system.verify` with `"check":"ledger"`: did every occurrence end in exactly one place?
struct LedgerCommand: Sendable {
    let session: Session

    private static let day: Int64 = 86_400_000
    private static let mostRows: Int64 = 50_000

    /// - Parameter body: its `check` was taken.
    func verify(_ body: inout BodyReader) async throws -> ReplyMembers {
        let now = session.clock.now()
        let question = try read(&body, now: now)
        let keptFrom = now.adding(milliseconds: -Int64(session.configuration.historyRetentionDays) * Self.day)
        var asked = question.question
        asked.from = max(asked.from, min(keptFrom, asked.to))
        let (wanted, reference) = (asked, question.reference)
        let (found, settled) = try await session.list { connection in
            var wanted = wanted
            wanted.schedule = try await schedule(reference, in: wanted.namespace, on: connection)
            let found = try await LedgerVerification.run(wanted, in: session, on: connection)
            if let reference, let namespace = wanted.namespace, found.schedules == 0, wanted.start == nil {
                throw notFound(reference, in: namespace)
            }
            return (found, wanted)
        }
        // Told once, with the first piece.
        let dropped =
            question.question.from < settled.from && settled.start == nil
            ? LedgerDoubt(
                .historyNotKept, from: question.question.from, through: settled.from.adding(milliseconds: -1)) : nil
        return { writer in
            writer.object("verified") { $0.ledger(found, settled, dropped) }
            if let next = found.next { writer.member("next_cursor", LedgerCursor(settled, next).text) }
        }
    }

    /// An id names a deleted schedule too, as long as its history is kept.
    private func schedule(
        _ reference: ScheduleReference?, in namespace: Namespace?, on connection: PostgresConnection
    ) async throws -> ScheduleID? {
        guard let reference, let namespace else { return nil }
        if case .id(let id) = reference { return id }
        guard let found = try await ScheduleTable.find(reference, in: namespace, on: connection)?.id
        else { throw notFound(reference, in: namespace) }
        return found
    }

    private func read(
        _ body: inout BodyReader, now: Instant
    ) throws -> (question: LedgerVerification.Question, reference: ScheduleReference?) {
        let (from, to) = (body.instant("from"), body.instant("to"))
        var question = LedgerVerification.Question(from: .earliest, to: to ?? now)
        question.from = from ?? question.to.adding(milliseconds: -Self.day)
        if let to, to > now { body.report("to", "expected an instant that has passed; it is \(now.rfc3339)") }
        if from != nil || to != nil, question.from >= question.to, !body.hasProblem("from"), !body.hasProblem("to") {
            body.report("from", "expected an instant before \(question.to.rfc3339)")
        }
        question.limit = Int(body.integer("limit", in: 1...Self.mostRows) ?? 10_000)
        if let text = body.string("namespace", most: 256) {
            question.namespace = try? Namespace(text)
            if question.namespace == nil { body.report("namespace", "expected a namespace, got '\(text.prefix(160))'") }
        }
        let reference = body.scheduleFilter()
        if reference != nil, question.namespace == nil, !body.hasProblem("namespace") {
            body.report("namespace", "is required: whose schedule it is", as: .missingField)
        }
        if let text = body.string("cursor", most: 160) {
            if let cursor = LedgerCursor(text: text) {
                (question.from, question.to, question.start) = (cursor.from, cursor.to, cursor.place)
            } else {
                body.report("cursor", "is none that a verification returned", as: .badCursor)
            }
        }
        try body.finish()
        return (question, reference)
    }
}

/// Where a verification goes on, and over which time: the window of its first piece holds for all.
struct LedgerCursor: Hashable {
    let from: Instant
    let to: Instant
    let place: LedgerVerification.Place

    init(_ question: LedgerVerification.Question, _ place: LedgerVerification.Place) {
        (from, to, self.place) = (question.from, question.to, place)
    }

    /// `<from>.<to>.<at>.<schedule>`, times in milliseconds since 1970.
    var text: String {
        "\(from.milliseconds).\(to.milliseconds).\(place.at.milliseconds).\(place.schedule)"
    }

    init?(text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4, let from = Int64(parts[0]), let to = Int64(parts[1]), let at = Int64(parts[2]),
            let schedule = ScheduleID(text: String(parts[3])), from < to
        else { return nil }
        (self.from, self.to) = (Instant(milliseconds: from), Instant(milliseconds: to))
        place = LedgerVerification.Place(schedule: schedule, at: Instant(milliseconds: at))
    }
}

extension JSONWriter {
    fileprivate mutating func ledger(
        _ found: LedgerVerification, _ question: LedgerVerification.Question, _ dropped: LedgerDoubt?
    ) {
        object("ledger") { writer in
            writer.member("ok", found.problems.isEmpty)
            writer.member("complete", found.next == nil)
            writer.member("from", question.from.rfc3339)
            writer.member("to", question.to.rfc3339)
            writer.member("schedules", found.schedules)
            writer.member("rows", found.rows)
            writer.member("occurrences", found.occurrences)
            writer.member("ended", found.ended)
            writer.member("open", found.open)
            writer.member("waiting", found.waiting)
            writer.member("commanded", found.commanded)
            writer.name("problems")
            writer.array { writer in for problem in found.problems { writer.value(problem) } }
            writer.name("unproved")
            writer.array { writer in
                if let dropped { writer.object { $0.doubt(dropped) } }
                for doubt in found.doubts { writer.value(doubt) }
            }
        }
    }

    private mutating func schedule<Finding>(_ said: LedgerVerification.Said<Finding>) {
        member("schedule_id", said.schedule.description)
        member("schedule_name", said.name)
        member("namespace", said.namespace)
    }

    private mutating func value(_ said: LedgerVerification.Said<LedgerProblem>) {
        object { writer in
            writer.member("kind", said.finding.kind.rawValue)
            writer.schedule(said)
            writer.member("generation", said.finding.generation)
            writer.member("from", said.finding.from.rfc3339)
            writer.member("through", said.finding.through.rfc3339)
            writer.member("count", said.finding.count)
            writer.member("execution_id", ifPresent: said.finding.execution?.description)
            writer.member("description", said.finding.sentence)
        }
    }

    private mutating func value(_ said: LedgerVerification.Said<LedgerDoubt>) {
        object { writer in
            writer.schedule(said)
            writer.doubt(said.finding)
        }
    }

    private mutating func doubt(_ doubt: LedgerDoubt) {
        member("reason", doubt.reason.rawValue)
        member("from", doubt.from.rfc3339)
        member("through", doubt.through.rfc3339)
        member("count", ifPresent: doubt.count)
        member("description", doubt.sentence)
    }
}
