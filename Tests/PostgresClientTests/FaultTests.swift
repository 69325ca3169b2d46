import Glibc
import PostgresClient
import PostgresTestSupport
import Testing

/// Stopped, killed and restarted servers. Each test has a server of its own.
@Suite(.serialized) struct FaultTests {
    /// No call outlives its deadline by more than a busy machine needs, whatever the server does. Less than any time-out
    /// that the sessions have besides.
    private static let slack = Duration.seconds(1)
    private static let limit = Duration.milliseconds(300)

    private func withServer(_ body: (LocalPostgres) async throws -> Void) async throws {
        let server = try await LocalPostgres.start()
        do {
            try await body(server)
            await server.remove()
        } catch {
            await server.remove()
            throw error
        }
    }

    /// Stops a process while `body` runs.
    private func withStopped(_ pid: Int32, _ body: () async throws -> Void) async throws {
        #expect(kill(pid, SIGSTOP) == 0)
        defer { kill(pid, SIGCONT) }
        try await body()
    }

    private func expectInTime(
        _ codes: Set<PostgresError.Code>, _ location: SourceLocation = #_sourceLocation,
        _ body: (ContinuousClock.Instant) async throws -> Void
    ) async {
        let took = await duration {
            let error = await failure(location) { try await body(.now + Self.limit) }
            let isExpected = error.map { codes.contains($0.code) }
            #expect(isExpected == true, "\(String(describing: error))", sourceLocation: location)
        }
        #expect(took >= Self.limit && took < Self.limit + Self.slack, "\(took)", sourceLocation: location)
    }

    @Test func aStoppedBackendHoldsNoCall() async throws {
        let scratch = try await Scratch()
        for tcp in [false, true] {
            let configuration = try scratch.server.configuration(tcp: tcp)
            let connection = try PostgresConnection(configuration, reopens: true)
            func whileStopped(
                _ codes: Set<PostgresError.Code>, _ body: (ContinuousClock.Instant) async throws -> Void
            ) async throws {
                let pid = try await connection.query(backend)[0].int32(0)
                try await withStopped(pid) { await expectInTime(codes) { try await body($0) } }
            }
            try await whileStopped([.timedOut]) { _ = try await connection.query(selectOne, deadline: $0) }
            try await whileStopped([.commitUnknown]) {
                _ = try await connection.query(scratch.insert, [.int64(tcp ? 1 : 2)], deadline: $0)
            }
            try await whileStopped([.commitUnknown]) {
                try await connection.execute(script: "DELETE FROM \(scratch.table)", deadline: $0)
            }
            // More than the buffers of both sockets hold.
            let long = Statement("long", "SELECT length($1::text)", isReadOnly: true)
            let text = PostgresValue.text(String(repeating: "x", count: 8_000_000))
            try await whileStopped([.timedOut]) { _ = try await connection.query(long, [text], deadline: $0) }
            #expect(try await connection.query(selectOne).count == 1)
        }
    }

    @Test func aBackendStoppedInsideATransactionHoldsNoCall() async throws {
        let scratch = try await Scratch()
        let connection = try PostgresConnection(scratch.server.configuration(), reopens: true)
        let pid = try await connection.query(backend)[0].int32(0)
        defer { kill(pid, SIGCONT) }
        await expectInTime([.timedOut]) { deadline in
            try await connection.transaction(deadline: deadline) { transaction in
                _ = try await transaction.query(scratch.insert, [.int64(1)])
                kill(pid, SIGSTOP)
                _ = try await transaction.query(selectOne)
            }
        }
        kill(pid, SIGCONT)
        #expect(try await scratch.connection.query(scratch.insert, [.int64(1)]).affected == 1)
    }

    @Test func aStoppedPostmasterHoldsNoOpening() async throws {
        try await withServer { server in
            try await withStopped(#require(await server.pid)) {
                for tcp in [false, true] {
                    let connection = try PostgresConnection(server.configuration(tcp: tcp))
                    await expectInTime([.timedOut]) { try await connection.open(deadline: $0) }
                }
                let pool = PostgresPool(try server.configuration(), size: 1)
                await expectInTime([.timedOut]) { deadline in
                    try await pool.withConnection(deadline: deadline) { _ in }
                }
            }
        }
    }

