import KeyValueLock
import Logging
package import NATSClient
package import PostgresClient
import Recurrence
package import SchedulerCore
import SchedulerStore
import SchedulerWire
import ServiceMetrics
import ServiceTracing
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
    let zones: ZoneWatch
    let targetsWatch: TargetsWatch
    package let limits: LimitBoard
    /// Rules may have changed; the cause of some schedules' being invalid may be gone.
    let (rulesChanged, healing) = (Wakeup(), Wakeup())
    /// Something waits for a place, or a place may be free.
    package let placesChanged = Wakeup()
    /// Executions that others follow have ended.
    package let chained = Wakeup()
    /// Schedules that listen may be others.
    let listening = Wakeup()
    let listeningBoard = ListeningBoard()
    package let cancellations = CancellationLine()
    let (hearing, doubts) = (HearingBoard(), DoubtQueue())
    package let pool: PostgresPool
    /// For lists and counts, which may take long.
    package let lists: PostgresPool
    package let teller: EventTeller
    package let publisher: Publisher
    package let recorder: Recorder
    package let records: RecordQueue
    let unended = UnendedSchedules()
    package let claimer: Claimer
    package let recaller: Recaller
    package let rescuer: Rescuer
    package let membership: Membership
    let connections: SessionConnections
    let serving: NATSConnection
    let meters: ServiceMeters
    let logger: Logger
    let gate: Gate
    let leaving = Flag()
    /// What this incarnation did is unknown: it ends.
    let ending = IncarnationEnd()
    /// The process is asked to go.
    let draining: Flag
    /// The lock under which single jobs run.
    let roleLock: KeyValueLock

    /// The process's connections to NATS: one sends at once, one gathers writes, one serves commands, one keeps the
    /// lease. A server whose disk is full keeps JetStream's requests waiting; commands are answered all the same.
    package struct Links: Sendable {
        package let prompt: NATSConnection
        package let gathered: NATSConnection
        package let serving: NATSConnection
        package let leases: NATSConnection

        package init(
            prompt: NATSConnection, gathered: NATSConnection, serving: NATSConnection, leases: NATSConnection
        ) {
            self.prompt = prompt
            self.gathered = gathered
            self.serving = serving
            self.leases = leases
        }
    }

    init(
        _ instance: InstanceID, configuration: EngineConfiguration, links: Links, clock: PostgresClock,
        compiler: ScheduleCompiler, zones: ZoneWatch, rules: (targets: TargetsWatch, limits: LimitBoard),
        bucket: KeyValueBucket, draining: Flag, meters: ServiceMeters, tracer: ServiceTracer, logger: Logger
    ) throws {
        self.instance = instance
        self.configuration = configuration
        self.clock = clock
        self.compiler = compiler
        self.zones = zones
        (targetsWatch, limits) = rules
        self.draining = draining
        self.meters = meters
        self.logger = logger
        serving = links.serving
        connections = try SessionConnections(configuration.postgres, of: instance)
        pool = connections.pool
        lists = connections.lists
        let trust = Trust()
        let records = RecordQueue(batch: configuration.batch)
        let teller = try EventTeller(
            names: configuration.names, connection: links.gathered, timeout: configuration.acknowledgementTimeout,
            meters: meters, tracer: tracer, onSettle: { records.settledMore() })
        let publisher = try Publisher(
            configuration: Publisher.Configuration(configuration), prompt: links.prompt, gathered: links.gathered,
            clock: clock, trust: trust,
            onEnd: {
                tracer.published($0, by: clock)
                records.add($0)
            }, onDoubt: { [doubts] in doubts.add($0) })
        recorder = Recorder(
            instance: instance, names: configuration.names, queue: records, clock: clock, publisher: publisher,
            teller: teller, unended: unended, chained: chained,
            onFault: { logger.warning("a record failed, and is tried again", metadata: ["error": "\($0)"]) })
        let membership = try Membership(
            instance: instance, configuration: configuration, bucket: bucket, trust: trust, clock: clock,
            meters: meters, logger: logger)
        let gate = Gate(
            configuration: configuration, clock: clock, trust: trust, publisher: publisher, records: records,
            teller: teller, membership: membership)
        claimer = Claimer(
            instance: instance, configuration: configuration, clock: clock, compiler: compiler,
            listening: listeningBoard, gate: { gate.claim() }, load: { publisher.lateLoad }, unended: unended,
            logger: logger, onWaiting: { [placesChanged] in placesChanged.signal() },
            deliver: { fires, skipped in
                publisher.admit(fires)
                teller.owe(skipped)
                meters.misfired(Misfires.count(fires, skipped))
            })
        rescuer = Rescuer(
            instance: instance, names: configuration.names, clock: clock, compiler: compiler, logger: logger
        ) { fires, events in
            publisher.admit(fires)
            teller.owe(events)
        }
        recaller = Recaller(
            instance: instance, names: configuration.names, clock: clock, compiler: compiler, publisher: publisher,
            records: records, teller: teller)
        self.records = records
        let control = connections.upkeep
        roleLock = KeyValueLock(
            bucket, owner: configuration.instanceName, lease: configuration.lease,
            epochSource: { try await LockTable.nextEpoch(of: $0, on: control) })
        self.teller = teller
        self.publisher = publisher
        self.membership = membership
        self.gate = gate
    }

    /// Why this instance is not ready; empty when it is.
    package func faults() -> [String] { gate.faults() + (hearing.fault.map { [$0] } ?? []) }
}

// MARK: - Life

extension Session {
    /// How long a join waits for whoever holds the ledger's locks.
    private static let partitionPatience = Duration.seconds(10)

