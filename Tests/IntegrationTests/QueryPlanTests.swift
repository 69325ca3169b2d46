import JSONText
import LocalServers
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerEngine
import ServiceFixture
import Testing

@testable import SchedulerStore

extension Integration {
    /// Statements that must stay quick however much there is, on tables that are large enough to tell.
    @Suite("Query plans", .serialized, .timeLimit(.minutes(2))) struct QueryPlanTests {
        /// Schedules of a namespace: copies of one that the service's own code wrote.
        static func multiply(
            _ namespace: String, count: Int, name: String, state: String, on fixture: ServiceFixture
        ) async throws {
            let own = ["id", "namespace", "name", "state", "ended_at"]
            let others = ScheduleTable.columns.filter { !own.contains($0) }.joined(separator: ", ")
            try await fixture.database.execute(
                script: """
                    SET statement_timeout = '60s';
                    INSERT INTO scheduler.schedules (id, namespace, name, state, ended_at, \(others))
                    SELECT gen_random_uuid(), '\(namespace)', \(name), '\(state)', NULL, \(others)
                    FROM scheduler.schedules s, generate_series(1, \(count)) n WHERE s.name = 'model'
                    """, deadline: .now + .seconds(60))
        }

        static func model(on fixture: ServiceFixture) async throws {
            var definition = ScheduleDefinition(
                name: try ScheduleName("model"), timing: Timing(type: .immediate),
                target: try TargetSubject("demo.js.model"))
            definition.payload = Array("{}".utf8)
            let now = Instant(milliseconds: 1_800_000_000_000)
            var random = SystemRandomNumberGenerator()
            let model = Schedule(
                id: ScheduleID(.version7(at: now, random: &random)), namespace: try Namespace("model"),
                definition: definition, anchor: now, createdAt: now, updatedAt: now)
            _ = try await fixture.database.pipeline([ScheduleTable.insert(model)])
        }

        /// The generic plan of a statement, which is the one that the service ends up with, with what it read.
        func plan(_ statement: Statement, _ arguments: String, on fixture: ServiceFixture) async throws
            -> String
        {
            try await fixture.database.execute(
                script: "SET plan_cache_mode = force_generic_plan; PREPARE \(statement.name) AS \(statement.sql)")
            return try await fixture.rows(
                "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF) EXECUTE \(statement.name) (\(arguments))"
            ).map { $0[0] ?? "" }.joined(separator: "\n")
        }

        /// The pages that a plan's topmost node read.
        func pages(_ plan: String) -> Int {
            let line = plan.split(separator: "\n").first { $0.contains("Buffers: shared") } ?? ""
            return line.split(separator: " ").compactMap { $0.split(separator: "=").last.flatMap { Int($0) } }
                .reduce(0, +)
        }

        @Test("A schedule is found by its id and by its name with a few pages, among 100,000 and 2,000 of its name")
        func finds() async throws {
            let fixture = try await ServiceFixture.start()
            try await Self.model(on: fixture)
            try await Self.multiply("plans", count: 100_000, name: "'n' || n", state: "active", on: fixture)
            try await Self.multiply("plans", count: 2000, name: "'again'", state: "exhausted", on: fixture)
            try await Self.multiply("plans", count: 1, name: "'again'", state: "active", on: fixture)
            try await Self.multiply("plans", count: 2000, name: "'over'", state: "exhausted", on: fixture)
            try await fixture.database.execute(
                script: "ANALYZE scheduler.schedules", deadline: .now + .seconds(60))
            let id = try #require(
                try await fixture.rows("SELECT id::text FROM scheduler.schedules WHERE name = 'n77'")[0][0])
            let byName = ScheduleTable.findByNameStatement
            for (statement, arguments, index) in [
                (ScheduleTable.findByIDStatement, "'plans', '\(id)'", "schedules_"),
                (byName, "'plans', 'n77'", "schedules_called"), (byName, "'plans', 'again'", "schedules_called"),
                (byName, "'plans', 'over'", "schedules_called"), (byName, "'plans', 'none'", "schedules_called"),
            ] {
                let plan = try await plan(statement, arguments, on: fixture)
                #expect(plan.contains("using \(index)"), "\(plan)")
                #expect(!plan.contains("Sort") && !plan.contains("Seq Scan"), "\(plan)")
                #expect(pages(plan) <= 10, "\(plan)")
                try await fixture.database.execute(script: "DEALLOCATE \(statement.name)")
            }
            let zero = "00000000-0000-0000-0000-000000000000"
            let stretch = try await plan(
                RevocationTable.pageStatement, "'demo.js.', 'demo.js.~', 'demo.js.a', '\(zero)', 200", on: fixture)
            #expect(stretch.contains("using schedules_target") && !stretch.contains("Sort"), "\(stretch)")
            #expect(pages(stretch) <= 250, "\(stretch)")
            let namespace = try Namespace("plans")
            let again = try await ScheduleTable.find(
                .name(try ScheduleName("again")), in: namespace, on: fixture.database)
            #expect(again?.state == .active)
            let over = try await ScheduleTable.find(
                .name(try ScheduleName("over")), in: namespace, on: fixture.database)
            let latest = try await fixture.rows(
                "SELECT id::text FROM scheduler.schedules WHERE name = 'over' ORDER BY id DESC LIMIT 1")
            #expect(over?.id.description == latest[0][0])
            await fixture.stop()
        }

