import JSONText
import NATSClient
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import SchedulerWire

/// `admin.dlq.list` and `redrive`: executions that gave up, and another chance for them.
///
/// The list is what the stream holds. A redrive is made from the ledger, which is the truth, and takes the letter out of
/// the stream once the new execution is durable.
struct DeadLetterCommands: Sendable {
    let session: Session
    /// The server's `max_payload`.
    let mostMessageBytes: Int

    /// A reply must fit a message: the page ends where its letters reach this, whatever `limit` says.
    private static let mostBytes = 512 << 10
    /// What one page reads from the stream at most; a letter has its payload with it.
    private static let mostRead = 16 << 20
    /// How many letters of a schedule are looked through for the one that was sent again.
    private static let mostSearched = 1000

    private var names: SubjectNames { session.configuration.names }
    private var api: JetStreamAPI { JetStreamAPI(session.commandConnection) }

    // MARK: list

    func list(_ request: CommandRequest) async throws -> ReplyMembers {
        var body = BodyReader(request.body)
        let namespace = body.letterNamespace()
        let schedule = body.letterSchedule()
        let limit = body.limit()
        let cursor = body.letterCursor()
        try body.finish()
        let filter = "\(names.prefix).dlq.\(namespace?.description ?? "*").\(schedule?.description ?? "*")"
        let page = try await read(try SubjectFilter(filter), from: cursor ?? 1, limit: limit)
        let mostBytes = min(Self.mostBytes, mostMessageBytes / 2)
        return { writer in
            var next = page.next
            writer.name("letters")
            writer.array { writer in
                for (index, letter) in page.letters.enumerated() {
                    if index > 0, writer.withBytes({ $0.count }) > mostBytes {
                        next = letter.sequence
                        break
                    }
                    writer.value(letter)
                }
            }
            writer.member("next_cursor", ifPresent: next.map { String($0) })
        }
    }

    private func read(
        _ filter: SubjectFilter, from first: UInt64, limit: Int
    ) async throws -> (letters: [StoredMessage], next: UInt64?) {
        var letters: [StoredMessage] = []
        var sequence = first
        var bytes = 0
        while let letter = try await next(filter, from: sequence) {
            guard letters.count < limit, bytes < Self.mostRead else { return (letters, letter.sequence) }
            bytes += letter.payload.count
            letters.append(letter)
            sequence = letter.sequence + 1
        }
        return (letters, nil)
    }

    /// Nil behind the last, and where there is no stream: then nobody has given up since it was lost.
    private func next(_ filter: SubjectFilter, from sequence: UInt64) async throws -> StoredMessage? {
        do throws(NATSError) {
            return try await api.nextMessage(in: names.deadLetterStream, on: filter, from: sequence)
        } catch {
            guard error.code == .keyNotFound || error.code == .streamNotFound else { throw error }
            return nil
        }
    }

    // MARK: redrive

    /// Makes a new execution of one that gave up, once: the new one's identity follows from the old one's, so that a
    /// letter that is sent again twice, by two admins or after a lost reply, fires once. One that gives up again leaves a
    /// letter of its own.
    func redrive(_ request: CommandRequest) async throws -> [UInt8] {
        var body = BodyReader(request.body)
        let options = ChangeOptions(&body)
        body.refuseVersion(options)
        let isForced = body.bool("force") ?? false
        let id = try body.finish(with: body.executionID("id"))
        let now = session.clock.now()
        let context = CommandContext(
            session: session, defaults: DefinitionDefaults(), mostSchedules: 0, mostMessageBytes: mostMessageBytes)
        return try await ChangeRunner(session: session).run(request, options) { transaction in
            guard let letter = try await DeadLetterTable.find(id, on: transaction), letter.execution.state == .dead,
                let namespace = letter.namespace
            else { throw WireError(.deadLetterNotFound, "no execution \(id) gave up") }
            let original = letter.execution
            let origin = ChangeOrigin(namespace: namespace, options: options, now: now)
            let held = try await context.fireable(
                .id(original.schedule), origin, isForced: isForced, in: transaction)
            var timer = held.timer
            let fires = CommandedFires(
                schedule: held.compiled, generation: original.generation, instance: session.instance, now: now,
                origin: .retry)
            var change = Change()
            change.settle = {
                await discard(original, of: namespace)
                return []
            }
            let overlap = try await context.overlap(of: held.compiled, isForced: isForced, in: transaction)
            guard try overlap.opensOne() else {
                let waiting = fires.waitAlone(
                    original.scheduledFor, ordinal: original.redriveOrdinal, trigger: original.trigger,
                    payload: letter.payload, retryOf: id, overlap, &timer, in: session, into: &change)
                let isKnown = overlap.occupancy?.waiting.contains { $0.id == waiting.id } ?? false
                let isMade = try await !ExecutionTable.existing(among: [waiting.id], on: transaction).isEmpty
                guard !isKnown, !isMade else { throw Self.sentAgain(waiting.id) }
                Self.note(waiting.id, retryOf: id, of: held.schedule, origin, in: &change)
                return change
            }
            let opened = fires.open(
                [original.scheduledFor], ordinal: original.redriveOrdinal, trigger: original.trigger,
                payload: letter.payload, &timer, into: &change)
            guard var execution = opened.first else { return change }
            guard try await ExecutionTable.existing(among: [execution.id], on: transaction).isEmpty else {
                throw Self.sentAgain(execution.id)
            }
            execution.retryOf = id
            change.write(ExecutionTable.setRetry(of: id, in: execution.id))
            Self.note(execution.id, retryOf: id, of: held.schedule, origin, in: &change)
            let (told, compiled) = (execution, held.compiled)
            change.reply = { writer in
                writer.name("execution")
                writer.value(told, scheduleName: compiled.name, namespace: compiled.namespace)
            }
            return change
        }
    }

