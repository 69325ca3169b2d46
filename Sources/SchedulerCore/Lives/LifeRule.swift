package import Recurrence

/// What a schedule says about the lives of its executions. Times in milliseconds.
package struct LifeRule: Hashable, Sendable {
    package let completion: Completion
    /// Of `at_most_once` no attempt follows one that its target may have, unless that one's end is told.
    package let guarantee: Guarantee
    /// From the delivery until the worker says that it began; nil for as long as the run may take.
    package let startTimeout: Int64?
    /// From the delivery, or from the beginning once that is told, until the end.
    package let runTimeout: Int64
    /// Between two signs of life of a worker that began; nil for no bound.
    package let heartbeatTimeout: Int64?
    package let retry: RetryRule

    package init(
        completion: Completion, guarantee: Guarantee = .atLeastOnce, startTimeout: Int64?, runTimeout: Int64,
        heartbeatTimeout: Int64?, retry: RetryRule
    ) {
        self.completion = completion
        self.guarantee = guarantee
        self.startTimeout = startTimeout
        self.runTimeout = runTimeout
        self.heartbeatTimeout = heartbeatTimeout
        self.retry = retry
    }

    package init(_ definition: ScheduleDefinition) {
        self.init(
            completion: definition.completion, guarantee: definition.guarantee,
            startTimeout: definition.startTimeoutSeconds.map(Self.milliseconds),
            runTimeout: Self.milliseconds(definition.runTimeoutSeconds),
            heartbeatTimeout: definition.heartbeatTimeoutSeconds.map(Self.milliseconds), retry: definition.retry)
    }

    private static func milliseconds(_ seconds: Double) -> Int64 { Int64((seconds * 1000).rounded()) }
}

extension RetryRule {
    /// How long after an attempt's failure the next one comes, in milliseconds: `delay × 2^(attempt − 1)`, capped, ±10 %
    /// (semantics.md §5). The deviation is a hash of execution and attempt: whoever computes it finds the same.
    package func delay(after attempt: Int32, of execution: ExecutionID) -> Int64 {
        let doubled = delaySeconds * Double(sign: .plus, exponent: Int(min(max(attempt, 1), 60)) - 1, significand: 1)
        let base = min(doubled, maxDelaySeconds) * 1000
        let spread = Digest.stableNumber(of: "\(execution).\(attempt)", below: 2001)
        return Int64((base * (0.9 + Double(spread) / 10_000)).rounded())
    }

    /// Whether an attempt may follow, and when.
    /// - Parameters:
    ///   - attempt: the one that failed; 1, 2, …
    ///   - openedAt: when the first one was due.
    ///   - asked: what the worker asked for, in milliseconds; its word goes over the rule's delay, not over its ends.
    package func next(
        after attempt: Int32, of execution: ExecutionID, openedAt: Instant, now: Instant, asked: Int64?
    ) -> Instant? {
        guard attempt <= maxRetries else { return nil }
        let at = now.adding(milliseconds: asked ?? delay(after: attempt, of: execution))
        let age = Double(at.milliseconds(since: openedAt)) / 1000
        return age <= maxAgeSeconds ? at : nil
    }
}
