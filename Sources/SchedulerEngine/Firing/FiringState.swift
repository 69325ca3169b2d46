import DequeModule
import NATSClient
import Recurrence
import SchedulerCore

/// Who is published next, and what becomes of whoever was: the state of a ``Publisher``, without threads, sockets or
/// clocks. Events are mutating methods; what they return is for the publisher to perform.
struct FiringState {
    struct Bounds: Sendable {
        /// Publishes to streams that may await their acknowledgement.
        var window = 4096
        /// Open executions of one schedule whose target is silent; beyond it no more are claimed.
        var crowd = 1000
        /// The most that one run takes: small, so that what becomes due meanwhile is not kept waiting.
        var handful = 128

        /// The retry lane's part of the window and of each handful: a quarter.
        var lane: Int { window / 4 }
    }

    /// The most that one run moves into the retry lane.
    private static let mostMoved = 1024
    private static let nanoseconds: Int64 = 1_000_000

    let bounds: Bounds
    private var queue = FireQueue<Fire>()
    private var gathering = Gathering()
    private var lane: RetryLane<Subject?, Fire>
    private(set) var held: HeldFires
    private var sent = SentTable()
    /// Requests wait for as long as workers take: they use up nobody's window.
    private var asked = SentTable()
    private var rates: [FireClass: RateBucket]
    /// What met no connection, and when it goes back into the queue; on the monotonic clock.
    private var unsent: [Fire] = []
    private var unsentUntil: Int64 = 0
    /// What may be over though nobody acknowledged it, for somebody to look; and what was looked at and goes out again.
    private var doubts: [Fire] = []
    private var lookedAt: Deque<Fire> = []
    /// The last turn found the window full.
    private var isFull = false
    private(set) var isStopped = false

    init(_ bounds: Bounds, rates: [FireClass: RateBucket]) {
        self.bounds = bounds
        self.rates = rates
        lane = RetryLane(share: bounds.lane, together: max(1, bounds.lane / 4))
        held = HeldFires(crowd: bounds.crowd)
    }

    /// Forgets everything; outcomes that come later find nothing.
    mutating func stop() {
        self = FiringState(bounds, rates: rates)
        isStopped = true
    }

    /// The catch-up rates are a cluster's; this is how many share them now.
    mutating func shareRates(among members: Int) {
        for kind in FireClass.allCases { rates[kind]?.share(among: members) }
    }

    /// Of a class, due and not yet taken.
    func readyCount(_ kind: FireClass) -> Int { queue.readyCount(kind) }

    /// Schedules of which no more shall be claimed for now: a crowd of theirs waits for a target that is silent, or for
    /// replies.
    var heldBack: [ScheduleID] {
        guard !lane.isEmpty || held.asked.count > 0 else { return [] }
        return held.crowded { $0.delivery == .request || lane.holds($0.subject) }
    }

    // MARK: In and out

    mutating func admit(_ fires: [Fire]) {
        guard !isStopped else { return }
        for fire in fires {
            held.insert(fire)
            enqueue(fire, dueAt: fire.dueAt, kind: fire.kind)
        }
    }

    /// Takes back what no copy can be of, but for what was asked for by name (``ClaimedKind/isWithdrawn(for:)``).
    mutating func withdraw(
        _ fires: some Sequence<Fire>, for cause: RecallCause
    ) -> (withdrawn: [Fire], kept: [Fire]) {
        var withdrawn: [Fire] = []
        var kept: [Fire] = []
        for fire in fires {
            if fire.phase == .waiting, fire.sentSince == nil, fire.claimedKind.isWithdrawn(for: cause) {
                fire.phase = .withdrawn
                withdrawn.append(fire)
            } else {
                kept.append(fire)
            }
        }
        close(withdrawn)
        return (withdrawn, kept)
    }

    /// Ends one that no copy can be of, whatever it comes from. It is held until that is recorded. One that a copy can be
    /// of is sent no more, if its worker is waited for.
    mutating func cancel(_ cancellation: Cancellation) -> (answer: Cancellation.Answer, ended: EndedFire?) {
        let fire = held.fires(of: cancellation.schedule).first { $0.id == cancellation.execution }
        guard let fire else { return (.notHeld, nil) }
        switch fire.phase {
        case .waiting where fire.sentSince == nil:
            fire.phase = .ended
            return (.cancelled, EndedFire(cancelled: fire, reason: cancellation.reason))
        // A copy is out. Of what is tracked no further one goes, and its life says how long it is waited for.
        case .waiting where fire.isTracked:
            fire.stopReason = cancellation.reason
            fire.phase = .ended
            return (.sent, EndedFire(stopped: fire))
        case .sent where fire.isTracked:
            fire.stopReason = cancellation.reason
            return (.sent, nil)
        case .waiting, .sent: return (.sent, nil)
        case .withdrawn, .ended: return (.notHeld, nil)
        }
    }

