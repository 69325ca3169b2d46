import LocalServers
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerEngine
import ServiceFixture
import Testing

@testable import SchedulerStore

extension Integration {
    /// Lists of schedules must cost the same at any page, on a table that is large enough to tell.
    @Suite("Plans of lists", .serialized, .timeLimit(.minutes(2))) struct ListPlanTests {
        private static let count = 30_000

        /// Three in four are one namespace's, created one after another, due in one of 1,000 hours.
        private func fill(_ fixture: ServiceFixture) async throws {
            try await QueryPlanTests.model(on: fixture)
            let own = ["id", "namespace", "name", "tags"]
            let others = ScheduleTable.columns.filter { !own.contains($0) }.joined(separator: ", ")
            try await fixture.database.execute(
                script: """
                    SET statement_timeout = '60s';
                    INSERT INTO scheduler.schedules (id, namespace, name, tags, \(others))
                    SELECT (lpad(to_hex(1700000000000 + n), 12, '0') || '7000' || substr(md5(n::text), 1, 16))::uuid,
                        CASE WHEN n % 4 = 0 THEN 'small' ELSE 'large' END, 'n' || md5(n::text),
                        CASE WHEN n = \(Self.count) - 1 THEN '{rare}'::text[] ELSE '{}' END, \(others)
                    FROM scheduler.schedules s, generate_series(1, \(Self.count)) n WHERE s.name = 'model';
                    INSERT INTO scheduler.timers (schedule_id, next_fire_at, fire_seq, run_count, version, generation,
                        partition, priority)
                    SELECT id, '2027-01-01'::timestamptz + interval '1 hour' * (('x' || substr(md5(id::text), 1, 6))::bit(24)::int % 1000),
                        1, 0, 1, 1, 0, 5 FROM scheduler.schedules WHERE name <> 'model';
                    ANALYZE scheduler.schedules; ANALYZE scheduler.timers;
                    """, deadline: .now + .seconds(60))
        }

        /// How many pages of the database a page of the list reads that lies between these keys.
        private func pages(_ sort: ScheduleSort, between keys: String, on fixture: ServiceFixture) async throws -> Int {
            let statement = ScheduleTable.pageStatement(sort)
            try await fixture.database.execute(
                script: "SET plan_cache_mode = force_generic_plan; PREPARE page AS \(statement.sql)")
            let plan = try await fixture.rows(
                """
                EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF)
                EXECUTE page ('large', \(keys), NULL, NULL, NULL, NULL, NULL, NULL, NULL, 100)
                """
            ).map { $0[0] ?? "" }.joined(separator: "\n")
            try await fixture.database.execute(script: "DEALLOCATE page")
            #expect(!plan.contains("Seq Scan"), "\(plan)")
            return pagesRead(plan)
        }

        private func pagesRead(_ plan: String) -> Int {
            let line = plan.split(separator: "\n").first { $0.contains("Buffers: shared") } ?? ""
            return line.split(separator: " ").compactMap { $0.split(separator: "=").last.flatMap { Int($0) } }
                .reduce(0, +)
        }

        @Test("A page costs the same at the beginning, in the middle and at the end, by each order")
        func costs() async throws {
            let fixture = try await ServiceFixture.start()
            try await fill(fixture)
            // Asked twice a second by each instance: nearly nothing where no pause has an end.
            try await fixture.database.execute(script: "PREPARE ended AS \(PauseTable.endedStatement.sql)")
            let ended = try await fixture.rows(
                """
                EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF)
                EXECUTE ended (now(), '2000-01-01', '00000000-0000-0000-0000-000000000000', 100)
                """
            ).map { $0[0] ?? "" }.joined(separator: "\n")
            #expect(ended.contains("schedules_paused_until") && pagesRead(ended) <= 8, "\(ended)")
            for (name, value) in SessionConnections.listSettings {
                try await fixture.database.execute(script: "SET \(name) = \(value)")
            }
            let (zero, top) = ("'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'")
            func id(_ n: Int) -> String {
                "(lpad(to_hex(1700000000000 + \(n)), 12, '0') || '70000000000000000000')::uuid"
            }
            var cases: [(ScheduleSort, String)] = []
            for n in [0, Self.count / 2, Self.count - 200] {
                cases.append((.createdAt, "\(id(n)), \(top)"))
                cases.append((.createdAtDescending, "\(zero), \(id(n + 199))"))
            }
            for start in ["n", "n8", "nfd"] {
                cases.append((.name, "\(zero), \(top), '\(start)', '~'"))
                cases.append((.nameDescending, "\(zero), \(top), 'n', '\(start)8'"))
            }
            for start in ["2027-01-01", "2027-01-21", "2027-02-10"] {
                cases.append((.nextFireAt, "\(zero), \(top), '\(start)', '9999-01-01'"))
                cases.append((.nextFireAtDescending, "\(zero), \(top), '2000-01-01', '\(start) 20:00'"))
            }
            for (sort, keys) in cases {
                let read = try await pages(sort, between: keys, on: fixture)
                print("list by \(sort.rawValue) between \(keys.suffix(60)): \(read) pages")
                // A hundred rows and their index entries; by next fire each has a timer, and one in four is another's.
                #expect(read <= (sort.field == .nextFireAt ? 1500 : 500), "\(sort) between \(keys)")
            }
            try await looksAtAStretch(fixture)
            await fixture.stop()
        }

        /// What nothing matches is looked for in stretches, and what one matches is found.
        private func looksAtAStretch(_ fixture: ServiceFixture) async throws {
            for sort in ScheduleSort.allCases {
                var filter = ScheduleFilter()
                filter.sort = sort
                filter.tags = ["rare"]
                var (found, pages) = (0, 0)
                repeat {
                    let page = try await ScheduleTable.page(
                        filter, in: Namespace("large"), stretch: 5000, on: fixture.database)
                    found += page.schedules.count
                    pages += 1
                    filter.after = page.next
                } while filter.after != nil && pages < 20
                // 22,500 of the namespace; by next fire, 30,000 timers of all.
                #expect(found == 1 && pages == (sort.field == .nextFireAt ? 7 : 5), "\(sort): \(found), \(pages)")
            }
        }
    }
}
