import Logging
import NATSClient
import PayloadTemplates
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerStore
import Synchronization

/// What one listener has heard and not yet written down, and the transactions that write it down, one after another.
final class IntakeLine: Sendable {
    private struct State {
        var heard: [HeardMessage] = []
        var deliveries: [PulledMessage] = []
        var isEnded = false
    }

    /// What one transaction takes.
    private static let batch = 500
    /// Where whoever fills the line waits.
    private static let mostHeard = 500

    private let listener: EventListener
    private let state = Mutex(State())
    private let filled = Wakeup()

    init(_ listener: EventListener) { self.listener = listener }

    /// Waits for room, but no longer than the listener listens.
    func add(_ message: HeardMessage, _ delivery: PulledMessage?) async {
        while !listener.isStopping, state.withLock({ $0.heard.count >= Self.mostHeard }) {
            try? await Task.sleep(for: .milliseconds(5))
        }
        state.withLock { state in
            state.heard.append(message)
            if let delivery { state.deliveries.append(delivery) }
        }
        filled.signal()
    }

    /// Nothing more comes.
    func end() {
        state.withLock { $0.isEnded = true }
        filled.signal()
    }

    /// Writes down what is added, until the end or until the schedule is another.
    /// - Parameters:
    ///   - stream: when the stream was made; nil for a core subject.
    ///   - settle: of messages that are written down; or that are not heard, for now.
    func run(stream: String?, _ settle: ([PulledMessage], _ isTaken: Bool) -> Void) async {
        while !Task.isCancelled {
            let (heard, deliveries, isEnded) = state.withLock { state in
                (Array(state.heard.prefix(Self.batch)), Array(state.deliveries.prefix(Self.batch)), state.isEnded)
            }
            guard !heard.isEmpty else {
                if isEnded { return }
                await filled.wait(atMost: .seconds(60))
                continue
            }
            do {
                let outcome = try await listener.takeIn(heard, stream: stream)
                state.withLock { state in
                    state.heard.removeFirst(heard.count)
                    state.deliveries.removeFirst(deliveries.count)
                }
                switch outcome {
                case .notHeard: settle(deliveries, false)
                case .taken(let waiting):
                    FailPoint.eventTaken.reach()
                    settle(deliveries, true)
                    if stream != nil { await listener.waitForRoom(waiting) }
                }
            } catch {
                listener.warn("a message could not be written down, and is tried again", error)
                // Of a core subject it is the only copy: it is tried as long as this instance lives.
                if stream != nil, listener.isStopping { return }
                try? await Task.sleep(for: .milliseconds(500))
            }
        }
    }
}

extension EventListener {
    enum IntakeOutcome: Sendable {
        /// So many messages wait by now.
        case taken(waiting: Int64)
        /// The schedule stands still, or is another by now: it does not hear this.
        case notHeard
    }

    /// Writes messages down: rows that wait, and the timer set to the first of them; one transaction, under the timer's
    /// lock, as a claim's.
    /// - Parameter stream: when it was made; nil for a core subject.
    func takeIn(_ heard: [HeardMessage], stream: String?) async throws -> IntakeOutcome {
        let (value, _) = try await session.pool.withConnection { connection in
            try await SettledTransaction.run(on: connection) {
                [self] transaction -> (value: (IntakeOutcome, dropped: Int, due: Instant?), calls: [Call]) in
                guard let timer = try await TimerTable.lock(schedule.id, in: transaction),
                    timer.generation == schedule.generation, let next = timer.nextFireAt
                else { return ((.notHeard, 0, nil), []) }
                let (state, isKept) = try await self.state(stream: stream, in: transaction)
                let look = try await EventTable.look(at: timer, in: transaction)
                let known = try await self.known(among: heard, state, in: transaction)
                let isBurst = timing.event.debounceMilliseconds > 0
                let burst = isBurst && isKept ? try await EventTable.burst(of: timer, in: transaction) : nil
                let intake = EventIntake(
                    heard, timing, state, isKnown: { known.contains($0) },
                    room: EventIntake.mostWaiting - Int(look.rows), burst: burst.map(self.burst),
                    now: session.clock.now())
                var calls = [InstanceTable.hold(session.instance), EventTable.keep(intake.state, of: schedule.id)]
                var kept = look.rows
                if !isKept {
                    calls.append(EventTable.clear(schedule.id))
                    kept = 0
                } else if let burst, intake.continuesBurst {
                    calls.append(EventTable.remove([burst.row]))
                    kept -= 1
                }
                let due = intake.additions.map(\.dueAt).min()
                if let due {
                    calls.append(EventTable.add(intake.additions.map(addition), to: timer))
                    // What is put off though messages wait has no place for them: one more changes nothing.
                    if timer.resumeFrom == nil || kept == 0 {
                        let first = kept > 0 ? min(due, look.firstDue ?? due) : due
                        let wake = isBurst ? first : min(next, due)
                        if wake != next { calls.append(EventTable.wake(schedule.id, at: wake, isPutOff: isBurst)) }
                    }
                }
                let waiting = kept + Int64(intake.additions.count)
                return ((.taken(waiting: waiting), intake.dropped, due), calls)
            }
        }
        if value.dropped > 0 {
            session.logger.warning(
                "messages found no room, and are dropped",
                metadata: ["schedule": "\(schedule.id)", "messages": "\(value.dropped)"])
        }
        if let due = value.due, due.milliseconds(since: session.clock.now()) <= Lookahead.shortest + 200 {
            session.claimer.hint()
        }
        return value.0
    }

