package import Logging
package import NATSClient
package import PostgresClient
package import Recurrence
package import SchedulerCore
package import SchedulerStore
package import SchedulerWire
import Synchronization

/// One incarnation of this process as a member: its row, its lease, its sessions with PostgreSQL, and the loops that
/// claim, publish and record under its name.
///
/// A fenced incarnation is over: the engine drops the session with all it held and joins with a new one.
package final class Session: Sendable {
    package let instance: InstanceID
    package let configuration: EngineConfiguration
    package let clock: PostgresClock
    package let compiler: ScheduleCompiler
    package let pool: PostgresPool
    package let teller: EventTeller
    package let publisher: Publisher
    package let recorder: Recorder
    package let records: RecordQueue
    package let claimer: Claimer
    package let recaller: Recaller
    package let rescuer: Rescuer
    package let membership: Membership
    let connections: SessionConnections
    let serving: NATSConnection
    let logger: Logger
    let gate: Gate

    /// The process's connections to NATS: one sends at once, one gathers writes, one serves commands and the bucket.
    package struct Links: Sendable {
        package let prompt: NATSConnection
        package let gathered: NATSConnection
        package let serving: NATSConnection

        package init(prompt: NATSConnection, gathered: NATSConnection, serving: NATSConnection) {
            self.prompt = prompt
            self.gathered = gathered
            self.serving = serving
        }
    }

    init(
        _ instance: InstanceID, configuration: EngineConfiguration, links: Links, clock: PostgresClock,
        compiler: ScheduleCompiler, bucket: KeyValueBucket, logger: Logger
    ) throws {
        self.instance = instance
        self.configuration = configuration
        self.clock = clock
        self.compiler = compiler
        self.logger = logger
        serving = links.serving
        connections = try SessionConnections(configuration.postgres, of: instance)
        pool = connections.pool
        let trust = Trust()
        let records = RecordQueue(batch: configuration.batch)
        let teller = try EventTeller(
            names: configuration.names, connection: links.gathered, timeout: configuration.acknowledgementTimeout,
            onSettle: { records.settledMore() })
        let publisher = try Publisher(
            configuration: Publisher.Configuration(configuration), prompt: links.prompt, gathered: links.gathered,
            clock: clock, trust: trust, onEnd: { records.add($0) })
        recorder = Recorder(
            instance: instance, queue: records, clock: clock, publisher: publisher, teller: teller,
            onFault: { logger.warning("a record failed, and is tried again", metadata: ["error": "\($0)"]) })
        let membership = Membership(
            instance: instance, configuration: configuration, bucket: bucket, trust: trust, clock: clock,
            logger: logger)
        let gate = Gate(
            configuration: configuration, clock: clock, trust: trust, publisher: publisher, records: records,
            teller: teller, membership: membership)
        claimer = Claimer(
            instance: instance, configuration: configuration, clock: clock, compiler: compiler,
            gate: { gate.claim() }, load: { publisher.lateLoad },
            deliver: { fires, skipped in
                publisher.admit(fires)
                teller.owe(skipped)
            })
        rescuer = Rescuer(instance: instance, clock: clock, compiler: compiler) { fires, events in
            publisher.admit(fires)
            teller.owe(events)
        }
        recaller = Recaller(
            instance: instance, clock: clock, publisher: publisher, records: records, teller: teller)
        self.records = records
        self.teller = teller
        self.publisher = publisher
        self.membership = membership
        self.gate = gate
    }

    /// Why this instance is not ready; empty when it is.
    package func faults() -> [String] { gate.faults() }
}
