package import NATSClient
import Recurrence
package import SchedulerCore
import Synchronization

/// Hands claimed occurrences to NATS at their time, and tells the recorder how each ended.
///
/// A thread of its own keeps the time. Whose turn it is and what becomes of an attempt is decided by ``FiringState``;
/// this shell keeps its lock, publishes what it says, and tells it the outcomes. What is due and alone goes out on a
/// connection that sends at once; a crowd goes out on one that gathers writes.
///
/// Right before the bytes go, the member's trust in its lease is checked; what a pause catches behind that check goes
/// out late with the same ids.
package final class Publisher: Sendable {
    package struct Configuration: Sendable {
        var bounds = FiringState.Bounds()
        /// More than this many at once go by the gathering connection.
        var prompt = 16
        var timeout = Duration.seconds(5)
        var misfiredPerSecond = 100.0
        var latePerSecond = 2000.0
        var prefix = "scheduler"

        package init(_ configuration: EngineConfiguration) {
            timeout = configuration.acknowledgementTimeout
            misfiredPerSecond = configuration.misfiredPerSecond
            latePerSecond = configuration.latePerSecond
            prefix = configuration.subjectPrefix
            bounds.crowd = max(1, min(bounds.crowd, configuration.mostInFlight / 10))
        }
    }

    private let configuration: Configuration
    private let clock: PostgresClock
    private let trust: Trust
    private let thread = LoopThread()
    private let state: Mutex<FiringState>
    private let streams = Mutex<(prompt: JetStreamPublisher, gathered: JetStreamPublisher)?>(nil)
    private let requests = Mutex<RequestPublisher?>(nil)
    private let plain: PlainDelivery
    private let isStopped = Atomic(false)
    private let onEnd: @Sendable ([EndedFire]) -> Void
    private let onDoubt: @Sendable ([Fire]) -> Void
    private let backlog = Atomic<Int>(0)

    /// - Parameter onDoubt: gets what may be over though nobody acknowledged it; ``settle(doubts:isAwaited:)`` wants it
    ///   back.
    package init(
        configuration: Configuration, prompt: NATSConnection, gathered: NATSConnection, clock: PostgresClock,
        trust: Trust, onEnd: @escaping @Sendable ([EndedFire]) -> Void,
        onDoubt: @escaping @Sendable ([Fire]) -> Void
    ) throws {
        self.configuration = configuration
        self.clock = clock
        self.trust = trust
        self.onEnd = onEnd
        self.onDoubt = onDoubt
        plain = PlainDelivery(prompt: prompt, gathered: gathered)
        let rates: [FireClass: RateBucket] = [
            .misfired: RateBucket(perSecond: configuration.misfiredPerSecond),
            .backfilled: RateBucket(perSecond: configuration.misfiredPerSecond),
            .withinGrace: RateBucket(perSecond: configuration.latePerSecond),
        ]
        state = Mutex(FiringState(configuration.bounds, rates: rates))
        let resolve: JetStreamPublisher.OnResolve = { [weak self] resolutions in self?.resolve(resolutions) }
        let most = 2 * configuration.bounds.window
        let pair = (
            prompt: try JetStreamPublisher(
                prompt, timeout: configuration.timeout, maxInFlight: most, onResolve: resolve),
            gathered: try JetStreamPublisher(
                gathered, timeout: configuration.timeout, maxInFlight: most, onResolve: resolve)
        )
        streams.withLock { $0 = pair }
        let asking = try RequestPublisher(prompt: prompt, gathered: gathered) { [weak self] in self?.resolve($0) }
        requests.withLock { $0 = asking }
    }

    package func start() throws(EngineError) {
        try thread.start("carillon-fire") { [weak self] in self?.step() ?? 0 }
    }

    /// Ends the thread and forgets everything; outcomes that come later are ignored. For a member that was fenced, or
    /// that has handed over. What becomes due from now on is not published here.
    package func stop() {
        isStopped.store(true, ordering: .sequentiallyConsistent)
        state.withLock { $0.stop() }
        plain.stop()
        thread.stop()
        let pair = streams.withLock { $0 }
        pair?.prompt.shutdown()
        pair?.gathered.shutdown()
        requests.withLock { $0 }?.shutdown()
    }
}

// MARK: - What is held

extension Publisher {
    /// Executions held: waiting, sent, or ended and not yet recorded.
    package var held: Int { state.withLock { $0.held.total.count } }

    /// What is held, and the part of it whose targets were silent.
    var load: (total: HeldFires.Load, silent: HeldFires.Load) { state.withLock { ($0.held.total, $0.held.silent) } }

