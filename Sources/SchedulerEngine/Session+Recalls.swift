import Logging
import NATSClient
import PostgresClient
package import SchedulerCore

/// Asks other members to give back what they hold, to cancel, to go; and does so when asked.
extension Session {
    func answerRecalls(_ requests: NATSSubscription) async {
        await withTaskCancellationHandler {
            for await request in requests { await answerRecall(request) }
        } onCancel: {
            requests.cancel()
        }
    }

    private func answerRecall(_ request: NATSMessage) async {
        let text = String(decoding: request.payload, as: UTF8.self)
        var answer = "{}"
        do {
            if text == Self.drain {
                draining.signal()
            } else if let cancellation = Cancellation(text) {
                answer = cancel(cancellation).rawValue
            } else if text == Self.frozen {
                try await pool.withConnection { try await self.recaller.recallFrozen(on: $0) }
            } else if text == Self.revoked {
                try await recallRevoked()
            } else if let schedule = ScheduleID(text: text) {
                try await pool.withConnection { try await self.recaller.recall(schedule, on: $0) }
            }
        } catch {
            endIfUnsettled(error)
            logger.warning("a recall failed", metadata: ["of": "\(text)", "error": "\(error)"])
        }
        guard let reply = request.reply, let subject = try? Subject(reply) else { return }
        _ = try? serving.publish(subject, payload: Array(answer.utf8))
    }

    /// Asks claimants to give back what they hold of a schedule, and waits until they have.
    package func recall(_ schedule: ScheduleID, from claimants: Set<InstanceID>, within limit: Duration) async {
        await withDiscardingTaskGroup { group in
            for claimant in claimants {
                group.addTask { await self.recall(schedule, from: claimant, within: limit) }
            }
        }
    }

    /// What a recall names in place of a schedule: everything that a freeze holds.
    private static let frozen = "frozen"

    /// Asks claimants to give back what freezes hold by now.
    package func recallFrozen(from claimants: Set<InstanceID>, within limit: Duration) async {
        await withDiscardingTaskGroup { group in
            for claimant in claimants {
                group.addTask {
                    do {
                        if claimant == self.instance {
                            try await self.pool.withConnection { try await self.recaller.recallFrozen(on: $0) }
                        } else {
                            _ = try await self.serving.request(
                                try Subject(self.configuration.names.recall(of: claimant)),
                                payload: Array(Self.frozen.utf8), timeout: limit)
                        }
                    } catch {
                        self.endIfUnsettled(error)
                        // It is asked again while something is open.
                        self.logger.debug(
                            "a recall was not answered", metadata: ["member": "\(claimant)", "error": "\(error)"])
                    }
                }
            }
        }
    }

    /// What asks a member to go.
    private static let drain = "drain"

    /// Asks another member to go. - Returns: whether it has heard.
    package func requestDrain(of member: InstanceID, within limit: Duration) async -> Bool {
        guard let subject = try? Subject(configuration.names.recall(of: member)) else { return false }
        let reply = try? await serving.request(subject, payload: Array(Self.drain.utf8), timeout: limit)
        return reply != nil
    }

    /// Asks the claimant of an execution to give it up, if it has not handed it to NATS.
    /// - Returns: what it said; nil where it did not answer.
    package func cancel(
        _ cancellation: Cancellation, at claimant: InstanceID, within limit: Duration
    ) async -> Cancellation.Answer? {
        if claimant == instance { return cancel(cancellation) }
        guard let subject = try? Subject(configuration.names.recall(of: claimant)) else { return nil }
        let reply = try? await serving.request(subject, payload: Array(cancellation.text.utf8), timeout: limit)
        return reply.flatMap { Cancellation.Answer(rawValue: String(decoding: $0.payload, as: UTF8.self)) }
    }

    private func cancel(_ cancellation: Cancellation) -> Cancellation.Answer {
        let answer = publisher.cancel(cancellation)
        if answer == .cancelled { records.hurry() }
        return answer
    }

    private func recall(_ schedule: ScheduleID, from claimant: InstanceID, within limit: Duration) async {
        do {
            if claimant == instance {
                try await pool.withConnection { try await self.recaller.recall(schedule, on: $0) }
            } else {
                _ = try await serving.request(
                    try Subject(configuration.names.recall(of: claimant)), payload: Array(schedule.description.utf8),
                    timeout: limit)
            }
        } catch {
            endIfUnsettled(error)
            // Whatever was not given back is named in the reply.
            logger.debug("a recall was not answered", metadata: ["member": "\(claimant)", "error": "\(error)"])
        }
    }
}
