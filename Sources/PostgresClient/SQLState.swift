extension PostgresError.Code {
    /// The code of a SQLSTATE (PostgreSQL manual, appendix A): exact states first, then their class.
    init(sqlState: String) {
        self = Self.exact[sqlState] ?? Self.classes[String(sqlState.prefix(2))] ?? .otherServerError
    }

    private static let exact: [String: Self] = [
        "40001": .serializationFailure,
        "40P01": .deadlock,
        "23505": .uniqueViolation,
        "23503": .foreignKeyViolation,
        "23514": .checkViolation,
        "23502": .notNullViolation,
        "23P01": .exclusionViolation,
        "55P03": .lockTimeout,
        "57014": .queryCancelled,
        "57P01": .adminShutdown,
        "57P02": .crashShutdown,
        "57P03": .cannotConnectNow,
        "57P05": .adminShutdown,
        "25006": .readOnly,
        "25P02": .transactionAborted,
        "25P03": .idleInTransaction,
        "53100": .diskFull,
        "53200": .outOfMemory,
        "53300": .tooManyConnections,
        "42P01": .undefinedTable,
        "42703": .undefinedColumn,
        "42883": .undefinedFunction,
        "42704": .undefinedObject,
        "3F000": .undefinedObject,
        "42P06": .duplicateObject,
        "42P07": .duplicateObject,
        "42701": .duplicateObject,
        "42710": .duplicateObject,
        "42723": .duplicateObject,
        "42601": .syntaxError,
        "42501": .insufficientPrivilege,
        "3D000": .unknownDatabase,
        "26000": .stalePlan,
        "P0001": .raisedException,
        // In class 08, but the session goes on: a bound value did not have the form of its type.
        "08P01": .protocolViolation,
    ]

    private static let classes: [String: Self] = [
        "08": .connectionLost,
        "22": .invalidData,
        "28": .authenticationFailed,
        "53": .resourceLimit,
        "54": .resourceLimit,
    ]
}
