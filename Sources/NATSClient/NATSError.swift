/// The one error of this module: a code to decide on, a sentence to read, and what it was about.
///
/// No message ever holds a password, a token or the user part of a URL.
package struct NATSError: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Code: Sendable, Equatable {
        /// A setting that cannot work; trying again does not help.
        case invalidConfiguration
        /// A subject, reply, queue group or key that NATS must not see.
        case invalidSubject
        /// A header name or value that NATS must not see.
        case invalidHeader
        /// No link to a server at the moment; nothing was sent.
        case disconnected
        /// The link was lost after something had been handed to it: whether it arrived is unknown.
        case connectionLost
        /// `close()` was called; the object is of no more use.
        case closed
        /// The time limit passed, on the monotonic clock.
        case timeout
        /// The server knows nobody who listens on the subject.
        case noResponders
        /// User, password, token or credentials were refused.
        case notAuthorized
        /// The TLS handshake failed, a certificate of an authority that is not trusted for one, or the server has no TLS.
        case notTrusted
        /// The server forbids this user the subject.
        case notPermitted
        /// Headers and payload together are over the server's `max_payload`.
        case payloadTooLarge
        /// The bound on outstanding publishes is reached; nothing was sent.
        case tooManyInFlight
        /// A reply that is not what the protocol promises.
        case malformedReply
        /// JetStream refused: `code` is an HTTP class, `errCode` JetStream's own number.
        case jetStream(code: Int, errCode: Int)
        /// A write that expected another revision, or a key that exists (10071, 10164).
        case conflict
        case streamNotFound
        case keyNotFound
        /// The task was cancelled.
        case cancelled
        /// Anything else libnats reports.
        case library(status: UInt32)
    }

    package var code: Code
    /// A sentence: what was expected, what came.
    package var message: String
    /// What it was about: a subject, a bucket, a key.
    package var context: String?

    package init(_ code: Code, _ message: String, context: String? = nil) {
        self.code = code
        self.message = message
        self.context = context
    }

    package var description: String {
        guard let context else { return "\(message) [\(code)]" }
        return "\(message) (\(context)) [\(code)]"
    }

    /// True when nothing of the operation can have reached the server.
    package var isCertainlyNotSent: Bool {
        switch code {
        case .invalidConfiguration, .invalidSubject, .invalidHeader, .disconnected, .closed, .payloadTooLarge,
            .tooManyInFlight:
            true
        default: false
        }
    }
}
