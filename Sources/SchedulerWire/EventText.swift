import JSONText
package import Recurrence
package import SchedulerCore

/// An event as it is published: its id, the tokens of its subject, and its body.
package struct EventText: Sendable {
    /// Also the `Nats-Msg-Id`: the same in every publication.
    package let id: String
    package let type: EventType
    package let namespace: String
    /// The subject's last token.
    package let scheduleToken: String
    package let body: [UInt8]

    /// The event's subject under a prefix.
    package func subject(prefix: String) -> String {
        "\(prefix).evt.\(namespace).\(type.family.rawValue).\(type.event).\(scheduleToken)"
    }
}

extension EventText {
    /// What became of an execution. The id is a hash of the execution, the attempt and the state.
    package init(_ event: ExecutionEvent, source: String) {
        self.init(event, tell: LifeTell(event.state), source: source)
    }

    /// What happened to an execution, whatever it has become of it since.
    package init(_ event: ExecutionEvent, tell: LifeTell, source: String) {
        self.init(event, status: tell.rawValue, EventType(tell), EventStep(tell), source: source)
    }

    private init(
        _ event: ExecutionEvent, status: String, _ type: EventType, _ step: EventStep, source: String
    ) {
        let execution = event.execution.description
        let schedule = event.schedule.description
        let id = Digest.identity(execution, String(event.attempt), status).text
        let cloudEvent = CloudEvent(
            id: id, source: source, type: type, subject: schedule, time: event.finishedAt.rfc3339,
            sequence: CloudEvent.sequence(fence: event.fence, step: step.rawValue), correlationID: execution,
            causationID: event.causedBy?.description, trace: event.trace)
        var writer = JSONWriter(capacity: 1024)
        cloudEvent.write(into: &writer) { writer in
            writer.member("execution_id", execution)
            writer.member("schedule_id", schedule)
            writer.member("schedule_name", event.scheduleName)
            writer.member("namespace", event.namespace)
            writer.member("status", status)
            writer.member("scheduled_for", event.scheduledFor.rfc3339)
            writer.member("due_at", event.dueAt.rfc3339)
            writer.member("fired_at", ifPresent: event.firedAt)
            if let fired = event.firedAt { writer.member("lateness_ms", fired.milliseconds(since: event.dueAt)) }
            writer.member("attempt", event.attempt)
            writer.member("fence", event.fence)
            writer.member("trigger", event.trigger.rawValue)
            writer.member("reason", ifPresent: event.reason)
            writer.member("outcome", ifPresent: event.outcome)
            writer.member("retry_at", ifPresent: event.retryAt)
            if event.missedCount > 0 { writer.member("missed_count", event.missedCount) }
            if let from = event.rangeFrom {
                writer.member("range_from", from.rfc3339)
                writer.member("count", event.rangeCount)
            }
            writer.member("payload_sha256", ifPresent: event.payloadSHA256)
        }
        self.init(id: id, type: type, namespace: event.namespace, scheduleToken: schedule, body: writer.bytes)
    }

    /// A change of a schedule, told from its entry in the audit log.
    package init?(_ change: ScheduleChange, source: String) {
        guard let type = EventType.all.first(where: { $0.family == .schedule && $0.event == change.action }) else {
            return nil
        }
        let id = Digest.identity("audit", String(change.auditID), change.action).text
        let schedule = change.schedule?.description ?? "_"
        let isOutcome = type == .commandAccepted || type == .commandRejected
        let step: EventStep = change.action == "exhausted" ? .exhausted : isOutcome ? .command : .schedule
        let cloudEvent = CloudEvent(
            id: id, source: source, type: type, subject: schedule, time: change.at.rfc3339,
            sequence: CloudEvent.sequence(fence: change.fence, step: step.rawValue),
            correlationID: isOutcome ? change.requestID : nil, causationID: change.requestID,
            trace: change.trace.map { $0.child(span: id.span) })
        var writer = JSONWriter(capacity: 512)
        cloudEvent.write(into: &writer) { writer in
            writer.member("schedule_id", ifPresent: change.schedule?.description)
            writer.member("schedule_name", ifPresent: change.name)
            writer.member("namespace", change.namespace)
            writer.member("version", ifPresent: change.version)
            writer.member("actor", ifPresent: change.actor)
            writer.member("reason", ifPresent: change.reason)
            writer.member("request_id", ifPresent: change.requestID)
            for member in change.outcomeMembers {
                writer.name(dynamic: member.name)
                writer.value(member.value)
            }
        }
        self.init(id: id, type: type, namespace: change.namespace, scheduleToken: schedule, body: writer.bytes)
    }

