import LocalServers
import Migrations
import PostgresClient
import Recurrence
import SchedulerStore
import ServiceFixture
import Testing

extension Integration {
    /// What PostgreSQL denies the roles that the migration makes.
    @Suite("Database roles", .serialized, .timeLimit(.minutes(1))) struct DatabaseRoleTests {
        struct Row: Sendable, CustomTestStringConvertible {
            let user: String
            let sql: String
            /// The SQLSTATE of the refusal.
            var state = "42501"

            var testDescription: String { "\(user): \(sql.prefix(70))" }
        }

        private static let ended = "WHERE finished_at IS NOT NULL"
        private static let today = "date_trunc('day', now())"

        static let table: [Row] = [
            // History.
            Row(user: "service", sql: "DELETE FROM scheduler.executions \(ended)", state: "CR002"),
            Row(user: "service", sql: "UPDATE scheduler.executions SET reason = 'x' \(ended)", state: "CR002"),
            Row(user: "service", sql: "UPDATE scheduler.executions SET finished_at = NULL \(ended)", state: "CR002"),
            Row(user: "service", sql: "TRUNCATE scheduler.executions"),
            Row(user: "service", sql: "DELETE FROM scheduler.executions_default"),
            Row(user: "service", sql: "ALTER TABLE scheduler.executions DISABLE TRIGGER ALL"),
            Row(user: "service", sql: "DROP TRIGGER keep_history ON scheduler.executions"),
            Row(user: "service", sql: "SET session_replication_role = replica"),
            Row(user: "service", sql: "SELECT scheduler.drop_executions_partition(\(today))"),
            Row(user: "service", sql: "SELECT scheduler.ensure_executions_partition(\(today) + interval '90 days')"),
            Row(user: "service", sql: "SELECT scheduler.make_executions_day(now())", state: "CR020"),
            // The audit log.
            Row(user: "service", sql: "UPDATE scheduler.audit_log SET reason = 'x'"),
            Row(user: "service", sql: "DELETE FROM scheduler.audit_log"),
            Row(user: "service", sql: "TRUNCATE scheduler.audit_log"),
            Row(
                user: "service",
                sql:
                    "INSERT INTO scheduler.audit_log (at, fence, namespace, action, sealed_seq) VALUES (now(), 1, 'a', 'a', 1)"
            ),
            Row(user: "service", sql: "UPDATE scheduler.audit_chain SET head_seq = 0"),
            Row(
                user: "service",
                sql: "SELECT scheduler.seal_audit(now(), 1, ARRAY[1]::bigint[], ARRAY[sha256('x')])", state: "CR020"),
            Row(
                user: "service",
                sql:
                    "SELECT scheduler.seal_audit(now(), head_seq + 1, ARRAY[(SELECT min(id) FROM scheduler.audit_log)], ARRAY[sha256('x')]) FROM scheduler.audit_chain",
                state: "CR020"),
            Row(user: "service", sql: "UPDATE scheduler.retention_floors SET audit_days = 0"),
            // The schema, the server, and other roles.
            Row(user: "service", sql: "UPDATE scheduler.schema_migrations SET checksum = checksum"),
            Row(user: "service", sql: "CREATE TABLE scheduler.own (a integer)"),
            Row(user: "service", sql: "CREATE TABLE public.own (a integer)"),
            Row(user: "service", sql: "CREATE SCHEMA own"),
            Row(user: "service", sql: "CREATE FUNCTION scheduler.own() RETURNS integer LANGUAGE sql AS 'SELECT 1'"),
            Row(user: "service", sql: "ALTER TABLE scheduler.schedules ADD COLUMN own integer"),
            Row(user: "service", sql: "CREATE INDEX own ON scheduler.schedules (name)"),
            Row(user: "service", sql: "SELECT scheduler.grant_roles()"),
            Row(user: "service", sql: "SET ROLE carillon_owner"),
            Row(user: "service", sql: "CREATE ROLE own"),
            Row(user: "service", sql: "COPY (SELECT 1) TO PROGRAM 'true'"),
            Row(user: "service", sql: "SELECT pg_read_file('/etc/passwd')"),
            // Who only reads.
            Row(user: "watcher", sql: "INSERT INTO scheduler.locks VALUES ('x', 1)"),
            Row(user: "watcher", sql: "UPDATE scheduler.timers SET next_fire_at = now()"),
            Row(user: "watcher", sql: "DELETE FROM scheduler.schedules"),
            Row(user: "watcher", sql: "TRUNCATE scheduler.claims"),
            Row(user: "watcher", sql: "SELECT 1 FROM scheduler.timers FOR UPDATE"),
            Row(user: "watcher", sql: "SELECT scheduler.forget_audit(now(), 1)"),
            Row(user: "watcher", sql: "SELECT scheduler.drop_executions_day(now())"),
            Row(user: "watcher", sql: "SELECT scheduler.lock_audit_chain()"),
            Row(user: "watcher", sql: "CREATE TABLE scheduler.own (a integer)"),
            Row(user: "watcher", sql: "SET ROLE carillon_app"),
        ]

        @Test("Each role is denied what is not its own, by the server", arguments: table)
        func denies(_ row: Row) async throws {
            let system = try await GuardedSystem.running
            try await hasHistory(system)
            let database = try await system.database(as: row.user)
            let error = await #expect(throws: PostgresError.self) {
                try await database.execute(script: row.sql)
            }
            #expect(error?.sqlState == row.state, "\(error.map { "\($0)" } ?? "done")")
            await database.close()
        }

