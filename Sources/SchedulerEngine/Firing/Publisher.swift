package import NATSClient
import Recurrence
package import SchedulerCore
import Synchronization

/// Hands claimed occurrences to NATS at their time, and tells the recorder how each ended.
///
/// A thread of its own keeps the time. What is due and alone goes out on a connection that sends at once; a crowd goes
/// out on one that gathers writes. The decision what becomes of an attempt is ``DispatchDecision``'s; this shell
/// performs it.
///
/// Right before the bytes go, the member's trust in its lease is checked; what a pause catches behind that check goes
/// out late with the same ids.
package final class Publisher: Sendable {
    package struct Configuration: Sendable {
        /// Publishes that may await their acknowledgement.
        var window = 4096
        /// More than this many at once go by the gathering connection.
        var prompt = 16
        var timeout = Duration.seconds(5)
        var misfiredPerSecond = 100.0
        var latePerSecond = 2000.0

        package init(_ configuration: EngineConfiguration) {
            timeout = configuration.acknowledgementTimeout
            misfiredPerSecond = configuration.misfiredPerSecond
            latePerSecond = configuration.latePerSecond
        }
    }

    private struct State {
        var queue = FireQueue<Fire>()
        var open: [ScheduleID: [Fire]] = [:]
        var openCount = 0
        var openBytes = 0
        var sent = SentTable()
        var rates: [FireClass: RateBucket] = [:]
        var isStopped = false
    }

    private let configuration: Configuration
    private let clock: PostgresClock
    private let trust: Trust
    private let thread = LoopThread()
    private let state = Mutex(State())
    private let streams = Mutex<(prompt: JetStreamPublisher, gathered: JetStreamPublisher)?>(nil)
    private let plain: PlainDelivery
    private let onEnd: @Sendable ([EndedFire]) -> Void
    private let backlog = Atomic<Int>(0)

    package init(
        configuration: Configuration, prompt: NATSConnection, gathered: NATSConnection, clock: PostgresClock,
        trust: Trust, onEnd: @escaping @Sendable ([EndedFire]) -> Void
    ) throws {
        self.configuration = configuration
        self.clock = clock
        self.trust = trust
        self.onEnd = onEnd
        plain = PlainDelivery(prompt: prompt, gathered: gathered)
        state.withLock { state in
            state.rates[.misfired] = RateBucket(perSecond: configuration.misfiredPerSecond)
            state.rates[.withinGrace] = RateBucket(perSecond: configuration.latePerSecond)
        }
        let resolve: JetStreamPublisher.OnResolve = { [weak self] resolutions in self?.resolve(resolutions) }
        let window = configuration.window
        let pair = (
            prompt: try JetStreamPublisher(
                prompt, timeout: configuration.timeout, maxInFlight: 2 * window, onResolve: resolve),
            gathered: try JetStreamPublisher(
                gathered, timeout: configuration.timeout, maxInFlight: 2 * window, onResolve: resolve)
        )
        streams.withLock { $0 = pair }
    }

    package func start() throws(EngineError) {
        try thread.start("carillon-fire") { [weak self] in self?.step() ?? 0 }
    }

    /// Ends the thread and forgets everything; outcomes that come later are ignored. For a member that was fenced, or
    /// that has handed over.
    package func stop() {
        let pair = state.withLock { state in
            state.isStopped = true
            _ = state.queue.removeAll()
            state.open = [:]
            state.sent = SentTable()
            return streams.withLock { $0 }
        }
        thread.stop()
        pair?.prompt.shutdown()
        pair?.gathered.shutdown()
    }

    /// Executions held: waiting, sent, or ended and not yet recorded.
    package var held: Int { state.withLock { $0.openCount } }

    /// Payload bytes of what is held.
    package var heldBytes: Int { state.withLock { $0.openBytes } }

    /// How many are due and wait for their turn; the recorder leaves the machine to them.
    package var dueBacklog: Int { backlog.load(ordering: .relaxed) }

    /// The catch-up rates are a cluster's; this is how many share them now.
    func shareRates(among members: Int) {
        state.withLock { state in
            for kind in FireClass.allCases { state.rates[kind]?.share(among: members) }
        }
    }

    /// Late and misfired ones that wait for their rate.
    package var lateLoad: (late: Int, misfired: Int) {
        state.withLock { ($0.queue.readyCount(.withinGrace), $0.queue.readyCount(.misfired)) }
    }

    /// Takes claimed occurrences in.
    package func admit(_ fires: [Fire]) {
        state.withLock { state in
            guard !state.isStopped else { return }
            for fire in fires {
                state.queue.insert(fire, dueAt: fire.dueAt, priority: fire.schedule.priority, kind: fire.kind)
                if fire.isLast { for earlier in state.open[fire.schedule.id] ?? [] { earlier.isLast = true } }
                state.open[fire.schedule.id, default: []].append(fire)
                state.openCount += 1
                state.openBytes += fire.heldBytes
            }
        }
        thread.wake()
    }

    /// Takes in again what was taken back and could not be given back.
    func admitAgain(_ fires: [Fire]) {
        state.withLock { _ in
            for fire in fires { fire.phase = .waiting }
        }
        admit(fires)
    }

    /// Takes back what was not yet handed to NATS of a schedule's own time; what somebody triggered goes out.
    /// - Returns: what was taken back, and what it is too late for.
    package func recall(_ schedule: ScheduleID) -> (withdrawn: [Fire], sent: [Fire]) {
        state.withLock { state in
            var withdrawn: [Fire] = []
            var sent: [Fire] = []
            for fire in state.open[schedule] ?? [] {
                if fire.phase == .waiting, fire.tries == 0, fire.origin == .time {
                    fire.phase = .withdrawn
                    withdrawn.append(fire)
                } else {
                    sent.append(fire)
                }
            }
            for fire in withdrawn { Self.close(fire, in: &state) }
            return (withdrawn, sent)
        }
    }

    /// Takes back all that was not yet handed to NATS, for a member that leaves.
    package func recallAll() -> [Fire] {
        state.withLock { state in
            let waiting = state.open.values.joined().filter {
                $0.phase == .waiting && $0.tries == 0 && $0.origin == .time
            }
            for fire in waiting {
                fire.phase = .withdrawn
                Self.close(fire, in: &state)
            }
            return waiting
        }
    }

    /// Executions that the recorder has written: they are held no longer.
    package func close(_ fires: [Fire]) {
        state.withLock { state in
            for fire in fires { Self.close(fire, in: &state) }
        }
    }

    /// The schedules that may be exhausted once these are recorded.
    func schedulesOver(_ ended: [EndedFire]) -> Set<ScheduleID> {
        state.withLock { _ in Set(ended.filter(\.fire.isLast).map(\.fire.schedule.id)) }
    }

    private static func close(_ fire: Fire, in state: inout State) {
        let id = fire.schedule.id
        guard var fires = state.open[id], let index = fires.firstIndex(where: { $0 === fire }) else { return }
        fires.swapAt(index, fires.count - 1)
        fires.removeLast()
        state.open[id] = fires.isEmpty ? nil : fires
        state.openCount -= 1
        state.openBytes -= fire.heldBytes
    }
}

