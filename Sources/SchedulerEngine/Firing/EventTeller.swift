import DequeModule
package import NATSClient
import SchedulerCore
package import SchedulerStore
package import SchedulerWire
package import ServiceMetrics
package import ServiceTracing
import Synchronization

/// Publishes events and dead letters to their streams, after the state they tell is durable, until each is acknowledged.
///
/// An event is built when its turn comes, so that what waits costs no more than a reference, and built again for every
/// further try: its id is the same. While the stream does not answer, the teller pauses as a whole: what fails for one
/// fails for all. What it owes stands in PostgreSQL all the while (a claim's row, the outbox, or the message itself), so
/// nothing is lost with the process.
///
/// A dead letter goes to another stream: where that one does not take it, no event waits for it. It is dropped from
/// memory, and the sweep brings it again.
package final class EventTeller: Sendable {
    /// One event that is owed, and what its acknowledgement settles.
    package enum Owed: Sendable {
        case execution(ExecutionEvent, OpenClaim)
        case change(ScheduleChange)
        /// What a transition has written as it is to go out, and what is counted and traced of it, where this process
        /// wrote it.
        case message(OwedMessage, id: Int64, step: LifeStep? = nil)
        /// Told as long as the process lives; nothing durable is owed.
        case system(EventText)
    }

    /// What acknowledgements have settled, for the recorder to write down.
    package struct Settled: Sendable {
        package var claims: [ClaimTable.ClaimID] = []
        package var changes: [Int64] = []
        package var messages: [Int64] = []

        package var isEmpty: Bool { claims.isEmpty && changes.isEmpty && messages.isEmpty }
    }

    private struct State {
        var waiting: Deque<Owed> = []
        var told: [UInt64: Owed] = [:]
        var nextToken: UInt64 = 0
        var settled = Settled()
        var failures = 0
        var pausedUntil: Int64 = 0
        var failing: String?
        /// Why dead letters are not being acknowledged.
        var failingLetters: String?
        var isStopped = false
        /// The thread sleeps for want of work or of room: only then is a wake worth its system call.
        var isParked = false

        mutating func unpark() -> Bool {
            defer { isParked = false }
            return isParked
        }
    }

    private let names: SubjectNames
    private let source: String
    private let window: Int
    private let thread = LoopThread()
    private let state = Mutex(State())
    private let stream = Mutex<JetStreamPublisher?>(nil)
    private let meters: ServiceMeters
    private let tracer: ServiceTracer
    private let onSettle: @Sendable () -> Void

    /// - Parameter onSettle: called when there is something settled to write down.
    package init(
        names: SubjectNames, connection: NATSConnection, timeout: Duration, window: Int = 4096,
        meters: ServiceMeters = ServiceMeters(), tracer: ServiceTracer = ServiceTracer(),
        onSettle: @escaping @Sendable () -> Void
    ) throws {
        self.names = names
        source = names.source
        self.window = window
        self.meters = meters
        self.tracer = tracer
        self.onSettle = onSettle
        let publisher = try JetStreamPublisher(connection, timeout: timeout, maxInFlight: 2 * window) {
            [weak self] in self?.resolve($0)
        }
        stream.withLock { $0 = publisher }
    }

    package func start() throws(EngineError) {
        try thread.start("carillon-tell") { [weak self] in self?.step() ?? 0 }
    }

    package func stop() {
        state.withLock { state in
            state.isStopped = true
            state.waiting = []
            state.told = [:]
        }
        thread.stop()
        stream.withLock { $0 }?.shutdown()
    }

    package func owe(_ events: [Owed]) {
        let (isTaken, wakes) = state.withLock { state in
            guard !state.isStopped else { return (false, false) }
            state.waiting.append(contentsOf: events)
            return (true, state.unpark())
        }
        if wakes { thread.wake() }
        // What this one cannot tell is told, and counted, by whoever takes it over.
        guard isTaken else { return }
        meters.executions(ExecutionTally(events.lazy.compactMap(\.sample)))
        if tracer.isOn { for event in events { if let run = event.run { tracer.ran(run) } } }
    }

    /// Events owed: waiting or unacknowledged.
    package var owedCount: Int { state.withLock { $0.waiting.count + $0.told.count } }

    /// Why events are not being acknowledged; nil while they are.
    package var fault: String? { state.withLock { $0.failures >= 3 ? $0.failing : nil } }

    /// Why dead letters are not being acknowledged; nil while they are.
    package var letterFault: String? { state.withLock { $0.failingLetters } }

    /// The messages that are being published now: the sweep leaves them alone.
    package var messagesBeingTold: [Int64] {
        state.withLock { state in
            (Array(state.told.values) + Array(state.waiting)).compactMap {
                if case .message(_, let id, _) = $0 { id } else { nil }
            }
        }
    }

    /// The changes that are being told now: the outbox's sweep leaves them alone.
    package var changesBeingTold: [Int64] {
        state.withLock { state in
            (Array(state.told.values) + Array(state.waiting)).compactMap {
                if case .change(let change) = $0 { change.auditID } else { nil }
            }
        }
    }

    /// Takes over what was settled since the last call.
    package func takeSettled() -> Settled {
        state.withLock { state in
            defer { state.settled = Settled() }
            return state.settled
        }
    }

    /// Puts back what could not be written down.
    package func putBack(_ settled: Settled) {
        state.withLock { state in
            state.settled.claims += settled.claims
            state.settled.changes += settled.changes
            state.settled.messages += settled.messages
        }
    }

    /// Counts off executions that need no event, such as those given back.
    package func settleWithoutEvent(_ claims: [OpenClaim]) {
        let done = claims.filter { $0.settle() }.map(\.id)
        guard !done.isEmpty else { return }
        state.withLock { $0.settled.claims += done }
        onSettle()
    }

    private static let handful = 256
    /// Milliseconds between two tries while the stream is away. One event a second costs nothing, and when the stream is
    /// back its events come within the second that they are promised in.
    private static let mostPause: Int64 = 1000

    private func step() -> Int64 {
        let now = MonotonicClock.now()
        let batch = state.withLock { state -> [(token: UInt64, owed: Owed)] in
            state.isParked = true
            guard now >= state.pausedUntil else { return [] }
            // After a failure, one at a time until one is acknowledged.
            let room = state.failures > 0 ? 1 - min(1, state.told.count) : window - state.told.count
            var batch: [(UInt64, Owed)] = []
            while batch.count < min(Self.handful, room), let owed = state.waiting.popFirst() {
                state.nextToken += 1
                state.told[state.nextToken] = owed
                batch.append((state.nextToken, owed))
            }
            state.isParked = batch.isEmpty
            return batch
        }
        guard !batch.isEmpty, let stream = stream.withLock({ $0 }) else {
            let pause = state.withLock { $0.waiting.isEmpty ? 0 : $0.pausedUntil }
            return pause > now ? pause : now + 1_000_000_000
        }
        for (token, owed) in batch {
            do { try stream.publish(token: token, message(of: owed)) } catch {
                let isTooLarge = (error as? NATSError)?.code == .payloadTooLarge
                let outcome: PublishOutcome =
                    error is EngineError || isTooLarge
                    ? .refused(code: 400, errCode: 0, description: "\(error)") : .connectionLost
                resolve([PublishResolution(token: token, outcome: outcome)])
            }
        }
        FailPoint.told.reach()
        return 0
    }

    private func message(of owed: Owed) throws -> OutgoingMessage {
        let text: EventText
        switch owed {
        case .execution(let event, _): text = EventText(event, source: source)
        case .change(let change):
            guard let known = EventText(change, source: source) else {
                throw EngineError(.stream, "no event is called '\(change.action)'")
            }
            text = known
        case .system(let known): text = known
        case .message(let message, _, _): return try Self.outgoing(message)
        }
        return try Self.outgoing(
            OwedMessage(
                stream: names.eventsStream, subject: text.subject(prefix: names.prefix), messageID: text.id,
                contentType: CloudEvent.contentType, body: text.body))
    }

    private static func outgoing(_ message: OwedMessage) throws -> OutgoingMessage {
        var headers = NATSHeaders(reservingCapacity: 256)
        try headers.append(.messageID, message.messageID)
        try headers.append(.expectedStream, message.stream)
        try headers.append(.contentType, message.contentType)
        return OutgoingMessage(subject: try Subject(message.subject), headers: headers, payload: message.body)
    }

    private func resolve(_ resolutions: [PublishResolution]) {
        let (hasSettled, wakes) = state.withLock { state in
            for resolution in resolutions {
                guard let owed = state.told.removeValue(forKey: resolution.token) else { continue }
                if case .acknowledged = resolution.outcome {
                    state.failures = 0
                    settle(owed, in: &state)
                } else {
                    fail(owed, resolution.outcome, in: &state)
                }
            }
            let hasRoom = state.failures > 0 || state.told.count <= window * 3 / 4
            let wakes = hasRoom && !state.waiting.isEmpty && state.unpark()
            return (!state.settled.isEmpty, wakes)
        }
        FailPoint.settled.reach()
        if wakes { thread.wake() }
        if hasSettled { onSettle() }
    }

    private func settle(_ owed: Owed, in state: inout State) {
        switch owed {
        case .execution(_, let claim): if claim.settle() { state.settled.claims.append(claim.id) }
        case .change(let change): state.settled.changes.append(change.auditID)
        case .message(let message, let id, _):
            state.settled.messages.append(id)
            if message.stream != names.eventsStream { state.failingLetters = nil }
        case .system: break
        }
    }

    private func fail(_ owed: Owed, _ outcome: PublishOutcome, in state: inout State) {
        if case .message(let message, _, _) = owed, message.stream != names.eventsStream {
            state.failingLetters = Self.words(for: outcome, stream: message.stream)
            return
        }
        // What was refused for itself goes to the back: it must not keep the others waiting. What failed with the
        // connection or the stream keeps its place.
        if outcome.isUnknown || outcome == .noResponders {
            state.waiting.prepend(owed)
        } else {
            state.waiting.append(owed)
        }
        // Those that were under way together fail together: one failure.
        if MonotonicClock.now() >= state.pausedUntil {
            let delay = min(Self.mostPause, DispatchDecision.backoffMilliseconds(tries: state.failures))
            state.failures += 1
            state.pausedUntil = MonotonicClock.now() + delay * 1_000_000
        }
        state.failing = Self.words(for: outcome, stream: names.eventsStream)
    }

    private static func words(for outcome: PublishOutcome, stream: String) -> String {
        switch outcome {
        case .noResponders: "the stream \(stream) is missing or has no leader"
        case .refused(_, let errCode, let description):
            "the stream \(stream) refuses what it is told: \(description) (\(errCode))"
        case .notPermitted: "the server permits no events to be published"
        case .connectionLost: "events cannot be published: no connection to NATS"
        default: "the stream \(stream) does not acknowledge events"
        }
    }
}

extension ScheduleChange {
    package init(_ entry: AuditEntry, auditID: Int64) {
        self.init(
            auditID: auditID, at: entry.at, schedule: entry.schedule, name: entry.name, namespace: entry.namespace,
            action: entry.action, fence: entry.fence, version: entry.version, actor: entry.actor,
            reason: entry.reason, requestID: entry.requestID, outcome: entry.outcome, trace: entry.trace)
    }
}
