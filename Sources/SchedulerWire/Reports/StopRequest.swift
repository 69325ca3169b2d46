import JSONText
package import SchedulerCore

/// What a worker is told on `<p>.run.<namespace>.<execution_id>.cancel`: that nobody waits for this attempt any more.
///
/// A core message, said once: who is not listening at that moment learns it by the end of the attempt alone.
package struct StopRequest: Hashable, Sendable {
    package static let type = "io.carillon.v1.stop_request"

    package let execution: ExecutionID
    package let attempt: Int32
    package let fence: Int64
    /// The canceller's words, or those of the time-out.
    package let reason: String?

    package init(execution: ExecutionID, attempt: Int32, fence: Int64, reason: String?) {
        self.execution = execution
        self.attempt = attempt
        self.fence = fence
        self.reason = reason
    }

    package func subject(in namespace: String, prefix: String) -> String {
        ReportSubject.base(of: execution, in: namespace, prefix: prefix) + ".cancel"
    }

    package var body: [UInt8] {
        var writer = JSONWriter(capacity: 256)
        writer.object { writer in
            writer.member("type", Self.type)
            writer.member("execution_id", execution.description)
            writer.member("attempt", attempt)
            writer.member("fence", fence)
            writer.member("reason", ifPresent: reason)
        }
        return writer.bytes
    }
}
