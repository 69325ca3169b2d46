import PostgresClient
import PostgresTestSupport
import Testing

/// What PostgreSQL reports, as codes.
struct ServerErrorTests {
    static let states: [(String, PostgresError.Code)] = [
        ("40001", .serializationFailure), ("40P01", .deadlock), ("23505", .uniqueViolation),
        ("23503", .foreignKeyViolation), ("23514", .checkViolation), ("23502", .notNullViolation),
        ("55P03", .lockTimeout), ("57014", .queryCancelled), ("57P01", .adminShutdown), ("57P02", .crashShutdown),
        ("57P03", .cannotConnectNow), ("25006", .readOnly), ("25P03", .idleInTransaction), ("53100", .diskFull),
        ("53200", .outOfMemory), ("53300", .tooManyConnections), ("53400", .resourceLimit),
        ("42P01", .undefinedTable), ("42501", .insufficientPrivilege), ("P0001", .raisedException),
        ("22003", .invalidData), ("28P01", .authenticationFailed), ("08006", .connectionLost),
        ("08P01", .protocolViolation), ("XX000", .otherServerError),
    ]

    @Test(arguments: states) func everyStateHasItsCode(_ state: String, _ code: PostgresError.Code) async throws {
        let connection = try PostgresConnection(try await LocalPostgres.shared.value.configuration())
        let error = await failure {
            try await connection.execute(
                script: "DO $$ BEGIN RAISE EXCEPTION 'told so' USING ERRCODE = '\(state)'; END $$")
        }
        #expect(error?.code == code)
        #expect(error?.sqlState == state)
        #expect(error?.message == "told so")
    }

    @Test func aConstraintIsNamed() async throws {
        let scratch = try await Scratch("id bigint CONSTRAINT only_once PRIMARY KEY CONSTRAINT positive CHECK (id > 0)")
        _ = try await scratch.connection.query(scratch.insert, [.int64(1)])
        let unique = await failure { _ = try await scratch.connection.query(scratch.insert, [.int64(1)]) }
        #expect(unique?.code == .uniqueViolation && unique?.constraint == "only_once")
        #expect(unique?.detail?.contains("(id)=(1)") == true)
        #expect(unique.map { "\($0)" }?.contains("(id)=(1)") == false, "a row's values stay out of the description")
        let check = await failure { _ = try await scratch.connection.query(scratch.insert, [.int64(-1)]) }
        #expect(check?.code == .checkViolation && check?.constraint == "positive")
    }

    @Test func aValueOfAnotherFormIsRefusedAndTheSessionLives() async throws {
        let scratch = try await Scratch()
        let error = await failure { _ = try await scratch.connection.query(scratch.insert, [.int32(1)]) }
        #expect(error?.code == .protocolViolation || error?.code == .invalidData)
        #expect(error?.isRetryable == false)
        #expect(scratch.connection.isOpen)
        let few = await failure { _ = try await scratch.connection.query(scratch.insert, []) }
        #expect(few?.code == .protocolViolation)
    }

    @Test func lockTimeout() async throws {
        let scratch = try await Scratch()
        var configuration = try scratch.server.configuration()
        configuration.lockTimeout = .milliseconds(100)
        let other = try PostgresConnection(configuration)
        try await scratch.connection.transaction { transaction in
            _ = try await transaction.query(scratch.insert, [.int64(1)])
            let error = await failure { _ = try await other.query(scratch.insert, [.int64(1)]) }
            #expect(error?.code == .lockTimeout)
        }
    }

    @Test func statementTimeout() async throws {
        var configuration = try await LocalPostgres.shared.value.configuration()
        configuration.statementTimeout = .milliseconds(100)
        let connection = try PostgresConnection(configuration)
        #expect(await failure { _ = try await connection.query(sleepTen) }?.code == .queryCancelled)
        #expect(connection.isOpen)
    }

    /// R40: a client that stops inside a transaction loses its locks.
    @Test func idleInTransactionIsEnded() async throws {
        let scratch = try await Scratch()
        var configuration = try scratch.server.configuration()
        configuration.idleInTransactionTimeout = .milliseconds(200)
        let paused = try PostgresConnection(configuration)
        let error = await failure {
            try await paused.transaction { transaction in
                _ = try await transaction.query(scratch.insert, [.int64(1)])
                // Waits for the row's lock: free as soon as the paused session is gone.
                _ = try await scratch.connection.query(scratch.insert, [.int64(1)])
                _ = try await transaction.query(selectOne)
            }
        }
        #expect(error?.code == .idleInTransaction)
        #expect(error?.isConnectionLoss == true)
        #expect(!paused.isOpen)
        #expect(try await scratch.stored() == [1])
    }

    @Test func deadlocksAreRetried() async throws {
        let scratch = try await Scratch()
        let pool = PostgresPool(try scratch.server.configuration(), size: 2)
        _ = try await scratch.connection.pipeline([scratch.insert(.int64(1)), scratch.insert(.int64(2))])
        let lock = Statement(
            "lock", "UPDATE \(scratch.table) SET note = coalesce(note, '') || 'x' WHERE id = $1::bigint")
        let bothHold = Barrier(2)
        @Sendable func update(_ first: Int64, _ second: Int64) async throws -> Int {
            var runs = 0
            try await pool.withTransaction { transaction in
                runs += 1
                _ = try await transaction.query(lock, [.int64(first)])
                if runs == 1 { await bothHold.arrive() }
                _ = try await transaction.query(lock, [.int64(second)])
            }
            return runs
        }
        async let one = update(1, 2)
        async let two = update(2, 1)
        let runs = try await [one, two].sorted()
        // The one that gave way may meet the other once more.
        #expect(runs[0] == 1 && runs[1] >= 2, "\(runs)")
        let notes = Statement("notes", "SELECT note FROM \(scratch.table)")
        #expect(try await scratch.connection.query(notes).map { try $0.text(0) } == ["xx", "xx"])
    }
}

/// Lets tasks go on when `count` of them have arrived.
actor Barrier {
    private var missing: Int
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(_ count: Int) { missing = count }

    func arrive() async {
        missing -= 1
        if missing > 0 {
            await withCheckedContinuation { waiting.append($0) }
        } else {
            for continuation in waiting { continuation.resume() }
            waiting = []
        }
    }
}