    /// What is held, and the part of it that silent targets and workers at work keep waiting.
    var loadApart: (total: HeldFires.Load, apart: HeldFires.Load) {
        state.withLock { state in
            var apart = state.held.silent
            apart.count += state.held.asked.count
            apart.bytes += state.held.asked.bytes
            return (state.held.total, apart)
        }
    }

    /// Executions whose targets do not answer; a part of ``held``.
    package var unanswered: Int { load.silent.count }

    /// How many are due and wait for their turn; the recorder leaves the machine to them.
    package var dueBacklog: Int { backlog.load(ordering: .relaxed) }

    /// Schedules of which no more shall be claimed for now (``FiringState/heldBack``).
    var heldBack: [ScheduleID] { state.withLock { $0.heldBack } }

    /// Late and misfired ones that wait for their rate.
    var lateLoad: (late: Int, misfired: Int) {
        state.withLock { ($0.readyCount(.withinGrace), $0.readyCount(.misfired)) }
    }

    /// Backfilled ones that wait for their rate.
    package var backfilledLoad: Int { state.withLock { $0.readyCount(.backfilled) } }

    /// The catch-up rates are a cluster's; this is how many share them now.
    func shareRates(among members: Int) { state.withLock { $0.shareRates(among: members) } }

    /// Takes claimed occurrences in.
    package func admit(_ fires: [Fire]) {
        state.withLock { $0.admit(fires) }
        thread.wake()
    }

    /// Takes in again what was taken back and could not be given back.
    func admitAgain(_ fires: [Fire]) {
        state.withLock { state in
            for fire in fires { fire.phase = .waiting }
            state.admit(fires)
        }
        thread.wake()
    }

    /// Takes back what a command may end of a schedule, as far as it was not handed to NATS.
    /// - Returns: what was taken back, and what it is too late for, or was asked for by name.
    package func recall(_ schedule: ScheduleID) -> (withdrawn: [Fire], sent: [Fire]) {
        state.withLock { state in
            let (withdrawn, kept) = state.withdraw(state.held.fires(of: schedule), for: .command)
            return (withdrawn, kept)
        }
    }

    /// Takes back what is chosen, as far as ``FiringState/withdraw(_:for:)`` lets go of it.
    func recall(for cause: RecallCause, where isChosen: (Fire) -> Bool) -> [Fire] {
        state.withLock { state in state.withdraw(state.held.all.filter(isChosen), for: cause).withdrawn }
    }

    /// The schedules of which something is held, each as often as it was compiled anew meanwhile.
    var heldSchedules: [CompiledSchedule] {
        state.withLock { state in
            var seen: Set<ObjectIdentifier> = []
            return state.held.all.map(\.schedule).filter { seen.insert(ObjectIdentifier($0)).inserted }
        }
    }

    /// Gives an execution up that no copy can be of; it goes to the recorder as any other that ended.
    func cancel(_ cancellation: Cancellation) -> Cancellation.Answer {
        let (answer, ended) = state.withLock { $0.cancel(cancellation) }
        if let ended { onEnd([ended]) }
        return answer
    }

    /// Whether anything waits that a backfill or a retry of a schedule opened.
    func hasCommanded(of schedule: ScheduleID) -> Bool {
        state.withLock { state in state.held.fires(of: schedule).contains { $0.phase == .waiting && $0.isCommanded } }
    }

    /// Ends what backfills and retries opened and no copy can be of, as far as it is chosen; it goes to the recorder.
    func endCommanded(of schedule: ScheduleID, reason: String) {
        let ended = state.withLock { $0.endCommanded($0.held.fires(of: schedule), reason: reason) }
        if !ended.isEmpty { onEnd(ended) }
    }

    func endCommanded(where isChosen: (Fire) -> Bool, reason: String) {
        let ended = state.withLock { $0.endCommanded($0.held.all.filter(isChosen), reason: reason) }
        if !ended.isEmpty { onEnd(ended) }
    }

    /// Sends again what its execution still waits for, and ends the rest, which goes to the recorder.
    func settle(doubts fires: [Fire], isAwaited: (Fire) -> Bool) {
        let ended = state.withLock { $0.settle(doubts: fires, monotonic: MonotonicClock.now(), isAwaited: isAwaited) }
        if !ended.isEmpty { onEnd(ended) }
        thread.wake()
    }

    /// Executions that the recorder has written: they are held no longer.
    package func close(_ fires: [Fire]) { state.withLock { $0.close(fires) } }

    /// The schedules that may be exhausted once these are recorded.
    func schedulesOver(_ ended: [EndedFire]) -> Set<ScheduleID> {
        state.withLock { _ in Set(ended.filter(\.fire.isLast).map(\.fire.schedule.id)) }
    }
}