    @Test func aTerminatedBackendInsideATransaction() async throws {
        let scratch = try await Scratch()
        let connection = try PostgresConnection(scratch.server.configuration(), reopens: true)
        let terminate = Statement("terminate", "SELECT pg_terminate_backend($1::integer, 5000)")
        let error = await failure {
            try await connection.transaction { transaction in
                _ = try await transaction.query(scratch.insert, [.int64(1)])
                let pid = try await transaction.query(backend)[0].int32(0)
                _ = try await scratch.connection.query(terminate, [.int32(pid)])
                try await transaction.commit(with: [selectOne()])
            }
        }
        // FATAL came in answer to the first call behind it: COMMIT never ran.
        #expect(error?.code == .adminShutdown)
        #expect(try await scratch.stored() == [])
        #expect(try await connection.query(selectOne).count == 1, "a new session takes its place")
    }

    @Test func aTerminatedIdleBackendIsReplacedUnnoticed() async throws {
        let scratch = try await Scratch()
        let terminate = Statement("terminate", "SELECT pg_terminate_backend($1::integer, 5000)")
        let reopening = try PostgresConnection(scratch.server.configuration(), reopens: true)
        let single = try PostgresConnection(scratch.server.configuration())
        for connection in [reopening, single] {
            let pid = try await connection.query(backend)[0].int32(0)
            _ = try await scratch.connection.query(terminate, [.int32(pid)])
        }
        #expect(try await reopening.query(scratch.insert, [.int64(1)]).affected == 1)
        let error = await failure { _ = try await single.query(selectOne) }
        #expect(error?.code == .connectionLost)
        #expect(await failure { try await single.open() }?.code == .connectionLost)
    }

    @Test func anAbortEndsACallUnderWay() async throws {
        let scratch = try await Scratch()
        let connection = try PostgresConnection(scratch.server.configuration())
        try await connection.open()
        let started = Statement("started", "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(10)%'")
        async let ended = failure { _ = try await connection.query(sleepTen) }
        while try await scratch.connection.query(started).isEmpty { await Task.yield() }
        connection.abort()
        #expect(await ended?.code == .connectionLost)
    }

    /// R42: the pool serves again as soon as the server does; nothing is lost, nothing is done twice.
    @Test(.timeLimit(.minutes(1)), arguments: [false, true])
    func thePoolOutlivesARestart(_ isCrash: Bool) async throws {
        try await withServer { server in
            let scratch = try await Scratch(server: server)
            let pool = PostgresPool(try server.configuration(), size: 3)
            let upsert = Statement(
                "upsert", "INSERT INTO \(scratch.table) (id) VALUES ($1::bigint) ON CONFLICT DO NOTHING")
            let progress = Progress()
            let policy = RetryPolicy(attempts: 1000)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for worker in 0..<6 {
                    group.addTask {
                        for number in 0..<100 {
                            try await pool.withTransaction(retrying: policy, deadline: .now + .seconds(20)) {
                                _ = try await $0.query(upsert, [.int64(Int64(worker * 1000 + number))])
                            }
                            await progress.step()
                        }
                    }
                }
                await progress.reached(100)
                if isCrash { await server.kill() } else { await server.stop() }
                let refused = await failure {
                    try await pool.withConnection(deadline: .now + .milliseconds(200)) { _ in }
                }
                #expect(refused?.isConnectionLoss == true)
                #expect(pool.health.failures > 0)
                // A lease taken while the server is down tries again until it is back.
                let fresh = PostgresPool(try server.configuration(), size: 1)
                let patient = Task {
                    try await fresh.withConnection(deadline: .now + .seconds(20)) { connection in
                        try await connection.query(selectOne).count
                    }
                }
                while fresh.health.failures < 1 { await Task.yield() }
                try await server.start()
                #expect(try await patient.value == 1)
                try await group.waitForAll()
            }
            #expect(try await scratch.stored().count == 600)
            #expect(pool.health.failures == 0 && pool.health.leased == 0)
        }
    }
}

/// Counts steps; lets one task wait for a number of them.
actor Progress {
    private var count = 0
    private var target: (Int, CheckedContinuation<Void, Never>)?

    func step() {
        count += 1
        if let target, count >= target.0 {
            self.target = nil
            target.1.resume()
        }
    }

    func reached(_ number: Int) async {
        if count < number { await withCheckedContinuation { target = (number, $0) } }
    }
}
