/// What went wrong between this process and PostgreSQL.
///
/// The sentence says what was expected and what came. No field holds a password, a connection string or a bound value;
/// `detail` may hold values of a row (PostgreSQL puts the violated key there), so `description` leaves it out.
package struct PostgresError: Error, Sendable, Equatable {
    package enum Code: String, Sendable {
        // The transaction may be run again as it is.
        case serializationFailure, deadlock
        // Constraints: `constraint` names the one violated.
        case uniqueViolation, foreignKeyViolation, checkViolation, notNullViolation, exclusionViolation
        // Limits of time that PostgreSQL kept.
        case lockTimeout, queryCancelled, idleInTransaction
        // The session or the server is gone, or is not there yet.
        case adminShutdown, crashShutdown, cannotConnectNow, connectionLost, connectionRefused, tooManyConnections
        /// The deadline of the call passed first. If anything had been sent, the session was closed.
        case timedOut
        /// The session ended after a COMMIT may have reached the server: committed or not, nobody here can tell.
        case commitUnknown
        /// A standby, or a server set to read-only: usual after a failover.
        case readOnly
        case diskFull, outOfMemory, resourceLimit
        case undefinedTable, undefinedColumn, undefinedFunction, undefinedObject, duplicateObject, syntaxError
        case insufficientPrivilege, authenticationFailed, unknownDatabase
        case invalidData, protocolViolation, raisedException
        /// The definition of a table changed under a prepared statement. A new session prepares it anew.
        case stalePlan
        /// COMMIT was answered with ROLLBACK, or a call was made in a transaction that had failed.
        case transactionAborted
        /// A value of the result is not of the type that was asked for.
        case decoding
        /// The caller broke a rule of this module; trying again does not help.
        case misuse
        case invalidConfiguration
        /// All connections of the pool are leased and its waiting room is full.
        case poolExhausted
        case shuttingDown, cancelled
        case otherServerError
    }

    package var code: Code
    package var message: String
    /// The five characters of SQLSTATE where PostgreSQL reported the error.
    package var sqlState: String?
    package var detail: String?
    package var constraint: String?
    /// The name of the statement that failed.
    package var statement: String?
    /// The index, in the array given to `pipeline`, of the call that failed.
    package var callIndex: Int?
    /// What ended the session of which `code` says `.commitUnknown`.
    package var cause: Code?
    /// `.commitUnknown`, and PostgreSQL was asked what became of the transaction, for as long as anybody waits for that.
    package var isUnsettled = false

    package init(
        _ code: Code, _ message: String, sqlState: String? = nil, detail: String? = nil, constraint: String? = nil,
        statement: String? = nil, callIndex: Int? = nil, cause: Code? = nil
    ) {
        self.code = code
        self.message = message
        self.sqlState = sqlState
        self.detail = detail
        self.constraint = constraint
        self.statement = statement
        self.callIndex = callIndex
        self.cause = cause
    }

    /// Whether the same work, run again as a whole, may succeed without anyone changing anything.
    /// For `.commitUnknown` this holds only if the work is idempotent.
    package var isRetryable: Bool {
        switch code {
        case .serializationFailure, .deadlock, .stalePlan: true
        default: isConnectionLoss
        }
    }

    /// Whether the session is gone, or could not be had.
    package var isConnectionLoss: Bool {
        switch code {
        case .adminShutdown, .crashShutdown, .cannotConnectNow, .connectionLost, .connectionRefused,
            .tooManyConnections, .timedOut, .commitUnknown, .readOnly, .idleInTransaction:
            true
        default: false
        }
    }
}

extension PostgresError: CustomStringConvertible {
    package var description: String {
        var text = "\(code.rawValue): \(message)"
        if let sqlState { text += " [SQLSTATE \(sqlState)]" }
        if let constraint { text += " [constraint \(constraint)]" }
        if let statement { text += " [statement \(statement)]" }
        if let cause { text += " [cause \(cause.rawValue)]" }
        return text
    }
}
