import JSONText
import Logging
import NATSClient
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerStore
import Synchronization

/// Holds deadlines against streams.
///
/// Of an `absence`: a stream knows its last message on a subject, so nobody needs to read it: it is asked when a deadline
/// has passed, and costs nothing for a million messages in between. Of an `event` with an end: what came into its stream
/// by then fires, however long nobody was at work; the schedule ends when its consumer has nothing of that time left.
///
/// Streams are asked side by side, and each by a few questions at once; one that does not answer is left alone for a
/// while, and what it owes waits (``StreamTurns``).
struct StreamWatch: Sendable {
    let session: Session

    private static let round = Duration.milliseconds(500)
    /// Rounds between two looks at those whose absence was told: the next message begins anew.
    private static let told = 4
    /// Streams that are asked at once, and questions to one of them.
    private static let streams = 64
    private static let questions = 8
    /// For one answer.
    private static let patience = Duration.seconds(2)

    private final class Turns: Sendable {
        let state = Mutex(StreamTurns(most: StreamWatch.streams))
    }

    /// What a stream is asked for one schedule.
    private struct Question: Sendable {
        let schedule: Schedule
        let deadline: Instant
        /// What its timer was set to where it is put off.
        let putOffFrom: Instant?
        /// Its absence was told.
        let isTold: Bool
    }

    func run() async {
        let turns = Turns()
        await withDiscardingTaskGroup { tasks in
            var rounds = 0
            while !Task.isCancelled {
                var wanted: [StreamName: [Question]] = [:]
                await session.attempt("looking for messages that are missing") {
                    wanted = try await due(atTold: rounds % Self.told == 0)
                }
                for stream in turns.state.withLock({ $0.take(wanted.keys, at: MonotonicClock.now()) }) {
                    let questions = wanted[stream] ?? []
                    tasks.addTask {
                        let isAnswered = await ask(stream, questions)
                        turns.state.withLock { $0.end(stream, isAnswered: isAnswered, at: MonotonicClock.now()) }
                    }
                }
                rounds += 1
                try? await Task.sleep(for: Self.round)
            }
        }
    }

    private func due(atTold: Bool) async throws -> [StreamName: [Question]] {
        let schedules = session.listeningBoard.all
        guard !schedules.isEmpty else { return [:] }
        let timers = try await session.pool.withConnection { try await TimerTable.fetch(schedules.map(\.id), on: $0) }
        let now = session.clock.now()
        var wanted: [StreamName: [Question]] = [:]
        for schedule in schedules {
            let timing = schedule.definition.timing
            guard let stream = timing.event.stream, let timer = timers[schedule.id],
                timer.generation == schedule.generation, let next = timer.nextFireAt
            else { continue }
            let isTold = timing.type == .absence && next == .untilMessage
            let deadline = timing.type == .event ? timing.endAt : timer.resumeFrom ?? next
            // The server's clock may be a little behind.
            let settling = timing.type == .event ? ClaimPlanner.settling : 0
            guard let deadline, isTold ? atTold : deadline.adding(milliseconds: settling) <= now else { continue }
            // What it has heard may wait for hours yet.
            let isKnown = timing.type == .event && timer.resumeFrom != deadline
            if isKnown, session.listeningBoard.isChecked(schedule.id, deadline: deadline) { continue }
            wanted[stream, default: []].append(
                Question(schedule: schedule, deadline: deadline, putOffFrom: timer.resumeFrom, isTold: isTold))
        }
        return wanted
    }

    /// - Returns: whether the stream has answered.
    private func ask(_ stream: StreamName, _ questions: [Question]) async -> Bool {
        // One that is never answered must not keep the same others waiting for ever.
        let questions = questions.shuffled()
        for start in stride(from: 0, to: questions.count, by: Self.questions) {
            var isAnswered = true
            await session.attempt("asking stream \(stream) for what came last") {
                let some = questions[start..<min(questions.count, start + Self.questions)]
                isAnswered = try await look(at: some, in: stream)
            }
            guard isAnswered, !Task.isCancelled else { return false }
        }
        return true
    }

