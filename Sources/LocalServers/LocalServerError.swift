/// Why a private server could not be started, stopped or used.
package struct LocalServerError: Error, Sendable, CustomStringConvertible {
    package enum Code: Sendable {
        /// A binary or a user is not on this machine; the sentence says what to install.
        case missing
        /// A folder, file or process could not be made.
        case system
        /// The server ended, or did not become ready in time.
        case notReady
        /// The call does not fit the server's state.
        case wrongState
    }

    package let code: Code
    package let message: String
    /// The last lines that the server logged.
    package let log: String

    init(_ code: Code, _ message: String, log: String = "") {
        self.code = code
        self.message = message
        self.log = log
    }

    package var description: String { log.isEmpty ? message : "\(message)\n\(log)" }
}