// MARK: - The loop

extension Publisher {
    /// How many are taken from the queue at once: small, so that what becomes due meanwhile is not kept waiting.
    private static let handful = 128
    private static let idle: Int64 = 1_000_000_000

    /// One run of the thread. - Returns: until when there is nothing to do.
    private func step() -> Int64 {
        let monotonic = MonotonicClock.now()
        guard clock.isSet, trust.holds(at: monotonic) else { return monotonic + 10_000_000 }
        let now = clock.instant(at: monotonic)
        let (fires, next) = state.withLock { state in take(now: now, monotonic: monotonic, from: &state) }
        if fires.isEmpty { return next }
        send(fires, now: now)
        return 0
    }

    private func take(now: Instant, monotonic: Int64, from state: inout State) -> (fires: [Fire], next: Int64) {
        guard !state.isStopped else { return ([], .max) }
        state.queue.ripen(now: now)
        backlog.store(state.queue.readyCount(.onTime), ordering: .relaxed)
        let room = min(Self.handful, configuration.window - state.sent.count)
        // Full: an acknowledgement wakes the thread.
        guard room > 0 else { return ([], monotonic + Self.idle) }
        var fires: [Fire] = []
        while fires.count < room, let fire = state.queue.take(.onTime, now: now) {
            if fire.begin(at: now) { fires.append(fire) }
        }
        var next = state.queue.nextDueAt.map { clock.monotonic(of: $0) } ?? .max
        for kind in [FireClass.withinGrace, .misfired] where fires.count < room {
            while fires.count < room, state.queue.readyCount(kind) > 0 {
                guard state.rates[kind]?.take(at: monotonic) ?? true else {
                    next = min(next, monotonic + 2_000_000)
                    break
                }
                if let fire = state.queue.take(kind, now: now), fire.begin(at: now) { fires.append(fire) }
            }
        }
        return (fires, min(next, monotonic + Self.idle))
    }

    private func send(_ fires: [Fire], now: Instant) {
        guard let streams = streams.withLock({ $0 }) else { return }
        let isCrowd = fires.count > configuration.prompt || dueBacklog > configuration.prompt
        let stream = isCrowd ? streams.gathered : streams.prompt
        var unsent: [(Fire, DispatchOutcome)] = []
        var flushed: (fires: [Fire], since: ConnectionEpoch?) = ([], nil)
        FailPoint.publishing.reach()
        for fire in fires {
            guard trust.holds(at: MonotonicClock.now()) else {
                unsent.append((fire, .notSent))
                continue
            }
            do throws(NATSError) {
                let message = try fire.message()
                switch fire.schedule.delivery {
                case .jetstream:
                    let token = state.withLock { $0.sent.insert(fire) }
                    do throws(NATSError) { try stream.publish(token: token, message) } catch {
                        _ = state.withLock { $0.sent.remove(token) }
                        throw error
                    }
                case .core:
                    let epoch = try plain.publish(message, gathered: isCrowd)
                    flushed.fires.append(fire)
                    if flushed.since == nil { flushed.since = epoch }
                }
            } catch {
                unsent.append((fire, Self.outcome(of: error)))
            }
        }
        FailPoint.published.reach()
        if !unsent.isEmpty { settle(unsent) }
        if let since = flushed.since {
            plain.confirm(flushed.fires, since: since, gathered: isCrowd) { [weak self] fires, outcome in
                self?.settle(fires.map { ($0, outcome) })
            }
        }
    }

