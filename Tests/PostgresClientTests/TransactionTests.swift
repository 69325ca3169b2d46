import PostgresClient
import PostgresTestSupport
import TestSupport
import Testing

struct TransactionTests {
    private struct Stop: Error {}

    @Test func aBodyThatReturnsIsCommitted() async throws {
        let scratch = try await Scratch()
        let count = try await scratch.connection.transaction { transaction in
            _ = try await transaction.query(scratch.insert, [.int64(1)])
            return try await transaction.pipeline([scratch.insert(.int64(2)), scratch.ids()])[1].count
        }
        #expect(count == 2)
        #expect(try await scratch.stored() == [1, 2])
    }

    @Test func aBodyThatThrowsLeavesNothing() async throws {
        let scratch = try await Scratch()
        await #expect(throws: Stop.self) {
            try await scratch.connection.transaction { transaction in
                _ = try await transaction.query(scratch.insert, [.int64(1)])
                throw Stop()
            }
        }
        #expect(try await scratch.stored() == [])
        #expect(try await scratch.connection.query(scratch.insert, [.int64(1)]).affected == 1)
    }

    @Test func aBodyThatDoesNothingSendsNothing() async throws {
        let proxy = try await CuttingProxy(to: LocalPostgres.shared.value.port)
        defer { proxy.stop() }
        let connection = try PostgresConnection(
            try await LocalPostgres.shared.value.configuration(tcp: true, port: proxy.port))
        try await connection.open()
        _ = proxy.takeTurns()
        try await connection.transaction { _ in }
        #expect(proxy.takeTurns() == 0)
    }

    @Test func aClaimTakesTwoRoundTrips() async throws {
        let scratch = try await Scratch()
        let proxy = try CuttingProxy(to: scratch.server.port)
        defer { proxy.stop() }
        let connection = try PostgresConnection(scratch.server.configuration(tcp: true, port: proxy.port))
        try await connection.open()
        _ = proxy.takeTurns()
        try await connection.transaction { transaction in
            let rows = try await transaction.pipeline([selectOne(), scratch.ids()])
            #expect(rows[1].isEmpty)
            try await transaction.commit(with: [scratch.insert(.int64(1)), scratch.insert(.int64(2))])
        }
        #expect(proxy.takeTurns() == 2)
        #expect(try await scratch.stored() == [1, 2])
    }

    @Test func aSwallowedErrorDoesNotPassForACommit() async throws {
        let scratch = try await Scratch()
        let error = await failure {
            try await scratch.connection.transaction { transaction in
                _ = try await transaction.query(scratch.insert, [.int64(1)])
                _ = try? await transaction.query(Statement("bad", "SELECT 1 / 0"))
            }
        }
        #expect(error?.code == .transactionAborted)
        #expect(try await scratch.stored() == [])
    }

    @Test func aTransactionEndedByItsOwnScriptIsRefused() async throws {
        let scratch = try await Scratch()
        let error = await failure {
            try await scratch.connection.transaction { transaction in
                _ = try await transaction.query(scratch.insert, [.int64(1)])
                try await transaction.execute(script: "ROLLBACK")
            }
        }
        #expect(error?.code == .misuse)
        #expect(try await scratch.stored() == [])
    }

    @Test func nobodyElseSpeaksInsideATransaction() async throws {
        let scratch = try await Scratch()
        try await scratch.connection.transaction { transaction in
            _ = try await transaction.query(scratch.insert, [.int64(1)])
            let error = await failure { _ = try await scratch.connection.query(scratch.insert, [.int64(2)]) }
            #expect(error?.code == .misuse)
            let nested = await failure {
                try await scratch.connection.transaction { _ = try await $0.query(scratch.insert, [.int64(3)]) }
            }
            #expect(nested?.code == .misuse)
        }
        #expect(try await scratch.stored() == [1])
    }

    /// A session that cannot be rolled back, here because someone took the statement's name, is not used again.
    @Test func aSessionThatCannotBeRolledBackIsReplaced() async throws {
        let scratch = try await Scratch()
        _ = try await scratch.connection.query(Statement("rollback", "SELECT 2"))
        let error = await failure {
            try await scratch.connection.transaction { transaction in
                _ = try await transaction.query(scratch.insert, [.int64(1)])
                throw PostgresError(.misuse, "stop")
            }
        }
        #expect(error?.message == "stop")
        #expect(try await scratch.connection.query(scratch.insert, [.int64(1)]).affected == 1)
        #expect(try await scratch.stored() == [1])
    }

    @Test func nothingFollowsACommit() async throws {
        let scratch = try await Scratch()
        let error = await failure {
            try await scratch.connection.transaction { transaction in
                try await transaction.commit(with: [scratch.insert(.int64(1))])
                _ = try await transaction.query(scratch.insert, [.int64(2)])
            }
        }
        #expect(error?.code == .transactionAborted)
        #expect(try await scratch.stored() == [1])
        #expect(try await scratch.connection.query(selectOne).count == 1)
    }

    @Test func theDeadlineIsOneForAllCalls() async throws {
        let scratch = try await Scratch()
        let nap = Statement("nap", "SELECT pg_sleep(0.1)", isReadOnly: true)
        let error = await failure {
            try await scratch.connection.transaction(deadline: .now + .milliseconds(500)) { transaction in
                _ = try await transaction.query(scratch.insert, [.int64(1)])
                // Each is well within the deadline, all together are not.
                for _ in 0..<20 { _ = try await transaction.query(nap) }
            }
        }
        #expect(error?.code == .timedOut)
        #expect(try await scratch.stored() == [])
    }

    @Test(arguments: [PostgresTransaction.Mode.repeatableRead, .serializable])
    func concurrentUpdatesFailToSerialize(_ mode: PostgresTransaction.Mode) async throws {
        let scratch = try await Scratch()
        _ = try await scratch.connection.query(scratch.insert, [.int64(1)])
        let update = Statement("update", "UPDATE \(scratch.table) SET note = 'x' WHERE id = 1")
        let other = try PostgresConnection(scratch.server.configuration())
        let error = await failure {
            try await scratch.connection.transaction(mode) { transaction in
                _ = try await transaction.query(scratch.ids)
                _ = try await other.query(update)
                _ = try await transaction.query(update)
            }
        }
        #expect(error?.code == .serializationFailure)
        #expect(error?.isRetryable == true)
    }

    @Test func aReadOnlyTransactionTakesNoWrites() async throws {
        let scratch = try await Scratch()
        let error = await failure {
            try await scratch.connection.transaction(.readOnly) { _ = try await $0.query(scratch.insert, [.int64(1)]) }
        }
        #expect(error?.code == .readOnly)
    }

    @Test func aCancelledTaskSendsNothingMore() async throws {
        let scratch = try await Scratch()
        let task = Task {
            try await scratch.connection.transaction { transaction in
                _ = try await transaction.query(scratch.insert, [.int64(1)])
                withUnsafeCurrentTask { $0?.cancel() }
            }
        }
        let error = await failure { try await task.value }
        #expect(error?.code == .cancelled)
        #expect(try await scratch.stored() == [])
        #expect(try await scratch.connection.query(scratch.insert, [.int64(1)]).affected == 1)
    }
}
