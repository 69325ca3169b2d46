import JSONText
import LocalServers
import ServiceFixture
import Testing

extension Integration {
    /// Pauses that end by themselves.
    @Suite("Pause until", .serialized, .timeLimit(.minutes(1))) struct PauseUntilTests {
        private static let far = #""schedule_type":"interval","interval_seconds":3600,"target_command":"demo.js.u""#

        /// An RFC 3339 instant so many seconds from PostgreSQL's now.
        private func instant(in seconds: Double, on fixture: ServiceFixture) async throws -> String {
            let rows = try await fixture.rows(
                """
                SELECT to_char((clock_timestamp() + interval '1 second' * \(seconds)) AT TIME ZONE 'UTC',
                    'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
                """)
            return try #require(rows[0][0])
        }

        @Test("It goes on at its end by itself, once; what passed is skipped, and what came after fires")
        func endsByItself() async throws {
            let fixture = try await TwoInstances.running.fixture
            let created = try await fixture.done(
                "schedule.create",
                #"{"name":"n","schedule_type":"interval","interval_seconds":0.4,"target_command":"demo.js.u"}"#,
                in: "until")
            let until = try await instant(in: 1.5, on: fixture)
            let paused = try await fixture.done(
                "schedule.pause", #"{"name":"n","until":"\#(until)","reason":"lunch"}"#, in: "until")
            #expect(paused.schedule["paused_until"]?.string == until.dropLast() + "000Z")
            #expect(
                await fixture.waits(
                    until: "SELECT count(*) FROM scheduler.schedules WHERE id = '\(created.id)' AND state = 'active'",
                    is: 1))
            let shown = try await fixture.done("schedule.get", #"{"name":"n"}"#, in: "until")
            #expect(shown.schedule["paused_until"] == nil && shown.schedule["pause_reason"] == nil)
            #expect(shown.schedule["updated_by"]?.string == "carillon" && shown.schedule["version"]?.int64 == 3)
            // Nothing of the time before the end is left to fire; nothing of the time after it is skipped.
            try await fixture.done("schedule.delete", #"{"name":"n"}"#, in: "until")
            let wrong = """
                SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(created.id)'
                    AND (reason = 'paused') <> (scheduled_for <= '\(until)') AND scheduled_for > (
                        SELECT at FROM scheduler.audit_log WHERE schedule_id = '\(created.id)' AND action = 'paused')
                """
            #expect(try await fixture.count(wrong) == 0)
            let skipped =
                "SELECT sum(range_count)::bigint FROM scheduler.executions WHERE schedule_id = '\(created.id)' AND reason = 'paused'"
            #expect(try await fixture.count(skipped) >= 3)
            let resumed = try await fixture.rows(
                """
                SELECT reason, actor FROM scheduler.audit_log
                WHERE schedule_id = '\(created.id)' AND action = 'resumed'
                """)
            #expect(resumed == [["the pause ended at \(until.dropLast())000Z", "carillon"]])
        }

        @Test("A later pause, a resume and an update do with the end what they say")
        func theEndMoves() async throws {
            let fixture = try await TwoInstances.running.fixture
            try await fixture.done("schedule.create", #"{"name":"m",\#(Self.far)}"#, in: "until")
            func end(_ command: String, _ rest: String = "") async throws -> String? {
                try await fixture.done("schedule.\(command)", #"{"name":"m"\#(rest)}"#, in: "until")
                    .schedule["paused_until"]?.string
            }
            let (one, other) = ("2099-01-01T00:00:00.000000Z", "2099-01-02T00:00:00.000000Z")
            #expect(try await end("pause", #","until":"\#(one)""#) == one)
            #expect(try await end("update", #","priority":1"#) == one)
            #expect(try await end("pause", #","until":"\#(other)""#) == other)
            let same = try await fixture.done("schedule.pause", #"{"name":"m","until":"\#(other)"}"#, in: "until")
            #expect(same.schedule["version"]?.int64 == 4)
            #expect(try await end("pause") == nil)
            #expect(try await end("pause", #","until":"\#(one)""#) == one)
            #expect(try await end("resume") == nil)
            let rehearsed = try await fixture.done(
                "schedule.pause",
                #"{"name":"m","until":"\#(try await instant(in: 86_400, on: fixture))","dry_run":true}"#,
                in: "until")
            #expect(rehearsed["fires"]?["removed"]?.int64 == 24 && rehearsed["fires"]?["after_count"]?.int64 == 144)
            #expect(
                try await fixture.refused(
                    "schedule.pause", #"{"name":"m","until":"2020-01-01T00:00:00Z"}"#, in: "until")
                    == "10426 /until")
            #expect(
                try await fixture.refused("schedule.pause", #"{"name":"m","until":5}"#, in: "until") == "10424 /until")
        }

        @Test("An end that comes while nobody runs is kept by whoever starts next; what has lost its target is invalid")
        func survivesARestart() async throws {
            let fixture = try await ServiceFixture.start()
            try await fixture.makeStream()
            let first = try await fixture.startInstance("first")
            let until = try await instant(in: 2, on: fixture)
            for (name, rest) in [
                ("kept", #""interval_seconds":0.25,"target_command":"demo.js.u","misfire_policy":"fire_all""#),
                ("lost", #""interval_seconds":3600,"target_command":"demo.lost""#),
            ] {
                try await fixture.done(
                    "schedule.create", #"{"name":"\#(name)","schedule_type":"interval",\#(rest)}"#)
                try await fixture.done("schedule.pause", #"{"name":"\#(name)","until":"\#(until)"}"#)
            }
            await first.kill()
            try Filesystem.write(
                """
                targets:
                  - namespace: "*"
                    subject: demo.js.>
                    delivery: [jetstream]
                """, to: fixture.folder + "/targets.yaml")
            let states = "SELECT count(*) FROM scheduler.schedules WHERE state = 'paused'"
            #expect(try await fixture.count(states) == 2)
            let isLate = "SELECT (clock_timestamp() > '\(until)'::timestamptz + interval '0.5 s')::int::bigint"
            #expect(await fixture.waits(until: isLate, is: 1))
            let second = try await fixture.startInstance("second")
            #expect(await fixture.waits(until: states, is: 0))
            let rows = try await fixture.rows("SELECT name, state FROM scheduler.schedules ORDER BY name")
            #expect(rows == [["kept", "active"], ["lost", "invalid"]])
            let told = try await fixture.rows(
                "SELECT name, action FROM scheduler.audit_log WHERE actor = 'carillon' ORDER BY name")
            #expect(told == [["kept", "resumed"], ["lost", "invalidated"]])
            // What came between the end and the start is late, and not skipped.
            let late = """
                FROM scheduler.executions e JOIN scheduler.audit_log a ON a.action = 'resumed'
                WHERE e.scheduled_for > '\(until)' AND e.scheduled_for <= a.at
                """
            #expect(try await fixture.count("SELECT count(*) \(late) AND e.reason = 'paused'") == 0)
            #expect(
                await waitUntil(.seconds(5)) { (try? await fixture.count("SELECT count(*) \(late)")) ?? 0 >= 2 })
            #expect(await second.stop())
            await fixture.stop()
        }
    }
}
