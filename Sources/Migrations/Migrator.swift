package import PostgresClient

/// Brings a database's schema to a version, one transaction a migration.
///
/// An advisory lock of the session keeps two migrators apart: the second waits, then finds nothing left to do. The
/// session does not reopen: if it is lost, so is the lock, and the run ends with an error; running again is safe,
/// because a migration and its row in `schema_migrations` are committed together.
package struct Migrator: Sendable {
    /// Limits of a run.
    package struct Limits: Sendable {
        /// How long to wait for another migrator.
        package var migratorLock: Duration = .seconds(300)
        /// How long one statement may wait for a lock on a table: while it waits, it blocks those behind it.
        package var tableLock: Duration = .seconds(5)
        package var statement: Duration = .seconds(600)

        package init() {}
    }

    private let configuration: PostgresConfiguration
    private let migrations: [Migration]
    private let limits: Limits
    private let table: MigrationTable

    /// - Parameters:
    ///   - migrations: all the program knows, from version 1 without gaps, as `Migration.parse` returns them.
    ///   - schema: holds `schema_migrations`; an SQL name that needs no quotes.
    package init(
        _ configuration: PostgresConfiguration, migrations: [Migration], schema: String = "scheduler",
        limits: Limits = Limits()
    ) {
        var configuration = configuration
        configuration.lockTimeout = limits.tableLock
        configuration.statementTimeout = limits.statement
        configuration.callTimeout = limits.statement + .seconds(5)
        self.configuration = configuration
        self.migrations = migrations
        self.limits = limits
        table = MigrationTable(schema: schema)
    }

    /// Every version the program or the database knows, in order. Changes nothing and takes no lock.
    package func status() async throws(MigrationError) -> [MigrationStatus] {
        try await withSession { connection throws(PostgresError) in
            let exists = try await connection.query(table.exists)[0].bool(0)
            return try await readPlan(connection, hasTable: exists).status
        }
    }

    /// Applies what is missing up to `target`, or all. Returns the versions it applied.
    package func up(to target: Int? = nil) async throws(MigrationError) -> [Int] {
        try await withLock { connection throws(MigrationError) in
            let plan = try await Self.database { () throws(PostgresError) in
                try await connection.execute(script: table.create)
                return try await readPlan(connection, hasTable: true)
            }
            let steps = try plan.up(to: target ?? migrations.count)
            for (migration, checksum) in steps {
                try await run(migration.up, of: migration, table.inserted(migration, checksum), connection)
            }
            return steps.map(\.migration.version)
        }
    }

    /// Runs a statement under the migrators' lock and with their limits. Returns its first column.
    package func lines(of statement: Statement) async throws(MigrationError) -> [String] {
        try await withLock { connection throws(MigrationError) in
            try await Self.database { () throws(PostgresError) in
                var lines: [String] = []
                for row in try await connection.query(statement) { lines.append(try row.text(0)) }
                return lines
            }
        }
    }

    /// Takes back what is applied above `target`, the newest first. Returns the versions it took back.
    package func down(to target: Int) async throws(MigrationError) -> [Int] {
        try await withLock { connection throws(MigrationError) in
            let plan = try await Self.database { () throws(PostgresError) in
                let exists = try await connection.query(table.exists)[0].bool(0)
                return try await readPlan(connection, hasTable: exists)
            }
            let steps = try plan.down(to: target)
            for migration in steps {
                try await run(migration.down, of: migration, table.deleted(migration), connection)
            }
            return steps.map(\.version)
        }
    }

    private func run(
        _ script: String, of migration: Migration, _ record: Call, _ connection: PostgresConnection
    ) async throws(MigrationError) {
        do {
            let deadline = ContinuousClock.now + configuration.callTimeout
            try await connection.transaction(deadline: deadline) { transaction in
                try await transaction.execute(script: script)
                try await transaction.commit(with: [record])
            }
        } catch {
            throw MigrationError(
                .database, "expected \(migration.name) to run", version: migration.version,
                underlying: error as? PostgresError)
        }
    }

    private func readPlan(
        _ connection: PostgresConnection, hasTable: Bool
    ) async throws(PostgresError) -> MigrationPlan {
        let texts = PostgresValue.byteses(migrations.map { Array($0.up.utf8) })
        let checksums = try await connection.query(table.checksums, [texts])
        let rows = hasTable ? try await connection.query(table.all) : nil
        var applied: [AppliedMigration] = []
        if let rows {
            for row in rows { applied.append(try table.decode(row)) }
        }
        var digests: [String] = []
        for row in checksums { digests.append(try row.text(0)) }
        return MigrationPlan(migrations: migrations, checksums: digests, applied: applied)
    }
}

// MARK: - Session and lock

extension Migrator {
    private func withLock<T: Sendable>(
        _ body: (PostgresConnection) async throws(MigrationError) -> T
    ) async throws(MigrationError) -> T {
        let connection = try await Self.database { () throws(PostgresError) in
            try PostgresConnection(configuration)
        }
        let result: Result<T, MigrationError>
        do throws(MigrationError) {
            try await takeLock(connection)
            result = .success(try await body(connection))
        } catch {
            result = .failure(error)
        }
        // Ends the session, and with it the lock.
        await connection.close()
        return try result.get()
    }

    /// Asks again and again rather than waiting inside PostgreSQL, where `lock_timeout` would end the wait.
    private func takeLock(_ connection: PostgresConnection) async throws(MigrationError) {
        let deadline = ContinuousClock.now + limits.migratorLock
        while true {
            let isHeld = try await Self.database { () throws(PostgresError) in
                try await connection.query(table.tryLock)[0].bool(0)
            }
            if isHeld { return }
            guard ContinuousClock.now < deadline else {
                throw MigrationError(
                    .locked, "expected the lock within \(limits.migratorLock), another migrator has it")
            }
            do {
                try await Task.sleep(for: .milliseconds(100), clock: .continuous)
            } catch {
                throw MigrationError(.locked, "the task was cancelled while another migrator had the lock")
            }
        }
    }

    private func withSession<T: Sendable>(
        _ body: (PostgresConnection) async throws(PostgresError) -> T
    ) async throws(MigrationError) -> T {
        try await Self.database { () throws(PostgresError) in
            let connection = try PostgresConnection(configuration)
            let result: Result<T, PostgresError>
            do throws(PostgresError) {
                result = .success(try await body(connection))
            } catch {
                result = .failure(error)
            }
            await connection.close()
            return try result.get()
        }
    }

    private static func database<T>(
        _ body: () async throws(PostgresError) -> T
    ) async throws(MigrationError) -> T {
        do throws(PostgresError) {
            return try await body()
        } catch {
            throw MigrationError(.database, "expected PostgreSQL to answer", underlying: error)
        }
    }
}
