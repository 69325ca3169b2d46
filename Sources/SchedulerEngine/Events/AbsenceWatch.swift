import Logging
import NATSClient
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerStore

/// Holds the deadlines of absences against their streams. A stream knows its last message on a subject, so nobody needs
/// to read it: it is asked when a deadline has passed, and costs nothing for a million messages in between.
struct AbsenceWatch: Sendable {
    let session: Session

    private static let round = Duration.milliseconds(500)
    /// Rounds between two looks at those whose absence was told: the next message begins anew.
    private static let told = 4

    func run() async {
        var rounds = 0
        while !Task.isCancelled {
            await session.attempt("looking for messages that are missing") {
                try await look(atTold: rounds % Self.told == 0)
            }
            rounds += 1
            try? await Task.sleep(for: Self.round)
        }
    }

    private func look(atTold: Bool) async throws {
        let schedules = session.absences.all
        guard !schedules.isEmpty else { return }
        let timers = try await session.pool.withConnection { try await TimerTable.fetch(schedules.map(\.id), on: $0) }
        let now = session.clock.now()
        for schedule in schedules {
            guard let timer = timers[schedule.id], timer.generation == schedule.generation,
                let deadline = timer.nextFireAt
            else { continue }
            let isTold = deadline == .untilMessage
            guard isTold ? atTold : deadline <= now else { continue }
            await session.attempt("asking a stream for its last message") {
                try await look(at: schedule, deadline, isTold: isTold)
            }
        }
    }

    private func look(at schedule: Schedule, _ deadline: Instant, isTold: Bool) async throws {
        let listener = EventListener(schedule, session: session, targets: 0)
        guard let stream = schedule.definition.timing.event.stream, let filter = listener.filter else { return }
        let recurrence = try schedule.occurrences(zones: session.compiler.zones).recurrence
        if let last = try await lastTime(in: stream, on: filter), last >= schedule.anchor {
            let next = schedule.definition.timing.deadline(after: last, recurrence) ?? .untilMessage
            // One that was told is not told again for the same silence.
            let isNews = isTold ? next > session.clock.now() : next > deadline
            if isNews { return try await listener.postpone(after: last) }
        }
        guard !isTold else { return }
        session.absences.note(schedule.id, deadline: deadline)
        session.claimer.hint()
    }

    /// Nil where the stream has no message on the subject.
    private func lastTime(in stream: StreamName, on filter: SubjectFilter) async throws -> Instant? {
        do throws(NATSError) {
            let message = try await JetStreamAPI(session.serving).lastMessage(in: stream.description, matching: filter)
            return Instant(rfc3339: message.time)
        } catch {
            guard error.code == .keyNotFound else { throw error }
            return nil
        }
    }
}
