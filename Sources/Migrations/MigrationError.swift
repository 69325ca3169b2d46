package import PostgresClient

/// Why migrations were refused or broke off. What had been committed before stays.
package struct MigrationError: Error, Sendable, CustomStringConvertible {
    package enum Code: String, Sendable {
        /// A file's name is not `m<number>_<name>.up.sql` or `.down.sql`.
        case badFileName
        case duplicateVersion
        /// Versions must be 1, 2, 3, …
        case gap
        case missingUp, missingDown
        /// A migration that was applied reads differently now.
        case checksumDrift
        /// The database has migrations this program does not know.
        case schemaNewer
        case unknownVersion
        /// Another migrator held the lock for longer than this one would wait.
        case locked
        /// PostgreSQL refused: see `underlying`.
        case database
    }

    package let code: Code
    package let message: String
    package let version: Int?
    package let underlying: PostgresError?

    init(_ code: Code, _ message: String, version: Int? = nil, underlying: PostgresError? = nil) {
        self.code = code
        self.message = message
        self.version = version
        self.underlying = underlying
    }

    package var description: String {
        let place = version.map { " [migration \($0)]" } ?? ""
        return "\(code.rawValue): \(message)\(place)" + (underlying.map { ": \($0)" } ?? "")
    }
}
