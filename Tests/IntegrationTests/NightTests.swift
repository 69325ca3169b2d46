import Glibc
import JSONText
import LocalServers
import NATSClient
import PostgresClient
import Recurrence
import ServiceFixture
import Testing

extension Integration {
    /// The nights in which the clocks are moved, lived through by the real engine on real servers, 600 times as quick.
    @Suite("A night in which the clocks are moved", .serialized, .timeLimit(.minutes(4))) struct NightTests {
        /// In both, Vienna and London move by an hour at 01:00 UTC, and Troll by two.
        private static let nights = [
            (name: "repeat", from: "2026-10-24T23:20:00Z", to: "2026-10-25T03:10:00Z", removing: 0),
            // Of the schedules below, those with times in the gap that nothing stands for: 10 in Vienna, 10 in London and
            // 12 in Troll.
            (name: "gap", from: "2027-03-27T23:20:00Z", to: "2027-03-28T03:10:00Z", removing: 32),
        ]
        private static let zones = ["Europe/Vienna", "Europe/London", "Antarctica/Troll"]
        private static let expressions = [
            "30 2 * * *", "30 1 * * *", "*/20 * * * *", "15,45 1-3 * * *", "0 * * * *",
        ]

        @Test("What fires is what the preview said, to the message", arguments: nights.indices)
        func night(_ index: Int) async throws {
            let night = Self.nights[index]
            let from = try #require(Instant(rfc3339: night.from))
            let to = try #require(Instant(rfc3339: night.to))
            let fixture = try await ServiceFixture.start()
            let scale = try await QuickClock(shows: from, times: 600).setUp(on: fixture)
            let fired = try FiredMessages("demo.night.>", on: fixture.client)
            let instance = try await fixture.startInstance(environment: ["CARILLON_CLOCK_SCALE": scale])

            var promised: [String: [String]] = [:]
            for zone in Self.zones {
                for policy in DSTPolicy.allCases {
                    for expression in Self.expressions {
                        let name = "n\(promised.count)"
                        promised["demo.night.\(name)"] = try await promise(
                            name, expression, zone, policy.rawValue, until: to, on: fixture)
                    }
                }
            }
            let expected = promised.values.reduce(0) { $0 + $1.count }
            #expect(expected > 100)
            #expect(await fixture.waits(.seconds(90), until: "SELECT (clock_timestamp() > '\(night.to)')::int", is: 1))
            #expect(
                await fixture.waits(
                    until: "SELECT count(*) FROM scheduler.executions WHERE scheduled_for <= '\(night.to)'",
                    is: Int64(expected)))

            var seen: [String: [String]] = [:]
            for arrival in fired.all where Instant(rfc3339: arrival.scheduledFor).map({ $0 <= to }) == true {
                seen[arrival.subject, default: []].append(arrival.scheduledFor)
            }
            for (subject, instants) in promised {
                #expect(seen[subject, default: []].sorted() == instants, "\(night.name) \(subject)")
            }
            try await checkRemovals(night.removing, on: fixture)
            #expect(await instance.stop())
            await fixture.stop()
        }

        /// One event for each schedule of which the night's gap removed times.
        private func checkRemovals(_ expected: Int, on fixture: ServiceFixture) async throws {
            #expect(await fixture.waits(until: "SELECT count(*) FROM scheduler.outbox", is: 0))
            let told = try await fixture.messages(of: "SCHEDULER_EVENTS").map(\.subject)
                .filter { $0.contains(".schedule.times_removed.") }
            #expect(told.count == expected && Set(told).count == expected)
            let reasons = try await fixture.rows(
                "SELECT DISTINCT reason FROM scheduler.audit_log WHERE action = 'times_removed'")
            for reason in reasons { #expect(reason[0]?.hasSuffix(" at 2027-03-28T01:00:00.000000Z") == true) }
        }

        /// Creates a schedule. - Returns: what its preview says up to an instant.
        private func promise(
            _ name: String, _ expression: String, _ zone: String, _ policy: String, until end: Instant,
            on fixture: ServiceFixture
        ) async throws -> [String] {
            let schedule = try await fixture.done(
                "schedule.create",
                """
                {"name":"\(name)","schedule_type":"cron","cron_expression":"\(expression)","timezone":"\(zone)",\
                "dst_policy":"\(policy)","target_command":"demo.night.\(name)","delivery":"core",\
                "misfire_policy":"fire_all","misfire_grace_seconds":3600}
                """)
            let created = try #require(schedule["schedule"]?["created_at"]?.string)
            return try await fixture.done("schedule.preview", #"{"name":"\#(name)","from":"\#(created)","count":40}"#)
                .items("fires").compactMap { $0["at"]?.string }
                .filter { Instant(rfc3339: $0).map { $0 <= end } == true }
        }
    }
}

/// PostgreSQL's clock and the service's, set to another day and made quicker.
private struct QuickClock {
    let shows: Instant
    let times: Int

    /// - Returns: the service's setting.
    func setUp(on fixture: ServiceFixture) async throws -> String {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        let wall = Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
        let shown = shows.milliseconds * 1000
        try await fixture.database.execute(
            script: """
                SET allow_system_table_mods = on;
                ALTER FUNCTION pg_catalog.clock_timestamp() RENAME TO true_clock_timestamp;
                CREATE FUNCTION pg_catalog.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
                    SELECT timestamptz 'epoch' + interval '1 microsecond' * \(shown)
                        + (true_clock_timestamp() - timestamptz 'epoch' - interval '1 microsecond' * \(wall)) * \(times)
                $$;
                RESET allow_system_table_mods
                """)
        return "\(wall),\(shown),\(times)"
    }
}
