import Migrations
import PostgresClient
import PostgresTestSupport
import Testing

struct MigratorTests {
    /// A schema of its own for one test.
    private struct Scratch {
        let configuration: PostgresConfiguration
        let schema = "s\(UInt64.random(in: 0 ... .max))"
        let migrations: [Migration]

        init() async throws {
            configuration = try await LocalPostgres.shared.value.configuration()
            let schema = schema
            migrations = (1...3).map { version in
                Migration(
                    version: version, name: "step_\(version)",
                    up: "CREATE TABLE \(schema).t\(version) (id bigint); SELECT pg_sleep(0.05);",
                    down: "DROP TABLE \(schema).t\(version);", isBreaking: version == 2)
            }
        }

        func migrator(_ migrations: [Migration]? = nil) -> Migrator {
            Migrator(configuration, migrations: migrations ?? self.migrations, schema: schema)
        }

        func tables() async throws -> [String] {
            let connection = try PostgresConnection(configuration)
            let statement = Statement(
                "tables",
                "SELECT tablename::text FROM pg_tables WHERE schemaname = $1::text AND tablename ~ '^t' ORDER BY 1")
            return try await connection.query(statement, [.text(schema)]).map { try $0.text(0) }
        }
    }

    private func code(_ body: () async throws -> Void) async -> MigrationError.Code? {
        do { try await body() } catch let error as MigrationError { return error.code } catch {}
        return nil
    }

    @Test func upAndDown() async throws {
        let scratch = try await Scratch()
        let migrator = scratch.migrator()
        #expect(try await migrator.up(to: 2) == [1, 2])
        #expect(try await scratch.tables() == ["t1", "t2"])
        #expect(try await migrator.up() == [3])
        #expect(try await migrator.up() == [])
        #expect(try await migrator.down(to: 1) == [3, 2])
        #expect(try await scratch.tables() == ["t1"])
        #expect(try await migrator.up() == [2, 3])
        #expect(try await migrator.down(to: 0) == [3, 2, 1])
        #expect(try await scratch.tables() == [])
        #expect(await code { _ = try await migrator.up(to: 4) } == .unknownVersion)
        #expect(await code { _ = try await migrator.down(to: -1) } == .unknownVersion)
    }

    @Test func statusTellsWhatIsThereAndChangesNothing() async throws {
        let scratch = try await Scratch()
        #expect(try await scratch.migrator().status().map(\.state) == [.pending, .pending, .pending])
        #expect(try await scratch.tables() == [])
        _ = try await scratch.migrator().up(to: 2)
        let status = try await scratch.migrator().status()
        #expect(status.map(\.state) == [.applied, .applied, .pending])
        #expect(status.map(\.isBreaking) == [false, true, false])
        #expect(status[0].appliedAt ?? 0 > 1_600_000_000_000_000)
        #expect(status[2].appliedAt == nil)
    }

    @Test func aChangedTextIsRefused() async throws {
        let scratch = try await Scratch()
        _ = try await scratch.migrator().up(to: 1)
        var changed = scratch.migrations
        changed[0] = Migration(version: 1, name: "step_1", up: changed[0].up + " ", down: changed[0].down)
        let migrator = scratch.migrator(changed)
        #expect(try await migrator.status()[0].state == .drifted)
        #expect(await code { _ = try await migrator.up() } == .checksumDrift)
        #expect(await code { _ = try await migrator.down(to: 0) } == .checksumDrift)
        #expect(try await scratch.tables() == ["t1"])
    }

    @Test func aNewerSchemaIsRefused() async throws {
        let scratch = try await Scratch()
        _ = try await scratch.migrator().up()
        let older = scratch.migrator(Array(scratch.migrations.prefix(1)))
        let status = try await older.status()
        #expect(status.map(\.state) == [.applied, .newer, .newer])
        #expect(status.map(\.isBreaking) == [false, true, false])
        #expect(await code { _ = try await older.up() } == .schemaNewer)
        #expect(await code { _ = try await older.down(to: 0) } == .schemaNewer)
    }

    @Test func aFailureLeavesWhatStoodBefore() async throws {
        let scratch = try await Scratch()
        var migrations = scratch.migrations
        migrations[1] = Migration(
            version: 2, name: "step_2", up: "CREATE TABLE \(scratch.schema).t2 (id int); SELECT 1/0;", down: "")
        #expect(await code { _ = try await scratch.migrator(migrations).up() } == .database)
        #expect(try await scratch.tables() == ["t1"])
        #expect(try await scratch.migrator().up() == [2, 3])
    }

    @Test func aMigrationThatCommitsItselfIsRefused() async throws {
        let scratch = try await Scratch()
        let migration = Migration(version: 1, name: "a", up: "COMMIT;", down: "")
        #expect(await code { _ = try await scratch.migrator([migration]).up() } == .database)
        #expect(try await scratch.migrator([migration]).status()[0].state == .pending)
    }

    /// Without the lock both would create t1, and one would fail.
    @Test func ofTwoMigratorsOneWaits() async throws {
        let scratch = try await Scratch()
        async let first = scratch.migrator().up()
        async let second = scratch.migrator().up()
        let applied = try await [first, second]
        #expect(applied.contains([1, 2, 3]) && applied.contains([]))
        #expect(try await scratch.tables() == ["t1", "t2", "t3"])
    }

    @Test func theWaitForAnotherMigratorEnds() async throws {
        let scratch = try await Scratch()
        let holder = try PostgresConnection(scratch.configuration)
        // A second database, so that the other tests are not held up: advisory locks belong to one.
        try await holder.execute(script: "CREATE DATABASE \(scratch.schema)")
        let server = try await LocalPostgres.shared.value
        let configuration = try PostgresConfiguration(
            "host=\(server.socketFolder) port=\(server.port) user=postgres dbname=\(scratch.schema)")
        let other = try PostgresConnection(configuration)
        _ = try await other.query(Statement("lock", "SELECT pg_advisory_lock(\(0x6361_7269_6c6c_6f6e))"))
        var limits = Migrator.Limits()
        limits.migratorLock = .milliseconds(250)
        let migrator = Migrator(configuration, migrations: scratch.migrations, schema: scratch.schema, limits: limits)
        #expect(await code { _ = try await migrator.up() } == .locked)
        await other.close()
        #expect(try await migrator.up() == [1, 2, 3])
    }
}