    /// Becomes a member: a row in PostgreSQL, then a lease in the bucket.
    func join() async throws {
        try await InstanceTable.register(instance, name: configuration.instanceName, on: connections.control)
        for _ in 0..<5 { try await clock.sample(on: connections.control) }
        try await requirePartitions()
        try await loadRules(on: connections.control)
        try await membership.join()
        try publisher.start()
        try teller.start()
        logger.info("joined", metadata: ["instance": "\(instance)"])
        tell(.memberJoined, "joined with a lease of \(configuration.lease)")
    }

    /// Makes today's and tomorrow's partitions, if they are missing; later days are the janitor's.
    private func requirePartitions() async throws {
        let deadline = ContinuousClock.now + Self.partitionPatience
        while true {
            do {
                _ = try await PartitionTable.ensure(now: clock.now(), days: 0...1, on: connections.upkeep)
                break
            } catch let error as PostgresError where error.code == .lockTimeout && ContinuousClock.now < deadline {
                try await Task.sleep(for: .milliseconds(200))
            }
        }
        gate.set(partitionDays: try await PartitionTable.daysReady(now: clock.now(), on: connections.upkeep))
    }

    /// Does a member's work until it is fenced, loses its lease, or is asked to leave; throws but for the last.
    func work() async throws {
        let requests = try serving.subscribe(try SubjectFilter(configuration.names.recall(of: instance)))
        let hints = try serving.subscribe(try SubjectFilter(configuration.names.hint)) { [weak self] message in
            self?.heard(message.payload)
        }
        defer {
            requests.cancel()
            hints.cancel()
        }
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await self.claimer.run(on: self.connections.claims.0, and: self.connections.claims.1)
                }
                group.addTask { try await self.recorder.run(on: self.connections.records.0) }
                group.addTask { try await self.recorder.run(on: self.connections.records.1) }
                group.addTask { try await self.membership.renew() }
                group.addTask { try await self.membership.watch() }
                group.addTask { try await ClockKeeper(session: self).run() }
                group.addTask { try await Watchman(session: self).run() }
                group.addTask { try await Janitor(session: self).run() }
                group.addTask { try await Retention(session: self).run() }
                group.addTask { try await ZoneKeeper(session: self).run() }
                group.addTask { try await StateKeeper(session: self).run() }
                group.addTask { try await TargetKeeper(session: self).run() }
                group.addTask { try await Reaper(session: self).run() }
                group.addTask { try await ExhaustionKeeper(session: self).run() }
                group.addTask { try await BufferKeeper(session: self).run() }
                group.addTask { await Canceller(session: self).run() }
                group.addTask { try await AuditSealer(session: self).run() }
                group.addTask { try await ReportIntake(session: self).run() }
                group.addTask { await SecondLook(session: self).run() }
                group.addTask { try await EventKeeper(session: self).run() }
                group.addTask { await self.answerRecalls(requests) }
                group.addTask { try await self.leaveWhenAsked() }
                group.addTask { try await self.ending.wait() }
                // The first to throw ends all: `waitForAll` would wait for the others first.
                while try await group.next() != nil {}
            }
        } catch is Left {
            return
        }
    }

    /// Ends what the incarnation holds; nothing of it speaks afterwards.
    ///
    /// The incarnation ends its own right to act, so that its claims are rescued at once and no peer waits for a lease
    /// that nobody renews. Where PostgreSQL cannot be asked, a peer does it after a lease.
    func end() async {
        publisher.stop()
        teller.stop()
        _ = try? await InstanceTable.fence(instance, by: instance, on: connections.control)
        await membership.leave()
        await connections.close()
    }

    private struct Left: Error {}

    /// Asks this incarnation to leave in good order.
    func requestLeave() { leaving.signal() }

    /// Leaves in good order: claims no more, gives back what is not yet due, waits for what is under way with targets
    /// that answer, and fences itself, so that what is left is rescued at once.
    private func leaveWhenAsked() async throws {
        while !leaving.isSet { try await Task.sleep(for: .milliseconds(50)) }
        gate.leave()
        tell(.systemStopping, "leaving")
        do {
            try await recaller.recallAll(on: connections.upkeep)
        } catch {
            logger.warning("claims could not be given back; they will be rescued", metadata: ["error": "\(error)"])
        }
        let deadline = ContinuousClock.now + .seconds(10)
        while ContinuousClock.now < deadline, underWay > 0 {
            records.hurry()
            try await Task.sleep(for: .milliseconds(20))
        }
        // The last acknowledgements' rows.
        try await recorder.recordOnce(on: connections.records.0)
        // Before the fence: what is due after it is published by whoever rescues it, and by nobody else.
        publisher.stop()
        _ = try? await InstanceTable.fence(instance, by: instance, on: connections.control)
        await membership.leave()
        throw Left()
    }

    /// What a member that leaves waits for: all that it holds and will get an answer for.
    private var underWay: Int {
        let (total, silent) = publisher.load
        return total.count - silent.count + teller.owedCount + records.count
    }
}

// MARK: - What commands need

extension Session {
    /// Tells every instance that something may be due soon.
    package func hint() {
        claimer.hint()
        guard let subject = try? Subject(configuration.names.hint) else { return }
        _ = try? serving.publish(subject, payload: [UInt8]())
    }

    /// Makes the streams that are missing; for when events find none.
    func ensureStreams() async throws {
        try await EventStreams(serving, names: configuration.names, replicas: configuration.streamReplicas).ensure()
    }

    /// Tells something that concerns the service itself.
    func tell(_ type: EventType, _ detail: String) {
        teller.owe([
            .system(
                EventText(
                    system: type, instance: instance.description, name: configuration.instanceName, at: clock.now(),
                    detail: detail, source: "/carillon/\(configuration.subjectPrefix)"))
        ])
    }
}
