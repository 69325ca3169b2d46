/// What the command that is being carried out is known by: for what it changes, and for what is logged of it. It follows the
/// command through its task and all that the task starts.
package struct Correlation: Hashable, Sendable {
    @TaskLocal package static var current = Correlation()

    package var trace: TraceContext?
    package var requestID: String?

    package init(trace: TraceContext? = nil, requestID: String? = nil) {
        self.trace = trace
        self.requestID = requestID
    }

    /// The same, with the request's id.
    package func named(_ requestID: String?) -> Correlation {
        Correlation(trace: trace, requestID: requestID ?? self.requestID)
    }
}
