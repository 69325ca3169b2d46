package import JSONSchema
import NATSClient
import PayloadTemplates
package import Recurrence
package import SchedulerCore
package import SchedulerStore
import SchedulerWire
import Synchronization

/// One claiming transaction's journal row, as its owner counts it down: the row goes when every execution in it is
/// terminal and its event acknowledged.
package final class OpenClaim: Sendable {
    package let id: ClaimTable.ClaimID
    private let open: Atomic<Int>

    package init(_ id: ClaimTable.ClaimID, executions: Int) {
        self.id = id
        open = Atomic(executions)
    }

    /// Counts off executions that need nothing more. - Returns: whether they were the last.
    func settle(_ count: Int = 1) -> Bool {
        open.subtract(count, ordering: .acquiringAndReleasing).newValue == 0
    }
}

/// An execution that this instance holds, from its claim to its record.
///
/// A class, because it moves through a heap, queues and tables of many thousands; `@unchecked`, because its few
/// variables are read and written only under the lock of the ``Publisher`` that holds it, or before it is admitted.
package final class Fire: @unchecked Sendable {
    enum Phase {
        /// In the queue: it may be taken back.
        case waiting
        /// Handed to NATS, or about to be: it can no longer be taken back.
        case sent
        /// Taken back; the queue passes over it.
        case withdrawn
        /// Acknowledged or refused; the recorder has it.
        case ended
    }

    package let id: ExecutionID
    package let schedule: CompiledSchedule
    package let claim: OpenClaim
    package let scheduledFor: Instant
    package let dueAt: Instant
    /// When the attempt could go out first: due, and claimed. The same on every instance, as both stand in its row.
    let sendableAt: Instant
    package let fence: Int64
    package let attempt: Int32
    package let generation: Int32
    package let missedCount: Int64
    package let ordinal: Int64
    package let origin: Origin
    package let trigger: Trigger
    package let kind: FireClass
    /// Its target tells how it ends.
    package let isTracked: Bool
    /// It comes to its time, and is not published: nobody can have sent it.
    let isShadow: Bool
    /// The execution whose end made this one.
    package let causedBy: ExecutionID?
    /// Of the command that asked for it.
    package let trace: TraceContext?
    /// The schedule may be exhausted once this one ends: no occurrence is to come, and whichever of the open ones ends
    /// last asks for it.
    package var isLast: Bool
    /// What a trigger brought in place of the schedule's payload, as it was sent.
    private let own: [UInt8]?
    /// What goes out in place of the schedule's stored payload: rendered here, from what the execution's row says, so
    /// that whoever publishes the attempt once more renders the same bytes.
    package let payload: [UInt8]?
    /// By the target's schema; where there are any, it ends as dead and is never published.
    package let payloadProblems: [SchemaProblem]
    var phase = Phase.waiting
    /// It waits in the retry lane, or did: its target was silent.
    var isSilent = false
    /// Its reply is awaited; counted as such.
    var isAsked = false
    /// It may not be sent again, and nobody knows whether its target has it.
    private(set) var isWithheld = false
    /// Names its replies, to whichever copy they are. Used by the publisher's thread alone.
    private(set) lazy var replyKey = UInt64.random(in: .min ... .max)
    /// When this instance handed it to NATS first, and when last.
    var firedAt: Instant?
    private var publishedAt: Instant?
    /// A publish has left this instance.
    private var isTried = false
    /// Somebody has looked whether its execution still waits for it, since it was sent last.
    var isLookedAt = false
    /// Since when a copy may be with its target though nobody says so; nil while none can be, and then it may still be
    /// taken back.
    var sentSince: Instant?
    /// Why no further copy of it goes out though one is: somebody has cancelled it.
    var stopReason: String?
    /// `uncertain` where a further publish may have made a second copy (``DispatchDecision/isUncertain``).
    var outcome: String?

    package init(
        id: ExecutionID, schedule: CompiledSchedule, claim: OpenClaim, scheduledFor: Instant, dueAt: Instant,
        fence: Int64, attempt: Int32 = 1, generation: Int32, missedCount: Int64 = 0, ordinal: Int64 = 0,
        origin: Origin = .time, trigger: Trigger, kind: FireClass = .onTime, isTracked: Bool? = nil,
        isShadow: Bool? = nil, causedBy: ExecutionID? = nil, isLast: Bool = false, payload: [UInt8]? = nil,
        sentSince: Instant? = nil, claimedAt: Instant? = nil, trace: TraceContext? = nil
    ) {
        self.id = id
        self.isShadow = isShadow ?? schedule.isShadow
        sendableAt = max(dueAt, claimedAt ?? dueAt)
        self.schedule = schedule
        self.claim = claim
        self.scheduledFor = scheduledFor
        self.dueAt = dueAt
        self.fence = fence
        self.attempt = attempt
        self.generation = generation
        self.missedCount = missedCount
        self.ordinal = ordinal
        self.origin = origin
        self.trigger = trigger
        self.kind = kind
        self.isTracked = isTracked ?? schedule.isTracked
        self.causedBy = causedBy
        self.trace = trace
        self.isLast = isLast
        self.sentSince = sentSince
        own = payload
        (self.payload, payloadProblems) = schedule.payloads.carried(payload) { common in
            FireValues(
                common, id: id, attempt: attempt, fence: fence, trigger: trigger, missedCount: missedCount,
                scheduledFor: scheduledFor, dueAt: dueAt)
        }
    }
}

