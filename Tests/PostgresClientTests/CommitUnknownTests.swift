import PostgresClient
import PostgresTestSupport
import TestSupport
import Testing

/// The session is lost around a commit, in both truths: the server has committed, the server has not.
struct CommitUnknownTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        /// What the client sends last.
        let marker: String
        let run: @Sendable (Scratch, PostgresConnection) async throws -> Void
    }

    static let cases: [Case] = [
        Case(testDescription: "commit(with:)", marker: "COMMIT") { scratch, connection in
            try await connection.transaction { transaction in
                _ = try await transaction.query(selectOne)
                try await transaction.commit(with: [scratch.insert(.int64(1))])
            }
        },
        Case(testDescription: "the end of the body", marker: "COMMIT") { scratch, connection in
            try await connection.transaction { _ = try await $0.query(scratch.insert, [.int64(1)]) }
        },
        Case(testDescription: "the end of a pipeline", marker: "INSERT") { scratch, connection in
            _ = try await connection.pipeline([scratch.insert(.int64(1)), selectOne()])
        },
        Case(testDescription: "one statement", marker: "INSERT") { scratch, connection in
            _ = try await connection.query(scratch.insert, [.int64(1)])
        },
        Case(testDescription: "a script", marker: "INSERT") { scratch, connection in
            try await connection.execute(script: "INSERT INTO \(scratch.table) VALUES (1)")
        },
    ]

    private func run(
        _ test: Case, _ rule: CuttingProxy.Rule
    ) async throws -> (error: PostgresError?, scratch: Scratch) {
        let scratch = try await Scratch()
        let proxy = try CuttingProxy(to: scratch.server.port)
        defer { proxy.stop() }
        var configuration = try scratch.server.configuration(tcp: true, port: proxy.port)
        configuration.callTimeout = .milliseconds(500)
        let connection = try PostgresConnection(configuration)
        try await connection.open()
        proxy.set(rule)
        let error = await failure { try await test.run(scratch, connection) }
        #expect(proxy.triggered == 1, "the fault was exercised")
        #expect(!connection.isOpen)
        return (error, scratch)
    }

    @Test(arguments: cases) func committedButNobodyHeard(_ test: Case) async throws {
        let (error, scratch) = try await run(test, .cutAfter(test.marker))
        #expect(error?.code == .commitUnknown)
        #expect(error?.cause == .connectionLost)
        #expect(error?.isRetryable == true && error?.isConnectionLoss == true)
        #expect(try await scratch.stored() == [1])
    }

    @Test(arguments: cases) func neverArrived(_ test: Case) async throws {
        let (error, scratch) = try await run(test, .cutBefore(test.marker))
        #expect(error?.code == .commitUnknown)
        #expect(try await scratch.stored() == [])
    }

    @Test(arguments: cases) func noAnswerUntilTheDeadline(_ test: Case) async throws {
        let (error, scratch) = try await run(test, .muteAfter(test.marker))
        #expect(error?.code == .commitUnknown)
        #expect(error?.cause == .timedOut)
        #expect(try await scratch.stored() == [1])
    }

    @Test func whatOnlyReadsLeavesNothingInDoubt() async throws {
        let test = Case(testDescription: "read", marker: "SELECT 1") { _, connection in
            _ = try await connection.pipeline([selectOne(), selectOne()])
        }
        #expect(try await run(test, .cutAfter(test.marker)).error?.code == .connectionLost)
        #expect(try await run(test, .muteAfter(test.marker)).error?.code == .timedOut)
    }

    @Test func aLossBeforeTheCommitWasSentIsARollback() async throws {
        let test = Case(testDescription: "inside", marker: "INSERT") { scratch, connection in
            try await connection.transaction { transaction in
                _ = try await transaction.query(selectOne)
                _ = try await transaction.query(scratch.insert, [.int64(1)])
            }
        }
        let (error, scratch) = try await run(test, .cutAfter(test.marker))
        #expect(error?.code == .connectionLost)
        #expect(try await scratch.stored() == [])
    }

    /// An ERROR that arrived tells that nothing was committed, whatever becomes of the session behind it.
    @Test func anErrorThatArrivedLeavesNothingInDoubt() async throws {
        let test = Case(testDescription: "error", marker: "") { scratch, connection in
            _ = try await connection.pipeline([scratch.insert(.int64(1)), Statement("bad", "SELECT 1 / 0")()])
        }
        let (error, scratch) = try await run(test, .cutBeforeReady)
        #expect(error?.code == .invalidData && error?.sqlState == "22012")
        #expect(error?.callIndex == 1)
        #expect(try await scratch.stored() == [])
    }

    /// Without BEGIN the commit comes after the last answer, with the sync.
    @Test func aPipelineAnsweredButNotReadyIsInDoubt() async throws {
        let test = Case(testDescription: "implicit", marker: "") { scratch, connection in
            _ = try await connection.pipeline([scratch.insert(.int64(1))])
        }
        #expect(try await run(test, .cutBeforeReady).error?.code == .commitUnknown)
    }

    @Test func aCommitThatWasConfirmedIsACommit() async throws {
        let scratch = try await Scratch()
        let proxy = try CuttingProxy(to: scratch.server.port)
        defer { proxy.stop() }
        let connection = try PostgresConnection(scratch.server.configuration(tcp: true, port: proxy.port))
        try await connection.open()
        proxy.set(.cutBeforeReady)
        try await connection.transaction { _ = try await $0.commit(with: [scratch.insert(.int64(1))]) }
        #expect(proxy.triggered == 1)
        #expect(!connection.isOpen)
        #expect(try await scratch.stored() == [1])
    }

    /// The pool runs idempotent work again, so both truths end in the same rows.
    @Test(arguments: [CuttingProxy.Rule.cutBefore("COMMIT"), .cutAfter("COMMIT")])
    func thePoolRunsTheTransactionAgain(_ rule: CuttingProxy.Rule) async throws {
        let scratch = try await Scratch()
        let proxy = try CuttingProxy(to: scratch.server.port)
        defer { proxy.stop() }
        let pool = PostgresPool(try scratch.server.configuration(tcp: true, port: proxy.port), size: 1)
        let upsert = Statement(
            "upsert", "INSERT INTO \(scratch.table) (id) VALUES ($1::bigint) ON CONFLICT DO NOTHING")
        proxy.set(rule)
        var runs = 0
        try await pool.withTransaction { transaction in
            runs += 1
            if runs == 2 { proxy.set(.forward) }
            try await transaction.commit(with: [upsert(.int64(1))])
        }
        #expect(runs == 2)
        #expect(try await scratch.stored() == [1])
    }
}