    private static func sentAgain(_ id: ExecutionID) -> WireError {
        WireError(.wrongState, "the execution was sent again already, as \(id)")
    }

    private static func note(
        _ id: ExecutionID, retryOf original: ExecutionID, of schedule: Schedule, _ origin: ChangeOrigin,
        in change: inout Change
    ) {
        change.note("execution_redriven", of: schedule, origin.options, at: origin.now) { writer in
            writer.member("execution_id", id.description)
            writer.member("retry_of", original.description)
        }
    }

    /// Takes a letter out of its stream. Where it stays, for the stream does not answer, the execution is sent again by
    /// nobody all the same.
    private func discard(_ execution: Execution, of namespace: Namespace) async {
        guard let filter = try? SubjectFilter("\(names.prefix).dlq.\(namespace).\(execution.schedule)") else { return }
        var sequence: UInt64 = 1
        for _ in 0..<Self.mostSearched {
            guard let letter = try? await next(filter, from: sequence) else { return }
            if letter.execution?["id"]?.string == execution.id.description {
                try? await api.deleteMessage(in: names.deadLetterStream, sequence: letter.sequence)
                return
            }
            sequence = letter.sequence + 1
        }
    }
}

extension Execution {
    /// Tells the execution that is made of this one's letter from all others of its schedule.
    fileprivate var redriveOrdinal: Int64 {
        1 + Int64(Digest.stableNumber(of: "redrive/\(id)", below: UInt64(Int64.max - 1)))
    }
}

extension StoredMessage {
    /// Of a letter; nil for what somebody else put there.
    fileprivate var text: JSONValue? {
        guard let text = try? JSONValue.parse(payload), text["type"]?.string == DeadLetter.type else { return nil }
        return text
    }

    fileprivate var execution: JSONValue? { text?["execution"] }
}

extension BodyReader {
    fileprivate mutating func letterNamespace() -> Namespace? {
        guard let text = string("namespace", most: 256) else { return nil }
        do { return try Namespace(text) } catch {
            report("namespace", "\(error), got '\(text)'")
            return nil
        }
    }

    fileprivate mutating func letterSchedule() -> ScheduleID? {
        guard let text = string("schedule_id", most: 64) else { return nil }
        let id = ScheduleID(text: text)
        if id == nil { report("schedule_id", "expected a schedule's id, got '\(text)'") }
        return id
    }

    fileprivate mutating func letterCursor() -> UInt64? {
        guard let text = string("cursor", most: 32) else { return nil }
        let sequence = UInt64(text)
        if sequence == nil { report("cursor", "is none that a list returned", as: .badCursor) }
        return sequence
    }
}

extension JSONWriter {
    /// A letter without its payload.
    fileprivate mutating func value(_ letter: StoredMessage) {
        let text = letter.text
        object { writer in
            writer.member("sequence", letter.sequence)
            writer.member("subject", letter.subject)
            writer.member("stored_at", letter.time)
            for name in ["execution", "target_command", "delivery", "payload_sha256", "payload_bytes"] {
                guard let value = text?[name] else { continue }
                writer.name(dynamic: name)
                writer.value(value)
            }
        }
    }
}