    private func burst(_ row: Int64, _ dueAt: Instant, _ messages: Int64) -> EventIntake.Burst {
        let rule = timing.event
        return EventIntake.Burst(
            lastAt: dueAt.adding(milliseconds: -rule.debounceMilliseconds - rule.delayMilliseconds), count: messages)
    }

    /// Where the schedule stands with what it hears, and whether what waits is of its present timing.
    private func state(
        stream: String?, in transaction: PostgresTransaction
    ) async throws -> (state: EventState, isKept: Bool) {
        let found = try await EventTable.state(of: schedule.id, on: transaction)
        let created = stream ?? ""
        guard var state = found, state.generation == schedule.generation else {
            let from = max(found?.listenFrom ?? schedule.anchor, schedule.anchor)
            return (
                EventState(generation: schedule.generation, streamCreated: created, listenFrom: from), found == nil
            )
        }
        if state.streamCreated != created {
            // Another stream of the same name counts from 1 again.
            state.streamCreated = created
            state.lastSequence = 0
        }
        return (state, true)
    }

    /// Which of the messages wait, or were fired, already. Those that come for the first time need no look.
    private func known(
        among heard: [HeardMessage], _ state: EventState, in transaction: PostgresTransaction
    ) async throws -> Set<Int> {
        let old = heard.indices.filter { heard[$0].sequence.map { $0 <= state.lastSequence } ?? false }
        guard !old.isEmpty, timing.event.debounceMilliseconds == 0 else { return [] }
        let ids = old.map { occurrence(of: heard[$0]).executionID }
        let known = try await EventTable.known(among: ids, in: transaction)
        return Set(zip(old, ids).filter { known.contains($1) }.map(\.0))
    }

    private func occurrence(of message: HeardMessage) -> Occurrence {
        Occurrence(
            schedule: schedule.id, generation: schedule.generation, origin: .event, scheduledFor: message.at,
            ordinal: message.ordinal)
    }

    private func addition(_ addition: EventIntake.Addition) -> EventTable.Addition {
        var content = addition.message.content
        if addition.count > 1, let kept = content { content = Self.counted(kept, addition.count) }
        return EventTable.Addition(
            occurrence: occurrence(of: addition.message), dueAt: addition.dueAt, count: addition.count,
            message: content)
    }

    private static func counted(_ content: [UInt8], _ count: Int64) -> [UInt8] {
        guard var values = EventValues(json: content) else { return content }
        values.count = count
        return values.json
    }

    /// What a stream holds may stay there: beyond a bound nothing more is read until some has fired.
    func waitForRoom(_ waiting: Int64) async {
        var waiting = waiting
        while waiting >= EventIntake.mostFromStream, !isStopping {
            await pause(.milliseconds(200))
            let timer = Timer(schedule: schedule.id, nextFireAt: nil, generation: schedule.generation)
            let look = try? await session.pool.withConnection { connection in
                try await connection.transaction { try await EventTable.look(at: timer, in: $0) }
            }
            if let look { waiting = look.rows }
        }
    }
}
