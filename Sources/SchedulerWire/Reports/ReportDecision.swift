package import Recurrence
package import SchedulerCore

/// What a report means to the execution that it names. Pure: the row, its life, the time.
package enum ReportDecision: Sendable {
    /// It moves the execution.
    case change(LifeChange)
    /// It repeats what is known, or comes when it matters no more.
    case nothing
    /// It was quicker than the acknowledgement of the message that it is about: to be looked at again in a moment.
    case early
    /// Nobody can do anything with it; its worker should know.
    case refused(WireError)

    /// What is known of an execution.
    package struct Known: Sendable {
        package let execution: Execution
        package let namespace: String
        /// Nil where it is over.
        package var life: Life?

        package init(_ execution: Execution, namespace: String, life: Life?) {
            self.execution = execution
            self.namespace = namespace
            self.life = life
        }
    }

    /// - Parameters:
    ///   - known: the execution of that id; nil where there is none.
    ///   - isPatient: whether it may be looked at again. If not, a report tells by itself that its message arrived.
    package static func decide(
        _ report: WorkerReport, on known: Known?, under rule: LifeRule, isPatient: Bool, at now: Instant
    ) -> ReportDecision {
        let subject = report.subject
        guard let known, known.namespace == subject.namespace.description else {
            return .refused(
                WireError(
                    .executionNotFound, "namespace '\(subject.namespace)' has no execution \(subject.execution)"))
        }
        let execution = known.execution
        guard execution.isTracked else {
            return .refused(
                WireError(.wrongState, "nobody waits for reports: the execution's schedule has completion 'none'"))
        }
        guard report.fence == known.life?.fence ?? execution.fence else {
            return .refused(
                WireError(
                    .wrongState,
                    "the fence \(report.fence) is another attempt's: attempt \(known.life?.attempt ?? execution.attempt)"
                        + " has \(known.life?.fence ?? execution.fence)"))
        }
        guard let life = known.life else { return after(execution, report) }
        if life.state == .claimed, isPatient { return .early }
        do throws(LifeRefusal) {
            return try life.taking(report.event, under: rule, at: now).map { .change($0) } ?? .nothing
        } catch {
            // A sign of life of an attempt that timed out meanwhile.
            return .nothing
        }
    }

    /// What comes after the end: the same word again, or another one, which does not count.
    private static func after(_ execution: Execution, _ report: WorkerReport) -> ReportDecision {
        let isKnown =
            switch report.subject.kind {
            case .started, .heartbeat: true
            case .succeeded: execution.state == .succeeded
            case .failed: execution.state == .dead || execution.state == .cancelled
            }
        if isKnown { return .nothing }
        let since = execution.finishedAt.map { " since \($0.rfc3339)" } ?? ""
        return .refused(WireError(.wrongState, "the execution is \(execution.state.rawValue)\(since)"))
    }
}