// MARK: - The loop

extension Publisher {
    private static let idle: Int64 = 1_000_000_000

    /// One run of the thread. - Returns: until when there is nothing to do.
    private func step() -> Int64 {
        let monotonic = MonotonicClock.now()
        guard clock.isSet, trust.holds(at: monotonic) else { return monotonic + 10_000_000 }
        let now = clock.instant(at: monotonic)
        let (fires, next, doubts) = state.withLock { state in
            let taken = state.take(now: now, monotonic: monotonic, whenDue: clock.monotonic(of:))
            backlog.store(state.readyCount(.onTime), ordering: .relaxed)
            return (taken.fires, taken.next, state.takeDoubts())
        }
        if !doubts.isEmpty { onDoubt(doubts) }
        if fires.isEmpty { return min(next, monotonic + Self.idle) }
        send(fires)
        return 0
    }

    private func send(_ fires: [Fire]) {
        guard let streams = streams.withLock({ $0 }) else { return }
        let isCrowd = fires.count > configuration.prompt || dueBacklog > configuration.prompt
        let stream = isCrowd ? streams.gathered : streams.prompt
        var unsent: [(Fire, DispatchOutcome)] = []
        var flushed: (fires: [Fire], since: ConnectionEpoch?) = ([], nil)
        FailPoint.publishing.reach()
        for fire in fires {
            guard !isStopped.load(ordering: .sequentiallyConsistent), trust.holds(at: MonotonicClock.now()) else {
                unsent.append((fire, .notSent))
                continue
            }
            guard fire.isPublishable else {
                unsent.append((fire, .refused(Fire.payloadInvalid, isFatal: true)))
                continue
            }
            guard !fire.isShadow else {
                unsent.append((fire, .shadowed))
                continue
            }
            guard !fire.isWithheld else {
                unsent.append((fire, .withheld))
                continue
            }
            do throws(NATSError) {
                let message = try fire.message(prefix: configuration.prefix)
                switch fire.schedule.delivery {
                case .jetstream:
                    let token = state.withLock { $0.send(fire) }
                    do throws(NATSError) { try stream.publish(token: token, message) } catch {
                        _ = state.withLock { $0.land(token) }
                        throw error
                    }
                case .request: try ask(fire, message, by: isCrowd ? .gathered : .prompt)
                case .core:
                    let epoch = try plain.publish(message, gathered: isCrowd)
                    flushed.fires.append(fire)
                    if flushed.since == nil { flushed.since = epoch }
                }
            } catch {
                unsent.append((fire, DispatchOutcome(error)))
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

    /// Sends a request. Where the reply is the outcome, the worker has its run time-out for it; else it only says that
    /// it has the message.
    private func ask(_ fire: Fire, _ message: OutgoingMessage, by road: RequestPublisher.Road) throws(NATSError) {
        guard let requests = requests.withLock({ $0 }) else { return }
        let schedule = fire.schedule
        let isOutcome = fire.dispatch.completion == .reply
        let timeout = isOutcome ? .milliseconds(schedule.life.runTimeout) : configuration.timeout
        let token = state.withLock { $0.ask(fire) }
        do throws(NATSError) {
            try requests.request(
                token: token, key: fire.replyKey, message, by: road, timeout: timeout,
                outlastsBreaks: fire.dispatch.forbidsSecondCopy)
        } catch {
            _ = state.withLock { $0.landAsked(token) }
            throw error
        }
    }

    private func resolve(_ resolutions: [RequestResolution]) {
        let outcomes = state.withLock { state in
            resolutions.compactMap { resolution -> (Fire, DispatchOutcome)? in
                guard let fire = state.landAsked(resolution.token) else { return nil }
                return (fire, DispatchOutcome(resolution.outcome))
            }
        }
        settle(outcomes)
    }

    private func resolve(_ resolutions: [PublishResolution]) {
        let outcomes = state.withLock { state in
            resolutions.compactMap { resolution -> (Fire, DispatchOutcome)? in
                guard let fire = state.land(resolution.token) else { return nil }
                return (fire, DispatchOutcome(resolution.outcome))
            }
        }
        settle(outcomes)
    }

    private func settle(_ outcomes: [(fire: Fire, outcome: DispatchOutcome)]) {
        FailPoint.acknowledged.reach()
        let monotonic = MonotonicClock.now()
        let (ended, wantsTurn) = state.withLock { state in
            (state.settle(outcomes, monotonic: monotonic), state.wantsTurn)
        }
        if !ended.isEmpty { onEnd(ended) }
        if wantsTurn { thread.wake() }
    }
}