    /// Ends those that a backfill or a retry opened and no copy can be of. They are held until that is recorded.
    mutating func endCommanded(_ fires: some Sequence<Fire>, reason: String) -> [EndedFire] {
        fires.filter { $0.phase == .waiting && $0.sentSince == nil && $0.isCommanded }.map { fire in
            fire.phase = .ended
            return EndedFire(cancelled: fire, reason: reason)
        }
    }

    mutating func close(_ fires: [Fire]) {
        for fire in fires { held.remove(fire) }
    }

    private mutating func enqueue(_ fire: Fire, dueAt: Instant, kind: FireClass) {
        queue.insert(fire, dueAt: dueAt, priority: fire.schedule.priority, kind: kind)
    }
}

// MARK: - Turns

extension FiringState {
    /// Takes whose turn it is, and begins their publishes.
    /// - Returns: until when there is nothing more to do, on the monotonic clock; `.max` for as long as nothing comes.
    mutating func take(
        now: Instant, monotonic: Int64, whenDue: (Instant) -> Int64
    ) -> (fires: [Fire], next: Int64) {
        guard !isStopped else { return ([], .max) }
        if !unsent.isEmpty, unsentUntil <= monotonic { tryUnsentAgain(now: now) }
        queue.ripen(now: now)
        let room = min(bounds.handful, bounds.window - sent.count)
        isFull = room <= 0
        // Full: acknowledgements wake the thread.
        guard !isFull else { return ([], .max) }
        var fires: [Fire] = []
        var moved = 0
        while fires.count < room, let fire = lookedAt.popFirst() {
            fire.begin(at: now)
            fires.append(fire)
        }
        takeSilent(max(1, room / 4), &fires, now, monotonic)
        while fires.count < room, moved < Self.mostMoved, let fire = queue.take(.onTime, now: now) {
            begin(fire, now, monotonic, &fires, &moved)
        }
        var next = queue.nextDueAt.map(whenDue) ?? .max
        for kind in [FireClass.withinGrace, .misfired, .backfilled] where fires.count < room {
            while fires.count < room, moved < Self.mostMoved, queue.readyCount(kind) > 0 {
                guard rates[kind]?.take(at: monotonic) ?? true else {
                    next = min(next, monotonic + 2 * Self.nanoseconds)
                    break
                }
                // What was taken back or ended meanwhile has had no turn.
                while let fire = queue.take(kind, now: now) {
                    guard fire.phase == .waiting else { continue }
                    begin(fire, now, monotonic, &fires, &moved)
                    break
                }
            }
        }
        takeSilent(room - fires.count, &fires, now, monotonic)
        if moved >= Self.mostMoved { next = monotonic }
        if let at = lane.nextAt { next = min(next, at) }
        if !unsent.isEmpty { next = min(next, unsentUntil) }
        gathering.send(fires.count)
        return (fires, fires.isEmpty ? max(next, gathering.pause(at: monotonic)) : next)
    }

    /// Begins a publish, if the fire still waits: one that was taken back and admitted again stands in the queue twice,
    /// and one turn must not find it in both places. Where its target is silent it stands in line behind the others.
    private mutating func begin(
        _ fire: Fire, _ now: Instant, _ monotonic: Int64, _ fires: inout [Fire], _ moved: inout Int
    ) {
        guard fire.phase == .waiting else { return }
        // What cannot go out ends here and now, and says nothing of its target.
        if !lane.isEmpty, !fire.endsUnsent, fire.dispatch.waitsForSilent, lane.holds(fire.schedule.subject) {
            moved += 1
            return enterLane(fire, monotonic)
        }
        guard !doubt(fire) else {
            moved += 1
            return
        }
        fire.begin(at: now)
        fires.append(fire)
    }

    private mutating func enterLane(_ fire: Fire, _ monotonic: Int64) {
        held.setApart(fire)
        lane.enter(fire, dueAt: fire.dueAt.milliseconds, for: fire.schedule.subject, at: monotonic)
    }

    private mutating func takeSilent(_ most: Int, _ fires: inout [Fire], _ now: Instant, _ monotonic: Int64) {
        guard !lane.isEmpty else { return }
        let end = fires.count + most
        // One that was taken back and admitted again counts as any other until it meets silence itself.
        while fires.count < end, let fire = lane.take(at: monotonic, where: { $0.phase == .waiting && $0.isSilent }) {
            guard !doubt(fire) else { continue }
            fire.begin(at: now)
            fires.append(fire)
        }
    }

    /// Keeps back what may be over. It counts as sent until somebody has looked. - Returns: whether it is kept.
    private mutating func doubt(_ fire: Fire) -> Bool {
        guard fire.isDoubtful else { return false }
        fire.phase = .sent
        doubts.append(fire)
        return true
    }

    /// Those that somebody shall look at.
    mutating func takeDoubts() -> [Fire] {
        guard !doubts.isEmpty else { return [] }
        defer { doubts = [] }
        return doubts
    }

