/// What can go wrong in the engine beyond its two servers' own errors.
package struct EngineError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Code: Hashable, Sendable {
        /// The system gave no thread.
        case noThread
        /// This incarnation has been fenced, or its lease is lost: it must join anew.
        case fenced
        /// The instance is not serving: starting, stopping, or cut off.
        case notReady
        /// A stream or the bucket is not as it must be.
        case stream
        /// A row that this program cannot make sense of.
        case unreadable
    }

    package let code: Code
    package let description: String

    package init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }
}
