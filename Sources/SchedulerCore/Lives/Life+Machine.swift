package import Recurrence

/// The state machine of an execution (semantics.md §5 and §6). Pure and total: each state answers each event with a change,
/// with nil where the event repeats what is known, or with a refusal.
extension Life {
    /// How long a worker that was asked to stop may take, in milliseconds.
    package static let cancelGrace: Int64 = 30_000

    package func taking(
        _ event: LifeEvent, under rule: LifeRule, at now: Instant
    ) throws(LifeRefusal) -> LifeChange? {
        guard !isOver else { throw .over(state) }
        switch event {
        case .acknowledged: return try acknowledged(rule, now)
        case .refused(let failure):
            guard state == .claimed else { throw .outOfPlace(state) }
            if isCancelling { return finished(.cancelled) }
            return ended(.failed, failure, rule, now)
        case .unanswered:
            guard state == .claimed else { throw .outOfPlace(state) }
            if isCancelling { return finished(.cancelled) }
            return ended(.timedOut, AttemptFailure(reason: "no reply came within the run time-out"), rule, now)
        case .uncertain: return try uncertain()
        case .shadowed: return try shadowed()
        case .started(let fence): return try started(fence, rule, now)
        case .heartbeat(let fence): return try heartbeat(fence, rule, now)
        case .succeeded(let fence):
            try requireTracked(fence)
            return finished(.succeeded)
        case .failed(let fence, let failure): return try failed(fence, failure, rule, now)
        case .deadlinePassed: return try deadlinePassed(rule, now)
        case .cancel(let reason): return try cancelled(reason, now)
        case .reopened(let fence): return try reopened(fence)
        case .takenBack(let due): return try takenBack(due)
        }
    }

    private func require(_ fence: Int64) throws(LifeRefusal) {
        guard fence == self.fence else { throw .otherFence(current: self.fence) }
    }

    /// Of an untracked execution nobody's word is waited for.
    private func requireTracked(_ fence: Int64) throws(LifeRefusal) {
        try require(fence)
        guard isTracked else { throw .outOfPlace(state) }
    }
}

// MARK: - The dispatch

extension Life {
    private func acknowledged(_ rule: LifeRule, _ now: Instant) throws(LifeRefusal) -> LifeChange? {
        guard state == .claimed else {
            // A report was quicker than the acknowledgement.
            return nil
        }
        var life = self
        life.state = .delivered
        life.deliveredAt = now
        guard isTracked else { return LifeChange(life: life, tells: [.delivered]) }
        if rule.completion == .none {
            // It was opened to be tracked, and nobody waits for its worker's word any more: delivered is done.
            return LifeChange(life: life.finished(.succeeded).life, tells: [.delivered, .succeeded])
        }
        let runUntil = now.adding(milliseconds: rule.runTimeout)
        life.runUntil = runUntil
        // Its worker may have begun to listen by now; how long it has is settled.
        guard !isCancelling else { return LifeChange(life: life, tells: [.delivered], asksWorkerToStop: true) }
        life.deadline = Deadline(.run, at: runUntil)
        if let start = rule.startTimeout, start < rule.runTimeout {
            life.deadline = Deadline(.start, at: now.adding(milliseconds: start))
        }
        return LifeChange(life: life, tells: [.delivered])
    }

    private func uncertain() throws(LifeRefusal) -> LifeChange {
        guard state == .claimed else { throw .outOfPlace(state) }
        if isCancelling { return finished(.cancelled) }
        var life = self
        life.state = .dead
        life.lastOutcome = DispatchEnd.uncertainWord
        life.reason = DispatchEnd.uncertainWord
        life.deadline = nil
        return LifeChange(life: life, tells: [.dead])
    }

    /// Of one that was sent before, a further attempt is given up: it cannot be told as never sent.
    private func shadowed() throws(LifeRefusal) -> LifeChange {
        guard state == .claimed else { throw .outOfPlace(state) }
        if isCancelling { return finished(.cancelled) }
        var life = self
        life.reason = SkipReason.shadow.rawValue
        guard attempt <= 1 else { return life.finished(.cancelled) }
        life.state = .skipped
        life.deadline = nil
        return LifeChange(life: life, tells: [.skipped])
    }

    private func reopened(_ fence: Int64) throws(LifeRefusal) -> LifeChange {
        guard state == .retryWait else { throw .outOfPlace(state) }
        var life = self
        life.state = .claimed
        life.attempt += 1
        life.fence = fence
        life.deliveredAt = nil
        life.startedAt = nil
        life.runUntil = nil
        life.deadline = nil
        life.isCancelling = false
        return LifeChange(life: life)
    }

    /// The attempt never was: it gets another fence when it is opened again. A first one has no life to go back to.
    private func takenBack(_ due: Instant) throws(LifeRefusal) -> LifeChange {
        guard state == .claimed, attempt > 1 else { throw .outOfPlace(state) }
        if isCancelling { return finished(.cancelled) }
        var life = self
        life.state = .retryWait
        life.attempt -= 1
        life.deadline = Deadline(.retry, at: due)
        return LifeChange(life: life)
    }
}

// MARK: - The worker's word