    /// Somebody has looked at what ``takeDoubts()`` gave.
    /// - Parameter isAwaited: whether its execution still waits for its message; others are withdrawn.
    /// - Returns: what was withdrawn, to be recorded: its worker has told that it arrived.
    mutating func settle(doubts fires: [Fire], monotonic: Int64, isAwaited: (Fire) -> Bool) -> [EndedFire] {
        guard !isStopped else { return [] }
        var ended: [EndedFire] = []
        for fire in fires where fire.phase == .sent {
            if isAwaited(fire) {
                fire.isLookedAt = true
                lookedAt.append(fire)
            } else {
                fire.phase = .ended
                // That says nothing of the target.
                if fire.isSilent { lane.withheld(for: fire.schedule.subject, at: monotonic) }
                ended.append(EndedFire(fire, .delivered, .notSent))
            }
        }
        return ended
    }

    private mutating func tryUnsentAgain(now: Instant) {
        for fire in unsent where fire.phase == .waiting {
            // It has paid its rate; on time, it keeps its age.
            enqueue(fire, dueAt: fire.kind == .onTime ? fire.dueAt : now, kind: .onTime)
        }
        unsent = []
    }
}

// MARK: - Outcomes

extension FiringState {
    /// A fire is about to be handed to a stream. - Returns: a token that names this publish.
    mutating func send(_ fire: Fire) -> UInt64 { sent.insert(fire) }

    /// A publish has its outcome, or did not take place. - Returns: nil for what a stopped publisher left behind.
    mutating func land(_ token: UInt64) -> Fire? { sent.remove(token) }

    /// A fire is about to be sent as a request. - Returns: a token that names this request.
    mutating func ask(_ fire: Fire) -> UInt64 {
        held.ask(fire)
        return asked.insert(fire)
    }

    /// A request has its outcome, or was not sent. - Returns: nil for what a stopped publisher left behind.
    mutating func landAsked(_ token: UInt64) -> Fire? {
        guard let fire = asked.remove(token) else { return nil }
        held.heard(fire)
        return fire
    }

    /// Whether outcomes have made something possible that the next turn would not come to by itself. After a full window
    /// that takes a quarter of it: to wake the thread for each acknowledgement costs more than to publish.
    var wantsTurn: Bool {
        !lane.isEmpty || !unsent.isEmpty || !lookedAt.isEmpty
            || (isFull && bounds.window - sent.count >= bounds.window / 4)
    }

    /// Does what ``DispatchDecision`` says of each outcome. - Returns: what has ended, to be recorded.
    mutating func settle(_ outcomes: [(fire: Fire, outcome: DispatchOutcome)], monotonic: Int64) -> [EndedFire] {
        guard !isStopped else { return [] }
        var ended: [EndedFire] = []
        for (fire, outcome) in outcomes where fire.phase == .sent {
            let action = DispatchDecision.decide(
                outcome, under: fire.dispatch, hasUnknownCopy: fire.sentSince != nil)
            switch action {
            case .ended(let end): ended.append(self.end(fire, end, outcome, monotonic))
            case .silent where fire.stopReason != nil, .unsent where fire.stopReason != nil:
                ended.append(stop(fire, after: outcome, monotonic))
            case .silent:
                fire.wait(after: outcome)
                if fire.isSilent {
                    lane.unanswered(
                        fire, dueAt: fire.dueAt.milliseconds, by: fire.schedule.subject, at: monotonic)
                } else {
                    enterLane(fire, monotonic)
                }
            case .unsent:
                fire.wait(after: outcome)
                if fire.isSilent {
                    lane.unsent(fire, dueAt: fire.dueAt.milliseconds, to: fire.schedule.subject, at: monotonic)
                } else {
                    if unsent.isEmpty {
                        unsentUntil = monotonic + DispatchDecision.reconnectPause * Self.nanoseconds
                    }
                    unsent.append(fire)
                }
            }
        }
        return ended
    }

    /// Ends one that would be sent again, and that somebody has cancelled meanwhile.
    private mutating func stop(_ fire: Fire, after outcome: DispatchOutcome, _ monotonic: Int64) -> EndedFire {
        fire.wait(after: outcome)
        fire.phase = .ended
        if fire.isSilent { lane.withheld(for: fire.schedule.subject, at: monotonic) }
        // Where none of its copies can have arrived, there is nothing to wait for.
        return fire.sentSince == nil
            ? EndedFire(cancelled: fire, reason: fire.stopReason ?? "") : EndedFire(stopped: fire)
    }

    private mutating func end(
        _ fire: Fire, _ end: DispatchEnd, _ outcome: DispatchOutcome, _ monotonic: Int64
    ) -> EndedFire {
        fire.phase = .ended
        if fire.isSilent {
            let subject = fire.schedule.subject
            if outcome == .withheld || outcome == .shadowed {
                lane.withheld(for: subject, at: monotonic)
            } else {
                lane.answered(by: subject, at: monotonic)
            }
        }
        return EndedFire(fire, end, outcome)
    }
}