    /// Something that concerns the service itself: `<p>.evt._system.system.<event>.<instance>`.
    package init(
        system type: EventType, instance: String, name: String, at now: Instant, detail: String, source: String
    ) {
        let id = Digest.identity("system", type.event, instance, now.rfc3339).text
        let cloudEvent = CloudEvent(
            id: id, source: source, type: type, subject: instance, time: now.rfc3339,
            sequence: CloudEvent.sequence(fence: now.milliseconds, step: 0))
        var writer = JSONWriter(capacity: 512)
        cloudEvent.write(into: &writer) { writer in
            writer.member("instance", instance)
            writer.member("instance_name", name)
            writer.member("detail", detail)
        }
        self.init(id: id, type: type, namespace: "_system", scheduleToken: instance, body: writer.bytes)
    }
}

extension String {
    /// A span of an event's own, from its id: the same in every publication.
    fileprivate var span: UInt64 {
        let digits = utf8.filter { $0 != UInt8(ascii: "-") }.suffix(16)
        return UInt64(String(decoding: digits, as: UTF8.self), radix: 16) ?? 1
    }
}

extension LifeTell {
    /// What tells that an execution came to a state.
    fileprivate init(_ state: ExecutionState) {
        switch state {
        case .claimed, .delivered: self = .delivered
        case .running: self = .running
        case .retryWait: self = .retrying
        case .succeeded: self = .succeeded
        case .dead: self = .dead
        case .cancelled: self = .cancelled
        case .skipped: self = .skipped
        }
    }
}

extension EventType {
    fileprivate init(_ tell: LifeTell) {
        switch tell {
        case .delivered: self = .executionDelivered
        case .running: self = .executionRunning
        case .succeeded: self = .executionSucceeded
        case .failed: self = .executionFailed
        case .timedOut: self = .executionTimedOut
        case .retrying: self = .executionRetrying
        case .cancelled: self = .executionCancelled
        case .dead: self = .executionDead
        case .skipped: self = .executionSkipped
        }
    }
}

extension EventStep {
    fileprivate init(_ tell: LifeTell) {
        switch tell {
        case .delivered: self = .delivered
        case .running: self = .running
        case .succeeded: self = .succeeded
        case .failed: self = .failed
        case .timedOut: self = .timedOut
        case .retrying: self = .retrying
        case .cancelled: self = .cancelled
        case .dead: self = .dead
        case .skipped: self = .skipped
        }
    }
}

/// One entry of the audit log, as its event tells it.
package struct ScheduleChange: Sendable {
    package let auditID: Int64
    package let at: Instant
    package let schedule: ScheduleID?
    package let name: String?
    package let namespace: String
    package let action: String
    package let fence: Int64
    package let version: Int64?
    package let actor: String?
    package let reason: String?
    package let requestID: String?
    /// Of a submitted command: what a ``CommandOutcome`` wrote.
    package let outcome: [UInt8]?
    /// Of the command that made the change.
    package let trace: TraceContext?

    package init(
        auditID: Int64, at: Instant, schedule: ScheduleID?, name: String?, namespace: String, action: String,
        fence: Int64, version: Int64?, actor: String?, reason: String?, requestID: String?, outcome: [UInt8]? = nil,
        trace: TraceContext? = nil
    ) {
        self.auditID = auditID
        self.at = at
        self.schedule = schedule
        self.name = name
        self.namespace = namespace
        self.action = action
        self.fence = fence
        self.version = version
        self.actor = actor
        self.reason = reason
        self.requestID = requestID
        self.outcome = outcome
        self.trace = trace
    }

    fileprivate var outcomeMembers: [JSONValue.Member] {
        guard let outcome, let text = try? JSONValue.parse(outcome) else { return [] }
        return Array(text.members)
    }
}