    private func look(at questions: some Collection<Question>, in stream: StreamName) async throws -> Bool {
        let answers = await withTaskGroup(of: (Question, isPassed: Bool?).self) { tasks in
            for question in questions { tasks.addTask { (question, await isPassed(question, in: stream)) } }
            return await tasks.reduce(into: [(Question, isPassed: Bool?)]()) { $0.append($1) }
        }
        let passed = answers.filter { $0.isPassed == true }.map(\.0)
        if !passed.isEmpty {
            for question in passed { session.listeningBoard.note(question.schedule.id, deadline: question.deadline) }
            let waiting = passed.compactMap { question in question.putOffFrom.map { (question.schedule.id, $0) } }
            let now = session.clock.now()
            if !waiting.isEmpty {
                try await session.pool.withConnection { try await EventTable.lookAgain(waiting, at: now, on: $0) }
            }
            session.claimer.hint()
        }
        return answers.allSatisfy { $0.isPassed != nil }
    }

    /// Whether a deadline stands; nil where the stream does not say.
    private func isPassed(_ question: Question, in stream: StreamName) async -> Bool? {
        do {
            let isEvent = question.schedule.definition.timing.type == .event
            return try await isEvent ? isHeard(question, in: stream) : isMissed(question, in: stream)
        } catch {
            if !Task.isCancelled {
                session.logger.warning(
                    "a stream does not say what came last",
                    metadata: ["schedule": "\(question.schedule.id)", "stream": "\(stream)", "error": "\(error)"])
            }
            // What is wrong with one schedule is not the stream's silence.
            return error is NATSError ? nil : false
        }
    }

    private var api: JetStreamAPI { JetStreamAPI(session.serving, timeout: Self.patience) }

    /// Whether no message came by an absence's deadline. Where one came, the deadline is moved on.
    private func isMissed(_ question: Question, in stream: StreamName) async throws -> Bool {
        let schedule = question.schedule
        let listener = EventListener(schedule, session: session, targets: 0)
        guard let filter = listener.filter else { return false }
        let recurrence = try schedule.occurrences(zones: session.compiler.zones).recurrence
        if let last = try await lastTime(in: stream, on: filter), last >= schedule.anchor {
            let next = schedule.definition.timing.deadline(after: last, recurrence) ?? .untilMessage
            // One that was told is not told again for the same silence.
            let isNews = question.isTold ? next > session.clock.now() : next > question.deadline
            if isNews {
                try await listener.postpone(after: last)
                return false
            }
        }
        return !question.isTold
    }

    /// Nil where the stream has no message on the subject.
    private func lastTime(in stream: StreamName, on filter: SubjectFilter) async throws -> Instant? {
        do throws(NATSError) {
            return Instant(rfc3339: try await api.lastMessage(in: stream.description, matching: filter).time)
        } catch {
            guard error.code == .keyNotFound else { throw error }
            return nil
        }
    }

    /// Whether all that came into the stream by an event's end is written down: what its consumer has not acknowledged came
    /// later.
    private func isHeard(_ question: Question, in stream: StreamName) async throws -> Bool {
        let schedule = question.schedule
        let listener = EventListener(schedule, session: session, targets: 0)
        guard let filter = listener.filter else { return false }
        let consumer = StreamListener.consumer(of: schedule.id, schedule.generation)
        do throws(NATSError) {
            let info = try await api.request("CONSUMER.INFO.\(stream).\(consumer)")
            guard let floor = (try? JSONValue.parse(info))?["ack_floor"]?["stream_seq"]?.int64 else { return false }
            let next = try await api.nextMessage(
                in: stream.description, on: filter, from: UInt64(clamping: floor) + 1)
            return Instant(rfc3339: next.time).map { $0 > question.deadline } ?? false
        } catch {
            switch error.code {
            // Nothing is left, or nothing can be left any more.
            case .keyNotFound, .streamNotFound: return true
            // Its reader makes it anew, behind what was written down.
            case .jetStream(_, errCode: 10_014): return false
            default: throw error
            }
        }
    }
}
