import Logging
import NATSClient
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerStore
import SchedulerWire

/// Looks after the peers: fences the dead, and rescues what they left.
struct Watchman: Sendable {
    let session: Session

    private static let round = Duration.milliseconds(200)

    /// The service's loop. Throws when this member is fenced.
    func run() async throws {
        let connection = session.connections.control
        var rounds = 0
        while true {
            try await Task.sleep(for: Self.round)
            do {
                try await look(on: connection, rounds: rounds)
            } catch let error as PostgresError {
                // A claim that may have been adopted and is known to nobody would stay so for as long as this
                // incarnation lives.
                if error.sqlState == InstanceTable.fencedState || error.isUnsettled { throw error }
                session.logger.debug("the watchman's round failed", metadata: ["error": "\(error)"])
            }
            rounds += 1
        }
    }

    private func look(on connection: PostgresConnection, rounds: Int) async throws {
        if rounds % 25 == 0 {
            session.membership.expect(try await InstanceTable.unfenced(on: connection))
        }
        for suspect in session.membership.suspects() { try await bury(suspect, on: connection) }
        if rounds % 5 == 0 { try await rescue(on: connection) }
    }

    private func bury(_ victim: InstanceID, on connection: PostgresConnection) async throws {
        let isFirst = try await InstanceTable.fence(victim, by: session.instance, on: connection)
        await session.membership.buried(victim)
        if isFirst {
            session.logger.warning("a member was lost, and is fenced", metadata: ["member": "\(victim)"])
            session.tell(.memberLost, "\(victim) did not renew its lease")
        }
        try await rescue(on: connection)
    }

    private func rescue(on connection: PostgresConnection) async throws {
        let rescued = try await session.rescuer.rescueAll(on: connection)
        if rescued > 0 {
            session.logger.notice("claims of lost members were taken over", metadata: ["claims": "\(rescued)"])
        }
    }
}

/// Asks PostgreSQL for its time, all the while: that is what the clock is told by, and what shows that PostgreSQL is
/// there. A lease is renewed only after a recent answer, so the questions come a good deal more often than renewals,
/// and on a connection of their own: a long rescue must not cost the rescuer its lease.
struct ClockKeeper: Sendable {
    let session: Session

    private var round: Duration { min(.seconds(1), session.configuration.lease / 10) }

    /// The service's loop. Throws when it is cancelled.
    func run() async throws {
        while true {
            try await Task.sleep(for: round)
            do {
                if let jump = try await session.clock.sample(on: session.connections.clock) {
                    session.logger.warning("PostgreSQL's clock jumped", metadata: ["milliseconds": "\(jump)"])
                    session.tell(.clockSkew, "PostgreSQL's clock jumped by \(jump) ms")
                }
                session.clock.slew()
                if session.clock.note(fault: nil) { session.logger.notice("PostgreSQL answers again") }
            } catch let error as PostgresError {
                // Once a reason: it may be gone for long, and be asked ten times a second.
                guard session.clock.note(fault: "\(error)") else { continue }
                session.logger.warning("PostgreSQL does not answer", metadata: ["reason": "\(error)"])
            }
        }
    }
}
