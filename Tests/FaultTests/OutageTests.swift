import JSONText
import LocalServers
import PostgresClient
import Recurrence
import ServiceFixture
import TestSupport
import Testing

/// The service was down, and many schedules come back with much to catch up on (semantics.md §3).
@Suite(.serialized) struct OutageTests {
    static let schedules = TestForm.isLong ? 2000 : 150
    static let waiting = 100
    /// Schedules whose grace is so short that most of what waits is misfired.
    static let impatient = 5
    static let onTime = 20

    private func definition(_ name: String, _ rest: String) -> String {
        #"{"name":"\#(name)","schedule_type":"interval","interval_seconds":1,"misfire_policy":"fire_all",\#(rest)}"#
    }

    @Test(.timeLimit(.minutes(10))) func aHerdComesBackInBoundedClaims() async throws {
        let fixture = try await ServiceFixture.start()
        try await fixture.makeStream()
        let first = try await fixture.startInstance("first")
        for index in 0..<(Self.schedules + Self.impatient) {
            let grace = index < Self.impatient ? #","misfire_grace_seconds":10"# : ""
            let body = definition(
                "s\(index)", #""target_command":"demo.js.herd","start_at":"2026-12-24T12:00:00Z"\#(grace)"#)
            #expect(try await fixture.command("schedule.create", body, namespace: "herd")["error"] == nil)
        }
        #expect(await first.stop())
        // Each was due once a second until a moment ago; none was claimed.
        try await fixture.database.execute(
            script: """
                UPDATE scheduler.schedules SET start_at = date_trunc('second', now()) - interval '\(Self.waiting - 1) s',
                    end_at = date_trunc('second', now()) WHERE namespace = 'herd';
                UPDATE scheduler.timers t SET next_fire_at = s.start_at FROM scheduler.schedules s
                WHERE s.id = t.schedule_id AND s.namespace = 'herd'
                """)
        let fired = try FiredMessages("demo.core.now", on: fixture.client)
        let second = try await fixture.startInstance("second")
        for index in 0..<Self.onTime {
            let body = definition("n\(index)", #""target_command":"demo.core.now","delivery":"core""#)
            #expect(try await fixture.command("schedule.create", body, namespace: "now")["error"] == nil)
        }
        let total = Int64((Self.schedules + Self.impatient) * Self.waiting)
        var (largest, most): (Int64, Int64) = (0, 0)
        let isOver = await waitUntil(.seconds(TestForm.isLong ? 500 : 90)) {
            let claim = "SELECT coalesce(max(cardinality(executions)), 0)::bigint FROM scheduler.claims"
            largest = max(largest, (try? await fixture.count(claim)) ?? 0)
            let open = "SELECT count(*) FROM scheduler.executions WHERE state = 'claimed'"
            most = max(most, (try? await fixture.count(open)) ?? 0)
            return (try? await fixture.count(Self.ended)) == total
        }
        let ended = try await fixture.count(Self.ended)
        #expect(isOver, "\(ended) of \(total) ended")
        // Two batches of a thousand, and no more than that and what waits for its rate in memory at once.
        #expect(largest > 0 && largest <= 2000)
        #expect(most < 12_000)
        let rows = try await fixture.rows(
            """
            SELECT s.state, e.state, count(*)::text, count(DISTINCT (e.schedule_id, e.scheduled_for))::text
            FROM scheduler.executions e JOIN scheduler.schedules s ON s.id = e.schedule_id
            WHERE s.namespace = 'herd' GROUP BY 1, 2
            """)
        #expect(rows == [["exhausted", "delivered", "\(total)", "\(total)"]])
        #expect(try await fixture.everyMessage(of: "DEMO").count == total)
        let late = fired.all.compactMap { arrival in
            Instant(rfc3339: arrival.scheduledFor).map { arrival.at / 1000 - $0.milliseconds }
        }.sorted()
        let (usual, worst) = (late.isEmpty ? -1 : late[late.count * 9 / 10], late.last ?? -1)
        #expect(late.count > Self.onTime && usual >= 0 && usual < 250)
        print(
            "\(total) come back: claims of \(largest) at most, \(most) open at most;",
            "\(late.count) on time: 9 of 10 within \(usual) ms, all within \(worst) ms")
        fired.cancel()
        #expect(await second.stop())
        await fixture.stop()
    }

    private static let ended = """
        SELECT coalesce(sum(e.range_count), 0)::bigint FROM scheduler.executions e
        JOIN scheduler.schedules s ON s.id = e.schedule_id
        WHERE s.namespace = 'herd' AND e.state <> 'claimed'
        """
}