        /// A crowd's 200,000 executions of today stand before ten that two others have.
        private func ledger(on fixture: ServiceFixture) async throws {
            try await Self.model(on: fixture)
            try await Self.multiply("crowd", count: 1, name: "'crowd'", state: "active", on: fixture)
            try await Self.multiply("quiet", count: 2, name: "'quiet' || n", state: "active", on: fixture)
            let many = ExecutionList.fewSchedules + 10
            try await Self.multiply("many", count: many, name: "'many' || n", state: "active", on: fixture)
            let day = Instant(milliseconds: 1_800_000_000_000)
            _ = try await PartitionTable.ensure(now: day, on: fixture.database)
            for (names, count, from) in [
                ("s.name = 'crowd'", 200_000, 1_800_000_100_000), ("s.name LIKE 'quiet_'", 5, 1_800_000_000_000),
                ("s.name LIKE 'many7'", 5, 1_800_000_000_000),
            ] {
                try await fixture.database.execute(
                    script: """
                        INSERT INTO scheduler.executions (id, schedule_id, scheduled_for, due_at, claimed_at, finished_at,
                            fence, schedule_version, missed_count, attempt, generation, state, origin, trigger)
                        SELECT (lpad(to_hex(\(from) + n), 12, '0') || substr(md5(random()::text), 1, 20))::uuid,
                            s.id, now(), now(), now(), now(), 1, 1, 0, 1, 1,
                            CASE WHEN n % 2 = 0 THEN 'delivered' ELSE 'skipped' END, 'time', 'cron'
                        FROM scheduler.schedules s, generate_series(1, \(count)) n WHERE \(names)
                        """, deadline: .now + .seconds(60))
            }
            try await fixture.database.execute(
                script: "ANALYZE scheduler.schedules; ANALYZE scheduler.executions", deadline: .now + .seconds(60))
        }

        private func all(
            _ namespace: String, _ filter: ExecutionList.Filter, stretch: Int, on fixture: ServiceFixture
        ) async throws -> (ids: [String], pages: Int) {
            var filter = filter
            var ids: [String] = []
            var pages = 0
            repeat {
                let page = try await ExecutionList.page(
                    filter, in: Namespace(namespace), stretch: stretch, on: fixture.database)
                ids += page.rows.map(\.execution.id.description)
                pages += 1
                filter.before = page.next
            } while filter.before != nil
            return (ids, pages)
        }

        @Test("A list looks at a bounded stretch of the ledger a page, and misses nothing")
        func lists() async throws {
            let fixture = try await ServiceFixture.start()
            try await ledger(on: fixture)
            var filter = ExecutionList.Filter()
            filter.limit = 3
            for (namespace, state, stretch, pages) in [
                // Few schedules: looked up one by one behind the crowd, so that no page is short.
                ("quiet", nil, 20_000, 4), ("quiet", .delivered, 20_000, 2), ("quiet", .delivered, 3, 2),
                // Many: ten stretches of the crowd's, then their own.
                ("many", nil, 20_000, 12), ("many", ExecutionState.skipped, 20_000, 12),
            ] as [(String, ExecutionState?, Int, Int)] {
                filter.state = state
                let found = try await all(namespace, filter, stretch: stretch, on: fixture)
                let expected = try await fixture.rows(
                    """
                    SELECT e.id::text FROM scheduler.executions e JOIN scheduler.schedules s ON s.id = e.schedule_id
                    WHERE s.namespace = '\(namespace)' \(state.map { "AND e.state = '\($0.rawValue)'" } ?? "") ORDER BY 1 DESC
                    """
                ).map { $0[0] ?? "" }
                #expect(found.ids == expected && !expected.isEmpty)
                #expect(
                    found.pages == pages, "\(namespace) \(state.map(\.rawValue) ?? "any"), \(stretch): \(found.pages)")
            }
            // One schedule's list is bounded as well where a state is asked for that none has.
            let crowd = try await fixture.rows("SELECT id::text FROM scheduler.schedules WHERE name = 'crowd'")[0][0]
            filter.schedule = ScheduleID(text: try #require(crowd))
            filter.state = .dead
            let none = try await all("crowd", filter, stretch: 50_000, on: fixture)
            #expect(none.ids.isEmpty && none.pages == 5)
            await fixture.stop()
        }