    private static func outcome(of error: NATSError) -> DispatchOutcome {
        switch error.code {
        case .payloadTooLarge, .invalidSubject, .invalidHeader, .notPermitted: .refused(error.description)
        case .connectionLost: .connectionLost
        default: .notSent
        }
    }
}

// MARK: - Outcomes

extension Publisher {
    private func resolve(_ resolutions: [PublishResolution]) {
        let outcomes = state.withLock { state in
            resolutions.compactMap { resolution -> (Fire, DispatchOutcome)? in
                guard let fire = state.sent.remove(resolution.token) else { return nil }
                return (fire, DispatchOutcome(resolution.outcome))
            }
        }
        settle(outcomes)
    }

    /// Performs what ``DispatchDecision`` says of each outcome.
    private func settle(_ outcomes: [(fire: Fire, outcome: DispatchOutcome)]) {
        FailPoint.acknowledged.reach()
        let now = clock.now()
        let ended = state.withLock { state -> [EndedFire] in
            guard !state.isStopped else { return [] }
            var ended: [EndedFire] = []
            for (fire, outcome) in outcomes where fire.phase == .sent {
                switch DispatchDecision.decide(outcome, tries: fire.tries) {
                case .delivered:
                    fire.phase = .ended
                    ended.append(EndedFire(fire, .delivered, outcome))
                case .failed(let why):
                    fire.phase = .ended
                    ended.append(EndedFire(fire, .dead, outcome, reason: why))
                case .again(let delay):
                    again(fire, outcome, now: now, delay: delay, in: &state)
                }
            }
            return ended
        }
        if !ended.isEmpty { onEnd(ended) }
        thread.wake()
    }

    private func again(_ fire: Fire, _ outcome: DispatchOutcome, now: Instant, delay: Int64, in state: inout State) {
        fire.phase = .waiting
        if outcome == .notSent {
            // Nothing left: were it the first try, it could still be taken back.
            if fire.tries == 0 { fire.firedAt = nil }
        } else {
            fire.tries += 1
            let since = fire.firedAt ?? now
            // Beyond half the usual duplicate window the stream may not know the first one any more.
            let limit = min(
                Rescuer.reliance,
                DispatchDecision.uncertaintyMilliseconds(grace: fire.schedule.misfire.graceMilliseconds))
            if now.milliseconds(since: since) > limit { fire.outcome = "uncertain" }
        }
        state.queue.insert(
            fire, dueAt: now.adding(milliseconds: delay), priority: fire.schedule.priority, kind: .onTime)
    }
}

extension EndedFire {
    fileprivate init(_ fire: Fire, _ state: ExecutionState, _ outcome: DispatchOutcome, reason: String? = nil) {
        self.fire = fire
        self.state = state
        self.reason = reason
        firedAt = fire.firedAt
        self.outcome = fire.outcome
        if case .acknowledged(let stream, let sequence, _) = outcome {
            ackStream = stream
            ackSequence = sequence
        } else {
            ackStream = nil
            ackSequence = nil
        }
    }
}

extension DispatchOutcome {
    /// JetStream's answers in the scheduler's terms. A refusal by the stream for want of room or of a leader passes;
    /// one for the message itself does not.
    fileprivate init(_ outcome: PublishOutcome) {
        switch outcome {
        case .acknowledged(let stream, let sequence, let duplicate):
            self = .acknowledged(stream: stream, sequence: sequence, duplicate: duplicate)
        case .unconfirmed, .timedOut: self = .timedOut
        case .refused(let code, let errCode, let description):
            self = code >= 500 || code == 429 ? .timedOut : .refused("\(description) (\(errCode))")
        case .noResponders: self = .noResponders
        case .notAPubAck: self = .refused("the answer is no stream's acknowledgement: a service took the subject")
        case .connectionLost: self = .connectionLost
        case .notPermitted: self = .refused("the server permits this user no publish on the subject")
        case .tooLarge: self = .refused("the message is larger than the stream takes")
        }
    }
}

extension Fire {
    fileprivate var heldBytes: Int { (payload ?? schedule.payload).count + 512 }

    /// Takes its turn, if it still waits: one that was taken back and admitted again stands in the queue twice, and one
    /// turn must not find it in both places.
    fileprivate func begin(at now: Instant) -> Bool {
        guard phase == .waiting else { return false }
        phase = .sent
        if firedAt == nil { firedAt = now }
        return true
    }
}
