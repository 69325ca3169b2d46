import LocalServers
import PostgresClient
import Recurrence
import SchedulerStore
import ServiceFixture
import Synchronization
import Testing

extension Integration {
    @Suite("Retention", .serialized, .timeLimit(.minutes(2))) struct RetentionTests {
        private static let day: Int64 = 86_400_000
        private static let now = Instant(rfc3339: "2026-11-21T12:00:00Z") ?? .earliest

        /// What changes the ledger's partitions while somebody else holds one of its tables.
        enum Upkeep: String, CaseIterable {
            case drop, make

            /// - Returns: whether it was put off.
            func run(on connection: PostgresConnection) async throws -> Bool {
                switch self {
                case .drop:
                    return try await PartitionTable.drop(before: RetentionTests.now, on: connection).isPostponed
                case .make:
                    do {
                        let later = RetentionTests.now.adding(milliseconds: 100 * RetentionTests.day)
                        _ = try await PartitionTable.ensure(now: later, days: 0...0, on: connection)
                        return false
                    } catch let error as PostgresError where error.code == .lockTimeout {
                        return true
                    }
                }
            }
        }

        @Test(
            "What holds the ledger's tables puts upkeep off; a claim waits no longer than 100 ms for it",
            arguments: [
                (Upkeep.drop, "executions"), (.drop, "executions_20261001"), (.drop, "executions_default"),
                (.make, "executions_default"),
            ])
        func waits(upkeep: Upkeep, table: String) async throws {
            let fixture = try await ServiceFixture.start()
            _ = try await PartitionTable.ensure(now: Self.now, on: fixture.database)
            let old = try #require(Instant(rfc3339: "2026-10-01T00:00:00Z"))
            _ = try await PartitionTable.ensure(now: old, days: 0...0, on: fixture.database)
            let configuration = try PostgresConfiguration(await fixture.postgres.url(database: "carillon"))
            let reader = try PostgresConnection(configuration)
            let claimant = try PostgresConnection(configuration)
            let end = End()
            try await reader.transaction { transaction in
                // As a dump does, and every query that reads.
                try await transaction.execute(script: "LOCK TABLE ONLY scheduler.\(table) IN ACCESS SHARE MODE")
                async let longest = Self.longestClaim(on: claimant, until: end)
                for _ in 0..<5 { #expect(try await upkeep.run(on: fixture.database)) }
                end.hasCome.store(true, ordering: .relaxed)
                let wait = try await longest
                // Far below the second that a drop would wait without its own limit, and PostgreSQL's deadlock check.
                #expect(wait < .milliseconds(350), "a claim waited \(wait)")
                print("\(upkeep) while \(table) is read: a claim waited \(wait) at most")
            }
            #expect(try await upkeep.run(on: fixture.database) == false)
            #expect(try await !PartitionTable.days(on: fixture.database).contains("20261001") || upkeep == .make)
            await fixture.stop()
        }

        private final class End: Sendable {
            let hasCome = Atomic<Bool>(false)
        }

        /// Claims one occurrence after the other, looking at all days as a record does, until told to stop.
        private static func longestClaim(
            on connection: PostgresConnection, until end: End
        ) async throws -> Duration {
            let claim = Statement(
                "claim",
                """
                INSERT INTO scheduler.executions (id, schedule_id, claimed_by, scheduled_for, due_at, claimed_at, fence,
                    schedule_version, missed_count, attempt, generation, state, origin, trigger)
                SELECT (lpad(to_hex(floor(extract(epoch FROM $1::timestamptz) * 1000)::bigint), 12, '0')
                    || substr(md5(random()::text), 1, 20))::uuid, gen_random_uuid(), gen_random_uuid(), $1, $1, $1,
                    1, 1, 0, 1, 1, 'claimed', 'time', 'cron'
                """)
            let record = Statement(
                "record", "SELECT count(*) FROM scheduler.executions WHERE schedule_id = gen_random_uuid()")
            var longest = Duration.zero
            while !end.hasCome.load(ordering: .relaxed) {
                let begun = ContinuousClock.now
                _ = try await connection.pipeline([claim(.timestamptz(now.milliseconds * 1000)), record()])
                longest = max(longest, .now - begun)
            }
            return longest
        }

        @Test("Old rows go in pages, oldest first; what is owed stays")
        func pages() async throws {
            let fixture = try await ServiceFixture.start()
            try await fixture.database.execute(
                script: """
                    INSERT INTO scheduler.requests (at, namespace, request_id, body_sha256, reply)
                    SELECT '2026-01-01'::timestamptz + n * interval '1 second', 'a', n::text, '', '' FROM generate_series(1, 25) n;
                    INSERT INTO scheduler.audit_log (at, fence, namespace, action)
                    SELECT '2026-01-01'::timestamptz + n * interval '1 second', 1, 'a', 'created' FROM generate_series(1, 25) n;
                    INSERT INTO scheduler.outbox (audit_id, at) SELECT max(id), now() FROM scheduler.audit_log;
                    INSERT INTO scheduler.instances (id, started_at, fenced_at, name)
                    SELECT gen_random_uuid(), '2026-01-01', '2026-01-01', 'x' FROM generate_series(1, 25) n;
                    INSERT INTO scheduler.executions_default (id, schedule_id, scheduled_for, due_at, claimed_at, finished_at,
                        fence, schedule_version, missed_count, attempt, generation, state, origin, trigger)
                    SELECT ('00000000-0000-8000-8000-' || lpad(n::text, 12, '0'))::uuid, gen_random_uuid(), '1970-01-01',
                        '1970-01-01', now(), now(), 1, 1, 0, 1, 1, 'skipped', 'time', 'cron' FROM generate_series(1, 25) n;
                    INSERT INTO scheduler.claims (id, instance, claimed_at, oldest, executions) VALUES
                        (gen_random_uuid(), gen_random_uuid(), now(), '00000000-0000-8000-8000-000000000021', '{}')
                    """)
            let database = fixture.database
            #expect(try await AuditChainTable.seal(at: Self.now, on: database)?.count == 25)
            let steps: [(deleted: [Int], page: () async throws -> Int)] = [
                ([10, 10, 5, 0], { try await RequestTable.forget(before: Self.now, page: 10, on: database) }),
                ([10, 10, 4, 0], { try await AuditChainTable.forget(before: Self.now, page: 10, on: database) }),
                ([10, 10, 5, 0], { try await InstanceTable.forgetFenced(before: Self.now, page: 10, on: database) }),
                ([10, 10, 0], { try await PartitionTable.clearDefault(before: Self.now, page: 10, on: database) }),
            ]
            for (index, step) in steps.enumerated() {
                var deleted: [Int] = []
                repeat { deleted.append(try await step.page()) } while deleted.last != 0
                #expect(deleted == step.deleted, "step \(index)")
            }
            #expect(try await fixture.rows("SELECT action FROM scheduler.audit_log") == [["created"]])
            await fixture.stop()
        }

        @Test("A step that fails starves no other, and what a lock put off is tried again")
        func onesFaultIsNotTheNexts() async throws {
            let fixture = try await ServiceFixture.start()
            let old = try #require(Instant(rfc3339: "2020-01-01T00:00:00Z"))
            _ = try await PartitionTable.ensure(now: old, days: 0...0, on: fixture.database)
            try await fixture.database.execute(
                script: """
                    INSERT INTO scheduler.requests (at, namespace, request_id, body_sha256, reply) VALUES ('2020-01-01', 'a', 'r', '', '');
                    INSERT INTO scheduler.audit_log (at, fence, namespace, action) VALUES ('2020-01-01', 1, 'a', 'created');
                    CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
                    CREATE TRIGGER refuse BEFORE DELETE ON scheduler.requests FOR EACH ROW EXECUTE FUNCTION public.refuse()
                    """)
            let reader = try PostgresConnection(PostgresConfiguration(await fixture.postgres.url(database: "carillon")))
            let instance = try await fixture.startInstance()
            try await reader.execute(script: "SET idle_in_transaction_session_timeout = 0")
            try await reader.transaction(deadline: .now + .seconds(60)) { transaction in
                try await transaction.execute(script: "LOCK TABLE scheduler.executions_20200101 IN ACCESS SHARE MODE")
                #expect(
                    await fixture.waits(.seconds(30), until: "SELECT count(*) FROM scheduler.audit_log", is: 0))
            }
            #expect(try await fixture.count("SELECT count(*) FROM scheduler.requests") == 1)
            #expect(try await PartitionTable.days(on: fixture.database).first == "20200101")
            try await fixture.database.execute(script: "DROP TRIGGER refuse ON scheduler.requests")
            #expect(await fixture.waits(.seconds(40), until: "SELECT count(*) FROM scheduler.requests", is: 0))
            #expect(try await PartitionTable.days(on: fixture.database).first != "20200101")
            #expect(await instance.stop())
            await fixture.stop()
        }
    }
}