        @Test("The statements of lists read no more than they look at")
        func listPlans() async throws {
            let fixture = try await ServiceFixture.start()
            try await ledger(on: fixture)
            for (name, value) in SessionConnections.listSettings {
                try await fixture.database.execute(script: "SET \(name) = \(value)")
            }
            let (top, zero) = ("'ffffffff-ffff-ffff-ffff-ffffffffffff'", "00000000-0000-0000-0000-000000000000")
            var ids: [String] = []
            for name in ["quiet1", "crowd", "many1"] {
                let id = try await fixture.rows("SELECT id::text FROM scheduler.schedules WHERE name = '\(name)'")[0][0]
                ids.append(try #require(id))
            }
            let (quiet, crowd, idle) = (ids[0], ids[1], ids[2])
            for (statement, arguments, most) in [
                (ExecutionList.floorStatement, "\(top), 19999", 20_500),
                // Full after a hundred rows, each with its schedule.
                (ExecutionList.walkStatement, "'crowd', '\(zero)', \(top), NULL, 100", 1000),
                (ExecutionList.lookUpStatement, "'quiet', \(top), NULL, 100", 500),
                (ExecutionList.ofScheduleStatement, "'quiet', '\(quiet)', '\(zero)', \(top), NULL, 100", 200),
                (ExecutionList.ofScheduleStatement, "'crowd', '\(crowd)', '\(zero)', \(top), NULL, 100", 300),
                (ExecutionList.scheduleFloorStatement, "\(top), '\(quiet)', 19999", 200),
                (ScheduleTable.lastFireStatement, "'{\(quiet),\(idle)}'", 200),
                (LedgerTable.rowsStatement, "'\(quiet)', '\(zero)', \(top), 500", 200),
                (LedgerTable.laterStatement, "'\(quiet)', '\(zero)', 3", 200),
                (ExecutionStatistics.Asker.ofSchedule.bySchedule, "'\(zero)', \(top), 'quiet', '\(quiet)', NULL", 200),
                (ExecutionStatistics.Asker.ofSchedule.bySchedule, "'\(zero)', \(top), 'quiet', '\(quiet)', 60", 200),
                (ExecutionStatistics.Asker.ofNamespace.countBySchedule, "'\(zero)', \(top), 'many', 1001", 15_000),
                (ExecutionStatistics.Asker.ofNamespace.countBySchedule, "'\(zero)', \(top), 'crowd', 1001", 1100),
                (ExecutionStatistics.countByKey, "'\(zero)', \(top), 1001", 1100),
            ] {
                let plan = try await plan(statement, arguments, on: fixture)
                #expect(pages(plan) <= most, "\(plan)")
                print("\(statement.name): \(pages(plan)) pages")
                try await fixture.database.execute(script: "DEALLOCATE \(statement.name)")
            }
            try await statistics(on: fixture)
            await fixture.stop()
        }

        @Test("However many lists hang, other commands do not wait for them, and each list has its answer")
        func listsStarveNobody() async throws {
            let fixture = try await SharedSystem.running.fixture
            let reader = try PostgresConnection(PostgresConfiguration(await fixture.postgres.url(database: "carillon")))
            try await reader.execute(script: "SET idle_in_transaction_session_timeout = 0")
            try await reader.transaction(deadline: .now + .seconds(60)) { transaction in
                // Lists look at all days; a creation at none.
                try await transaction.execute(
                    script: "LOCK TABLE scheduler.executions_default IN ACCESS EXCLUSIVE MODE")
                try await withThrowingTaskGroup(of: Int64?.self) { tasks in
                    for _ in 0..<40 {
                        tasks.addTask {
                            try await fixture.command(
                                "execution.list", "{}", namespace: "lists", timeout: .seconds(15))["error"]?[
                                    "err_code"]?
                                .int64
                        }
                    }
                    // The first are refused for want of room: then the others are at it.
                    #expect(try await tasks.next() == 50505)
                    let begun = ContinuousClock.now
                    _ = try await fixture.done(
                        "schedule.create",
                        #"{"schedule_type":"interval","interval_seconds":3600,"target_command":"demo.js.c"}"#,
                        in: "lists")
                    let wait = ContinuousClock.now - begun
                    #expect(wait < .seconds(1), "a creation waited \(wait)")
                    while let code = try await tasks.next() { #expect(code == 50505 || code == 50504) }
                }
            }
        }
    }
}