        /// At least one execution that has ended, and an audit log whose entries are sealed.
        private func hasHistory(_ system: GuardedSystem) async throws {
            let ended = "SELECT least(count(*), 1) FROM scheduler.executions WHERE finished_at IS NOT NULL"
            let fixture = system.fixture
            if try await fixture.count(ended) == 0 {
                try await fixture.done(
                    "schedule.create", #"{"schedule_type":"immediate","target_command":"cmd.billing.js.h"}"#,
                    in: "billing")
            }
            #expect(await fixture.waits(until: ended, is: 1))
            #expect(
                await fixture.waits(until: "SELECT count(*) FROM scheduler.audit_log WHERE sealed_seq IS NULL", is: 0))
        }

        @Test("The days that are kept at least stay, whatever the service asks; who reads sees everything")
        func keeps() async throws {
            let system = try await GuardedSystem.running
            try await hasHistory(system)
            let database = try await system.database(as: "service")
            for sql in [
                "SELECT (CASE WHEN scheduler.drop_executions_day(\(Self.today)) THEN 1 ELSE 0 END)::bigint",
                "SELECT scheduler.forget_audit('9999-01-01', 1000)",
                "SELECT scheduler.clear_executions_default('ffffffff-ffff-ffff-ffff-ffffffffffff', 1000)",
            ] {
                let asked = Statement("asked \(sql.hashValue)", sql)
                #expect(try await database.query(asked)[0].int64(0) == 0, "\(sql)")
            }
            await database.close()
            let reader = try await system.database(as: "watcher")
            let tables = try await system.fixture.rows(
                """
                SELECT relname FROM pg_class WHERE relnamespace = 'scheduler'::regnamespace AND relkind IN ('r', 'p')
                    AND NOT relispartition
                """)
            #expect(tables.count > 20)
            for table in tables {
                try await reader.execute(script: "SELECT count(*) FROM scheduler.\(table[0] ?? "?")")
            }
            await reader.close()
        }

        /// What belongs to a superuser and runs with its owner's rights would lend them to everybody.
        @Test("All of the schema belongs to the owner's role, and what lends its rights has its search_path fixed")
        func belongs() async throws {
            let fixture = try await GuardedSystem.running.fixture
            for sql in [
                "SELECT relname FROM pg_class WHERE relnamespace = 'scheduler'::regnamespace AND relowner <> 'carillon_owner'::regrole",
                "SELECT proname FROM pg_proc WHERE pronamespace = 'scheduler'::regnamespace AND proowner <> 'carillon_owner'::regrole",
                """
                SELECT proname FROM pg_proc WHERE pronamespace = 'scheduler'::regnamespace
                    AND has_function_privilege('public', oid, 'EXECUTE')
                """,
                """
                SELECT proname FROM pg_proc WHERE pronamespace = 'scheduler'::regnamespace AND prosecdef
                    AND NOT coalesce(proconfig @> ARRAY['search_path=pg_catalog, pg_temp'], false)
                """,
            ] { #expect(try await fixture.rows(sql) == []) }
        }

        /// As on a managed server, where who migrates makes no roles.
        @Test("Who may not make roles migrates all the same, is told what is missing, and grants it once it is there")
        func withoutRights() async throws {
            let server = try PostgresServer(fsync: false)
            try await server.start()
            let root = try PostgresConnection(PostgresConfiguration(await server.url()))
            try await root.execute(script: "CREATE ROLE migrator LOGIN; CREATE ROLE service LOGIN")
            try await root.execute(script: "CREATE DATABASE carillon OWNER migrator")
            let url = await server.url(database: "carillon").replacing("postgres@", with: "migrator@")
            let migrator = try Schema.migrator(PostgresConfiguration(url))
            _ = try await migrator.up()
            let missing = try await migrator.lines(of: Schema.grantRoles)
            #expect(missing.count == 3 && missing.allSatisfy { $0.hasPrefix("the role carillon_") }, "\(missing)")
            #expect(try await migrator.status().allSatisfy { $0.state == .applied })
            // What docs/security.md has an admin run.
            try await root.execute(
                script: """
                    CREATE ROLE carillon_owner NOLOGIN; CREATE ROLE carillon_app NOLOGIN;
                    CREATE ROLE carillon_reader NOLOGIN;
                    GRANT carillon_owner TO migrator; GRANT carillon_app TO service
                    """)
            #expect(try await migrator.lines(of: Schema.grantRoles) == [])
            let service = try PostgresConnection(
                PostgresConfiguration(url.replacing("migrator@", with: "service@")))
            try await service.execute(script: "INSERT INTO scheduler.locks VALUES ('x', 1)")
            #expect(try await PartitionTable.ensure(now: Instant(milliseconds: 0), days: 0...0, on: service) == 1)
            // Back and forth, as its member.
            _ = try await migrator.down(to: 17)
            let error = await #expect(throws: PostgresError.self) {
                try await service.execute(script: "DELETE FROM scheduler.locks")
            }
            #expect(error?.code == .insufficientPrivilege)
            _ = try await migrator.up()
            try await service.execute(script: "DELETE FROM scheduler.locks")
            for connection in [service, root] { await connection.close() }
            await server.remove()
        }
    }
}