extension Life {
    private func started(_ fence: Int64, _ rule: LifeRule, _ now: Instant) throws(LifeRefusal) -> LifeChange? {
        try require(fence)
        guard isTracked, state != .retryWait else { throw .outOfPlace(state) }
        guard state != .running else { return nil }
        var life = self
        life.state = .running
        life.startedAt = now
        life.deliveredAt = deliveredAt ?? now
        life.runUntil = now.adding(milliseconds: rule.runTimeout)
        if !isCancelling { life.deadline = life.livingDeadline(rule, now) }
        return LifeChange(life: life, tells: [.running])
    }

    /// A sign of life; of a worker that has not said that it began, it says that too.
    private func heartbeat(_ fence: Int64, _ rule: LifeRule, _ now: Instant) throws(LifeRefusal) -> LifeChange? {
        guard state == .running else { return try started(fence, rule, now) }
        try require(fence)
        guard !isCancelling, rule.heartbeatTimeout != nil else { return nil }
        var life = self
        life.deadline = livingDeadline(rule, now)
        return LifeChange(life: life)
    }

    private func livingDeadline(_ rule: LifeRule, _ now: Instant) -> Deadline? {
        guard let runUntil else { return deadline }
        if let heartbeat = rule.heartbeatTimeout {
            let at = now.adding(milliseconds: heartbeat)
            if at < runUntil { return Deadline(.heartbeat, at: at) }
        }
        return Deadline(.run, at: runUntil)
    }

    private func failed(
        _ fence: Int64, _ failure: AttemptFailure, _ rule: LifeRule, _ now: Instant
    ) throws(LifeRefusal) -> LifeChange? {
        try requireTracked(fence)
        guard state != .retryWait else {
            // The attempt is over already: it timed out, or this is the same report again.
            return nil
        }
        if isCancelling { return finished(.cancelled) }
        return ended(.failed, failure, rule, now)
    }

    private func finished(_ end: ExecutionState) -> LifeChange {
        var life = self
        life.state = end
        life.deadline = nil
        if end == .succeeded {
            life.reason = nil
            return LifeChange(life: life, tells: [.succeeded])
        }
        return LifeChange(life: life, tells: [.cancelled])
    }
}

// MARK: - Ends of an attempt

extension Life {
    /// An attempt did not succeed: another follows, or the execution gives up.
    ///
    /// A time-out says that nobody has told an end: the attempt may have run, or run still. Where once is the most, nothing
    /// follows it. What failed has said so, and what was refused has reached nobody.
    private func ended(
        _ tell: LifeTell, _ failure: AttemptFailure, _ rule: LifeRule, _ now: Instant
    ) -> LifeChange {
        var life = self
        let isUncertain = tell == .timedOut && rule.guarantee == .atMostOnce
        life.lastOutcome = tell.rawValue
        life.reason = isUncertain ? DispatchEnd.uncertainWord : failure.reason
        let next =
            failure.isFatal || isUncertain
            ? nil
            : rule.retry.next(
                after: attempt, of: execution, openedAt: openedAt, now: now, asked: failure.retryAfter)
        guard let next else {
            life.state = .dead
            life.deadline = nil
            return LifeChange(life: life, tells: [tell, .dead])
        }
        life.state = .retryWait
        life.deadline = Deadline(.retry, at: next)
        return LifeChange(life: life, tells: [tell, .retrying])
    }

    /// A retry's turn is no matter of this: whoever opens it says `reopened`.
    private func deadlinePassed(_ rule: LifeRule, _ now: Instant) throws(LifeRefusal) -> LifeChange? {
        guard let deadline, deadline.kind != .retry else { throw .outOfPlace(state) }
        guard deadline.at <= now else { return nil }
        let words =
            switch deadline.kind {
            case .start: "the worker did not begin within its start time-out"
            case .heartbeat: "the worker gave no sign of life within its heartbeat time-out"
            case .run, .retry, .cancel: "the worker did not end within its run time-out"
            }
        if deadline.kind == .cancel { return finished(.cancelled) }
        var change = ended(.timedOut, AttemptFailure(reason: words), rule, now)
        // Of a schedule that is tracked no longer, the attempts that are out were sent to be reported on.
        change.asksWorkerToStop = isTracked && rule.completion != .reply
        return change
    }

    private func cancelled(_ reason: String, _ now: Instant) throws(LifeRefusal) -> LifeChange? {
        // Of one that nobody waits for only its claimant knows whether it is with NATS.
        guard state != .claimed || isTracked else { throw .outOfPlace(state) }
        var life = self
        life.reason = reason
        switch state {
        case .retryWait: return life.finished(.cancelled)
        // A claimed one that is not with NATS yet is given up by its claimant, at once.
        case .claimed, .delivered, .running:
            guard !isCancelling else { return nil }
            life.isCancelling = true
            life.deadline = Deadline(.cancel, at: now.adding(milliseconds: Self.cancelGrace))
            return LifeChange(life: life, asksWorkerToStop: true)
        case .succeeded, .dead, .skipped, .cancelled: throw .outOfPlace(state)
        }
    }

    /// Its claimant gives it up before it is handed to NATS, which nobody else can know; nil where that was done before.
    package func givenUp(_ reason: String?) -> LifeChange? {
        guard state == .claimed else { return nil }
        var life = self
        life.reason = reason
        return life.finished(.cancelled)
    }
}