extension Fire {
    /// The same execution of a schedule that was changed meanwhile. Only for one that is held by nobody: taken back, and
    /// never handed to NATS.
    func refreshed(as schedule: CompiledSchedule) -> Fire {
        Fire(
            id: id, schedule: schedule, claim: claim, scheduledFor: scheduledFor, dueAt: dueAt, fence: fence,
            attempt: attempt, generation: generation, missedCount: missedCount, ordinal: ordinal, origin: origin,
            trigger: trigger, kind: kind, isTracked: isTracked, causedBy: causedBy, isLast: isLast,
            payload: own, claimedAt: sendableAt, trace: trace)
    }
}

/// How a fire ended.
package struct EndedFire: Sendable {
    package let fire: Fire
    /// What its life is told; nil for one that was given up.
    package let end: DispatchEnd?
    package let state: ExecutionState
    package let firedAt: Instant?
    package let outcome: String?
    package let reason: String?
    package let ackStream: String?
    package let ackSequence: UInt64?
    /// Of one that was given up: a copy may be with its target.
    package let isOut: Bool

    /// One that was given up before it was handed to NATS.
    init(cancelled fire: Fire, reason: String) {
        self.init(fire, nil, .cancelled, reason, .notSent)
    }

    /// One that is sent no more.
    init(stopped fire: Fire) { self.init(fire, nil, .cancelled, fire.stopReason, .notSent, isOut: true) }

    init(_ fire: Fire, _ end: DispatchEnd, _ outcome: DispatchOutcome) {
        let (state, reason): (ExecutionState, String?) =
            switch end {
            case .delivered: (.delivered, nil)
            case .succeeded: (.succeeded, nil)
            case .failed(let failure), .refused(let failure): (.dead, failure.reason)
            case .unanswered: (.dead, nil)
            case .uncertain: (.dead, DispatchEnd.uncertainWord)
            case .shadowed: (.skipped, SkipReason.shadow.rawValue)
            }
        if end == .uncertain { fire.outcome = DispatchEnd.uncertainWord }
        self.init(fire, end, state, reason, outcome)
    }

    private init(
        _ fire: Fire, _ end: DispatchEnd?, _ state: ExecutionState, _ reason: String?, _ outcome: DispatchOutcome,
        isOut: Bool = false
    ) {
        self.fire = fire
        self.isOut = isOut
        self.end = end
        self.state = state
        self.reason = reason
        firedAt = fire.isPublishable ? fire.firedAt : nil
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

/// The names of a fired message's headers (contract.md §4).
enum FiredHeader {
    static let executionID: HeaderName = "Scheduler-Execution-Id"
    static let scheduleID: HeaderName = "Scheduler-Schedule-Id"
    static let scheduleName: HeaderName = "Scheduler-Schedule-Name"
    static let namespace: HeaderName = "Scheduler-Namespace"
    static let attempt: HeaderName = "Scheduler-Attempt"
    static let scheduledFor: HeaderName = "Scheduler-Scheduled-For"
    static let trigger: HeaderName = "Scheduler-Trigger"
    static let fence: HeaderName = "Scheduler-Fence"
    static let missedCount: HeaderName = "Scheduler-Missed-Count"
    static let statusSubject: HeaderName = "Scheduler-Status-Subject"
    static let deadline: HeaderName = "Scheduler-Deadline"
    static let traceparent: HeaderName = "traceparent"
    static let tracestate: HeaderName = "tracestate"
}

extension Fire {
    /// Whether its payload may go out at all.
    var isPublishable: Bool { payloadProblems.isEmpty }

    /// Whether its time ends it here, and its target hears nothing of it.
    var endsUnsent: Bool { isShadow || !isPublishable }

    /// What an execution is dead of whose payload breaks the target's schema.
    static let payloadInvalid = "payload_invalid"

    /// A backfill or a retry opened it: it may wait for long. A further attempt of it does not.
    var isCommanded: Bool { claimedKind == .commanded }

    /// What it is to those who take it back.
    var claimedKind: ClaimedKind { ClaimedKind(origin: origin, attempt: attempt) }

    /// It has a row in `runs`: its target tells how it ends, or it failed before.
    var hasLife: Bool { isTracked || attempt > 1 }

    /// How its dispatch is judged: what was opened to be tracked or not stays so.
    var dispatch: DispatchRule { isTracked ? schedule.dispatch : schedule.dispatch.untracked }

    /// A copy may have arrived, and its worker may have told how that ended: it is not sent again unasked.
    var isDoubtful: Bool { sentSince != nil && !isLookedAt && hasLife }

    /// What it costs to hold it. An estimate: executions of a schedule share its payload.
    var heldBytes: Int { (payload ?? schedule.payload).count + 512 }

    /// Begins a publish, or finds that there may be none.
    func begin(at now: Instant) {
        phase = .sent
        publishedAt = now
        if isUncertain(at: now) {
            outcome = DispatchEnd.uncertainWord
            isWithheld = schedule.dispatch.guarantee == .atMostOnce
        }
        if firedAt == nil, !isWithheld { firedAt = now }
    }

    /// Whether a further publish makes it uncertain how often its target has it.
    private func isUncertain(at now: Instant) -> Bool {
        guard let first = firedAt.map({ min($0, sentSince ?? $0) }) ?? sentSince else { return false }
        let past = DispatchDecision.Past(
            sinceFirst: now.milliseconds(since: first), sinceUnknown: sentSince.map { now.milliseconds(since: $0) })
        return DispatchDecision.isUncertain(
            past, grace: schedule.misfire.graceMilliseconds, duplicateWindow: schedule.dispatch.duplicateWindow)
    }

    /// Ends a publish that settled nothing: it waits again.
    func wait(after outcome: DispatchOutcome) {
        phase = .waiting
        isLookedAt = false
        if outcome == .notSent {
            // Were it the first, it was never fired.
            if !isTried { firedAt = nil }
            return
        }
        isTried = true
        if outcome.mayHaveArrived, sentSince == nil { sentSince = publishedAt }
    }

    /// The message as it goes out; word for word the same in every re-publication of the attempt.
    /// - Parameter prefix: of the scheduler's subjects.
    func message(prefix: String) throws(NATSError) -> OutgoingMessage {
        let id = self.id.description
        var headers = NATSHeaders(reservingCapacity: schedule.fixedHeaderBytes + 400 + (isTracked ? 200 : 0))
        try headers.append(.messageID, "\(id).\(attempt)")
        try headers.append(FiredHeader.executionID, id)
        try headers.append(FiredHeader.attempt, String(attempt))
        try headers.append(FiredHeader.scheduledFor, scheduledFor.rfc3339)
        try headers.append(FiredHeader.trigger, trigger.rawValue)
        try headers.append(FiredHeader.fence, String(fence))
        if missedCount > 0 { try headers.append(FiredHeader.missedCount, String(missedCount)) }
        // A schedule that was tracked once waits for nobody's word.
        if isTracked, schedule.isTracked {
            let base = ReportSubject.base(of: self.id, in: schedule.namespace, prefix: prefix)
            try headers.append(FiredHeader.statusSubject, base)
            try headers.append(
                FiredHeader.deadline, sendableAt.adding(milliseconds: schedule.life.runTimeout).rfc3339)
        }
        if let trace {
            let attempt = self.id.trace(within: trace, attempt: attempt)
            try headers.append(FiredHeader.traceparent, attempt.traceparent)
            if let state = attempt.state { try headers.append(FiredHeader.tracestate, state) }
        } else {
            try headers.append(FiredHeader.traceparent, traceparent)
        }
        for header in schedule.fixedHeaders { try headers.append(header.name, header.value) }
        guard let subject = schedule.subject else {
            throw NATSError(.invalidSubject, "The schedule's target is no subject to publish on.")
        }
        return OutgoingMessage(subject: subject, headers: headers, payload: payload ?? schedule.payload)
    }

    /// W3C trace context of what nobody asked for: the execution is the trace, the attempt the span; the same on every
    /// instance, and as ``ExecutionID/trace(within:attempt:)`` says it.
    private var traceparent: String {
        let hash = UUIDValue(high: 0, low: id.uuid.low ^ UInt64(UInt32(bitPattern: attempt)))
        return "00-\(id.uuid.hexadecimal)-\(hash.hexadecimal.suffix(16))-01"
    }
}
