import PostgresClient
import PostgresTestSupport
import Testing

@Suite(.timeLimit(.minutes(1))) struct PoolTests {
    private func pool(size: Int, maximumWaiters: Int = 256) async throws -> PostgresPool {
        PostgresPool(
            try await LocalPostgres.shared.value.configuration(), size: size, maximumWaiters: maximumWaiters)
    }

    /// Waits until `condition` holds; the suite's limit bounds it.
    private func until(_ condition: () -> Bool) async {
        while !condition() { await Task.yield() }
    }

    @Test func connectionsOpenLazilyAndNoMoreThanAllowed() async throws {
        let pool = try await pool(size: 3)
        #expect(pool.health.open == 0)
        try await pool.withConnection { _ in }
        try await pool.withConnection { _ in }
        #expect(pool.health.open == 1, "one after the other, one suffices")
        let pids = try await withThrowingTaskGroup(of: Int32.self) { group in
            for _ in 0..<50 {
                group.addTask { try await pool.withConnection { try await $0.query(backend)[0].int32(0) } }
            }
            return try await group.reduce(into: Set<Int32>()) { $0.insert($1) }
        }
        #expect(pids.count <= 3)
        #expect(pool.health.open == pids.count && pool.health.leased == 0 && pool.health.waiting == 0)
    }

    @Test func aWaiterHasADeadline() async throws {
        let pool = try await pool(size: 1)
        try await pool.withConnection { _ in
            // The only connection is held all the while: nothing but the deadline ends the wait.
            let took = await duration {
                let error = await failure {
                    try await pool.withConnection(deadline: .now + .milliseconds(100)) { _ in }
                }
                #expect(error?.code == .timedOut)
            }
            #expect(took >= .milliseconds(100))
            #expect(pool.health.waiting == 0 && pool.health.leased == 1)
        }
        try await pool.withConnection { _ in }
    }

    @Test func theWaitingRoomIsBounded() async throws {
        let pool = try await pool(size: 1, maximumWaiters: 1)
        try await pool.withConnection { _ in
            let waiter = Task { try await pool.withConnection { _ in } }
            await until { pool.health.waiting == 1 }
            let error = await failure { try await pool.withConnection { _ in } }
            #expect(error?.code == .poolExhausted)
            waiter.cancel()
            #expect(await failure { try await waiter.value }?.code == .cancelled)
            #expect(pool.health.waiting == 0, "cancellation removed the waiter")
        }
    }

    @Test func aBodyThatThrowsGivesTheConnectionBack() async throws {
        struct Stop: Error {}
        let pool = try await pool(size: 1)
        await #expect(throws: Stop.self) { try await pool.withConnection { _ in throw Stop() } }
        await #expect(throws: Stop.self) {
            try await pool.withTransaction { transaction in
                _ = try await transaction.query(selectOne)
                throw Stop()
            }
        }
        #expect(pool.health.leased == 0)
        #expect(try await pool.withConnection { try await $0.query(selectOne).count } == 1)
    }

    @Test func anErrorThatDoesNotPassIsNotRetried() async throws {
        let pool = try await pool(size: 1)
        var runs = 0
        let error = await failure {
            try await pool.withTransaction { transaction in
                runs += 1
                _ = try await transaction.query(Statement("bad", "SELECT 1 / 0"))
            }
        }
        #expect(error?.sqlState == "22012")
        #expect(runs == 1)
    }

    @Test func shutDownWaitsForItsUsers() async throws {
        let pool = try await pool(size: 1)
        let (begin, finish) = (Barrier(2), Barrier(2))
        let user = Task {
            try await pool.withConnection { connection in
                await begin.arrive()
                await finish.arrive()
                return try await connection.query(Statement("nap", "SELECT pg_sleep(0.1)")).count
            }
        }
        // Leased is not enough: a session that is still being opened is refused by the shutdown.
        await begin.arrive()
        let waiter = Task { try await pool.withConnection { _ in } }
        await until { pool.health.waiting == 1 }
        // A deadline far beyond the suite's limit: what ends the wait is the user's end.
        let ended = Task { await pool.shutDown(deadline: .now + .seconds(600)) }
        #expect(await failure { try await waiter.value }?.code == .shuttingDown)
        await finish.arrive()
        await ended.value
        #expect(try await user.value == 1)
        #expect(await failure { try await pool.withConnection { _ in } }?.code == .shuttingDown)
        await until { pool.health.open == 0 }
    }

    @Test func shutDownCutsWhoTakesTooLong() async throws {
        let pool = try await pool(size: 1)
        let user = Task { try await pool.withConnection { _ = try await $0.query(sleepTen) } }
        await until { pool.health.open == 1 }
        let took = await duration { await pool.shutDown(deadline: .now + .milliseconds(200)) }
        #expect(took >= .milliseconds(200))
        #expect(await failure { try await user.value }?.code == .connectionLost, "cut before its ten seconds were over")
    }
}
