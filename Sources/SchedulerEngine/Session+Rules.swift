import Logging
import NATSClient
import PostgresClient
package import SchedulerCore
import SchedulerStore

/// Rules that change while the service runs: how a change reaches the instances.
extension Session {
    /// What a hint says that is about rules, and not about a timer.
    static let rulesHint = "rules"
    /// What a recall names in place of a schedule: everything that the allow-list refuses by now.
    static let revoked = "revoked"

    /// Reads the rules, whatever was known of them.
    func loadRules(on connection: PostgresConnection) async throws {
        try await compiler.targets.load(isAnew: true, on: connection)
        try await limits.load(isAnew: true, on: connection)
    }

    /// Rules were changed by a command: all instances should look.
    package func hintRules() {
        rulesChanged.signal()
        guard let subject = try? Subject(configuration.names.hint) else { return }
        _ = try? serving.publish(subject, payload: Array(Self.rulesHint.utf8))
    }

    /// A hint came.
    func heard(_ hint: UnsafeRawBufferPointer) {
        if hint.elementsEqual(Self.rulesHint.utf8) {
            rulesChanged.signal()
        } else if hint.elementsEqual(Self.listeningHint.utf8) {
            listening.signal()
        } else {
            claimer.hint()
        }
    }

    /// The cause of some schedules' being invalid may be gone.
    func heal() { healing.signal() }

    /// What is not as it should be, and keeps the instance from nothing.
    package func warnings() -> [String] {
        let targets = targetsWatch.fault.map {
            "TARGETS_FILE is not used as it is now; what it said before holds: \($0)"
        }
        let letters = teller.letterFault.map { "dead letters wait for their stream: \($0)" }
        return [targets, letters].compactMap(\.self)
    }

    /// Gives back what this instance has claimed and the allow-list refuses by now.
    func recallRevoked() async throws {
        try await pool.withConnection { connection in
            try await compiler.targets.catchUp(on: connection)
            try await recaller.recallRevoked(on: connection)
        }
    }

    /// Asks claimants to give back what the allow-list refuses by now.
    package func recallRevoked(from claimants: Set<InstanceID>, within limit: Duration) async {
        await withDiscardingTaskGroup { group in
            for claimant in claimants {
                group.addTask {
                    do {
                        if claimant == self.instance {
                            try await self.recallRevoked()
                        } else {
                            _ = try await self.serving.request(
                                try Subject(self.configuration.names.recall(of: claimant)),
                                payload: Array(Self.revoked.utf8), timeout: limit)
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
}
