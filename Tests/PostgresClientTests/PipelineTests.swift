import PostgresClient
import PostgresTestSupport
import Testing

struct PipelineTests {
    @Test func answersComeInTheOrderOfTheCalls() async throws {
        let scratch = try await Scratch()
        let rows = try await scratch.connection.pipeline([
            scratch.insert(.int64(2)), scratch.insert(.int64(1)), scratch.ids(), selectOne(),
        ])
        #expect(rows.map(\.affected) == [1, 1, 2, 1])
        #expect(try rows[2].map { try $0.int64(0) } == [1, 2])
        #expect(try rows[3][0].int32(0) == 1)
    }

    @Test(arguments: 0..<4) func aFailureNamesItsCallAndUndoesAll(_ position: Int) async throws {
        let scratch = try await Scratch()
        var calls = (1...3).map { scratch.insert(.int64($0)) }
        let bad = Statement("bad", "SELECT 1 / $1::integer")
        calls.insert(bad(.int32(0)), at: position)
        let error = await failure { _ = try await scratch.connection.pipeline(calls) }
        #expect(error?.callIndex == position)
        #expect(error?.statement == "bad")
        #expect(error?.sqlState == "22012")
        #expect(error?.code == .invalidData)
        #expect(try await scratch.stored() == [])
        #expect(try await scratch.connection.pipeline(calls.filter { $0.statement.name != "bad" }).count == 3)
        #expect(try await scratch.stored() == [1, 2, 3])
    }

    @Test func aStatementThatCannotBePreparedIsTriedAnew() async throws {
        let scratch = try await Scratch()
        let later = Statement("later", "SELECT count(*) FROM \(scratch.table)_later")
        let error = await failure { _ = try await scratch.connection.pipeline([selectOne(), later()]) }
        #expect(error?.code == .undefinedTable)
        #expect(error?.callIndex == 1)
        try await scratch.connection.execute(script: "CREATE TABLE \(scratch.table)_later (id bigint)")
        #expect(try await scratch.connection.query(later)[0].int64(0) == 0)
    }

    @Test func deferredConstraintFailsAtTheEnd() async throws {
        let scratch = try await Scratch("id bigint, CONSTRAINT once UNIQUE (id) DEFERRABLE INITIALLY DEFERRED")
        let calls = [scratch.insert(.int64(1)), scratch.insert(.int64(1))]
        let error = await failure { _ = try await scratch.connection.pipeline(calls) }
        #expect(error?.code == .uniqueViolation)
        #expect(error?.constraint == "once")
        let explicit = await failure {
            try await scratch.connection.transaction { _ = try await $0.commit(with: calls) }
        }
        #expect(explicit?.code == .uniqueViolation)
        #expect(try await scratch.stored() == [])
        #expect(try await scratch.connection.query(scratch.insert, [.int64(1)]).affected == 1)
    }

    @Test func beginAndCommitMayBeAmongTheCalls() async throws {
        let scratch = try await Scratch()
        let calls = [
            Call(.begin), scratch.insert(.int64(1)), Call(.commit), Call(.begin), scratch.insert(.int64(2)),
            Call(.rollback),
        ]
        #expect(try await scratch.connection.pipeline(calls).count == 6)
        #expect(try await scratch.stored() == [1])
    }

    @Test func anOpenTransactionIsNotLeftBehind() async throws {
        let scratch = try await Scratch()
        let error = await failure {
            _ = try await scratch.connection.pipeline([Call(.begin), scratch.insert(.int64(1))])
        }
        #expect(error?.code == .misuse)
        #expect(try await scratch.stored() == [])
        #expect(try await scratch.connection.query(selectOne).count == 1)
    }

    @Test func oneNameForTwoStatementsIsRefused() async throws {
        let scratch = try await Scratch()
        let error = await failure {
            _ = try await scratch.connection.pipeline([selectOne(), Statement("one", "SELECT 2")()])
        }
        #expect(error?.code == .misuse)
        #expect(try await scratch.connection.query(selectOne).count == 1)
    }

    /// Without reading while it writes, client and server would wait for each other with full buffers.
    @Test func muchInBothDirectionsDoesNotLock() async throws {
        let scratch = try await Scratch()
        let echo = Statement("echo", "SELECT $1::text", isReadOnly: true)
        let long = String(repeating: "x", count: 200_000)
        let rows = try await scratch.connection.pipeline(Array(repeating: echo(.text(long)), count: 200))
        #expect(rows.count == 200)
        #expect(try rows.allSatisfy { try $0[0].text(0).utf8.count == 200_000 })
    }

    @Test func aChangedTableBringsANewSession() async throws {
        let scratch = try await Scratch()
        let all = Statement("all", "SELECT * FROM \(scratch.table)", isReadOnly: true)
        #expect(try await scratch.connection.query(all).columnCount == 2)
        let other = try PostgresConnection(scratch.server.configuration())
        try await other.execute(script: "ALTER TABLE \(scratch.table) ADD COLUMN extra text")
        let error = await failure { _ = try await scratch.connection.query(all) }
        #expect(error?.code == .stalePlan)
        #expect(error?.isRetryable == true)
        #expect(try await scratch.connection.query(all).columnCount == 3)
    }

    @Test func copyIsRefused() async throws {
        let scratch = try await Scratch()
        let error = await failure {
            try await scratch.connection.execute(script: "COPY \(scratch.table) FROM STDIN")
        }
        #expect(error?.code == .misuse)
        #expect(try await scratch.connection.query(selectOne).count == 1)
    }

    @Test func aScriptIsOneTransaction() async throws {
        let scratch = try await Scratch()
        let error = await failure {
            try await scratch.connection.execute(
                script: "INSERT INTO \(scratch.table) VALUES (1); SELECT 1/0; SELECT 2")
        }
        #expect(error?.sqlState == "22012")
        #expect(try await scratch.stored() == [])
        let open = await failure { try await scratch.connection.execute(script: "BEGIN; SELECT 1") }
        #expect(open?.code == .misuse)
        #expect(try await scratch.connection.query(selectOne).count == 1)
    }
}
