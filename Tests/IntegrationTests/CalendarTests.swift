import Glibc
import JSONText
import LocalServers
import NATSClient
import PostgresClient
import Recurrence
import ServiceFixture
import TestSupport
import Testing

extension Integration {
    /// Business calendars and execution windows through the real engine. Each test has a namespace of its own.
    @Suite("Calendars and windows", .serialized, .timeLimit(.minutes(2))) struct CalendarTests {
        private static let fast = #""schedule_type":"interval","interval_seconds":0.2,"target_command":"demo.js.cal""#
        /// Every day is worked; today and the days around it, in any zone, are holidays or not.
        private static let open = #""working_days":["MON-SUN"]"#

        private func closed(_ fixture: ServiceFixture) async throws -> String {
            let row = try await fixture.rows(
                "SELECT (now() - interval '2 days')::date::text, (now() + interval '2 days')::date::text")
            return #""working_days":["MON-SUN"],"holidays":[{"from":"\#(row[0][0] ?? "")","to":"\#(row[0][1] ?? "")"}]"#
        }

        @Test("A calendar is put, shown, listed, imported, and not deleted while it is used")
        func lifeOfACalendar() async throws {
            let fixture = try await SharedSystem.running.fixture
            let put = try await fixture.done(
                "calendar.put",
                #"{"name":"de","holidays":["2026-12-25"],"ical":"BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART;VALUE=DATE:20270101\nSUMMARY:New Year\nEND:VEVENT\nEND:VCALENDAR\n","actor":"ann"}"#,
                in: "callife")
            #expect(put["calendar"]?["version"]?.int64 == 1 && put["calendar"]?["updated_by"]?.string == "ann")
            #expect(put["calendar"]?["holidays"]?.count == 2)
            let again = try await fixture.done("calendar.put", #"{"name":"de","if_version":1}"#, in: "callife")
            #expect(again["calendar"]?["version"]?.int64 == 2 && again["calendar"]?["holidays"]?.count == 0)
            #expect(
                try await fixture.refused("calendar.put", #"{"name":"de","if_version":1}"#, in: "callife") == "20410")
            try await fixture.done("calendar.put", #"{"name":"fr"}"#, in: "callife")
            let list = try await fixture.done("calendar.list", #"{"limit":1}"#, in: "callife")
            #expect(list.items("calendars").map { $0["name"]?.string } == ["de"])
            let rest = try await fixture.done("calendar.list", #"{"cursor":"de"}"#, in: "callife")
            #expect(rest.items("calendars").map { $0["name"]?.string } == ["fr"])
            let user =
                #"{"name":"user","schedule_type":"cron","cron_expression":"0 9 * * *","target_command":"demo.js.c","not_on":"de"}"#
            try await fixture.done("schedule.create", user, in: "callife")
            #expect(try await fixture.refused("calendar.delete", #"{"name":"de"}"#, in: "callife") == "20431")
            let refusal = try await fixture.command("calendar.delete", #"{"name":"de"}"#, namespace: "callife")
            #expect(refusal["error"]?["description"]?.string?.contains("'user'") == true)
            try await fixture.done("schedule.update", #"{"name":"user","not_on":null}"#, in: "callife")
            try await fixture.done("calendar.delete", #"{"name":"de"}"#, in: "callife")
            #expect(try await fixture.refused("calendar.get", #"{"name":"de"}"#, in: "callife") == "20430")
            let actions = try await fixture.rows(
                "SELECT action FROM scheduler.audit_log WHERE namespace = 'callife' AND schedule_id IS NULL ORDER BY id"
            )
            #expect(actions.map { $0[0] } == ["calendar_put", "calendar_put", "calendar_put", "calendar_deleted"])
        }

        @Test("A page of calendars that is the last has no cursor, full or not; a cursor that is none is refused")
        func pages() async throws {
            let fixture = try await SharedSystem.running.fixture
            for name in ["a", "b"] { try await fixture.done("calendar.put", #"{"name":"\#(name)"}"#, in: "calpages") }
            func page(_ fields: String) async throws -> String {
                let reply = try await fixture.done("calendar.list", "{\(fields)}", in: "calpages")
                let names = reply.items("calendars").compactMap { $0["name"]?.string }.joined()
                return "\(names) \(reply["next_cursor"]?.string ?? "-")"
            }
            #expect(try await page(#""limit":1"#) == "a a")
            #expect(try await page(#""limit":1,"cursor":"a""#) == "b -")
            #expect(try await page(#""limit":2"#) == "ab -")
            #expect(try await page(#""cursor":"b""#) == " -")
            for cursor in ["", "a b", "ä", "*"] {
                #expect(
                    try await fixture.refused("calendar.list", #"{"cursor":"\#(cursor)"}"#, in: "calpages")
                        == "10405 /cursor")
            }
        }

        @Test(
            "Each fault has its code and its place, and changes nothing",
            arguments: [
                ("calendar.put", "{}", "10425 /name"), ("calendar.put", #"{"name":"a b"}"#, "10426 /name"),
                ("calendar.put", #"{"name":"a","holidays":["x"],"ical":"y"}"#, "10426 /holidays/0 /ical"),
                (
                    "calendar.put", #"{"name":"a","holidays":[{"from":"2026-01-01","to":"2030-01-01"}]}"#,
                    "10426 /holidays"
                ),
                ("calendar.put", #"{"name":"a","zone":"UTC"}"#, "10423 /zone"),
                (
                    "calendar.put", #"{"name":"a","holidays":[{"rrule":"FREQ=HOURLY","start":"2026-01-01"}]}"#,
                    "10428 /holidays/0/rrule"
                ),
                (
                    "calendar.put",
                    #"{"name":"a","ical":"BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20260101\nRRULE:FREQ=X\nEND:VEVENT\nEND:VCALENDAR"}"#,
                    "10428 /ical"
                ),
                ("calendar.get", #"{"name":"nobody"}"#, "20430"), ("calendar.delete", #"{"name":"nobody"}"#, "20430"),
                ("schedule.create", #"{\#(fast),"only_on":"nobody"}"#, "20430 /only_on"),
                ("schedule.create", #"{\#(fast),"shift":"next_business_day"}"#, "10427 /shift"),
                ("schedule.create", #"{\#(fast),"windows":[{"from":"9","to":"10:00"}]}"#, "10426 /windows/0/from"),
                (
                    "schedule.create",
                    #"{"schedule_type":"cron","cron_expression":"0 9 * * SUN","target_command":"demo.js.c","windows":[{"days":["MON"],"from":"00:00","to":"24:00"}]}"#,
                    "10429 /cron_expression"
                ),
            ])
        func refuses(command: String, body: String, expected: String) async throws {
            let fixture = try await SharedSystem.running.fixture
            #expect(try await fixture.refused(command, body, in: "calfault") == expected)
            #expect(
                try await fixture.count("SELECT count(*) FROM scheduler.calendars WHERE namespace = 'calfault'") == 0)
        }

        @Test("Holidays are skipped and told; a change of the calendar holds from its reply on")
        func followsTheCalendar() async throws {
            let fixture = try await SharedSystem.running.fixture
            let closed = try await closed(fixture)
            try await fixture.done("calendar.put", #"{"name":"c",\#(closed)}"#, in: "calrun")
            let body = #"{"name":"s",\#(Self.fast),"only_on":"c"}"#
            let created = try await fixture.done("schedule.create", body, in: "calrun")
            let ledger = "FROM scheduler.executions WHERE schedule_id = '\(created.id)'"
            let isTold = await waitUntil(.seconds(10)) {
                ((try? await fixture.count(
                    "SELECT coalesce(sum(range_count), 0)::bigint \(ledger) AND reason = 'window'")) ?? 0) > 5
            }
            #expect(isTold)
            #expect(try await fixture.count("SELECT count(*) \(ledger) AND state <> 'skipped'") == 0)
            let shown = try await fixture.done("schedule.get", #"{"name":"s"}"#, in: "calrun").schedule
            let soon = try await fixture.count(
                "SELECT count(*) WHERE '\(shown["next_fire_at"]?.string ?? "")'::timestamptz > now() + interval '1 day'"
            )
            #expect(soon == 1)
            try await fixture.done("calendar.put", #"{"name":"c",\#(Self.open)}"#, in: "calrun")
            let fires = await waitUntil(.seconds(10)) {
                ((try? await fixture.count("SELECT count(*) \(ledger) AND state = 'delivered'")) ?? 0) > 3
            }
            #expect(fires)
            let fired = try FiredMessages("demo.js.cal", on: fixture.client)
            let reply = try await fixture.done("calendar.put", #"{"name":"c",\#(closed)}"#, in: "calrun")
            #expect((reply["in_flight"]?.count ?? 0) == 0)
            let delivered = try await fixture.count("SELECT count(*) \(ledger) AND state = 'delivered'")
            let count = fired.count
            let later = try await fixture.count("SELECT coalesce(sum(range_count), 0)::bigint \(ledger)") + 5
            let goesOn = await waitUntil(.seconds(20)) {
                ((try? await fixture.count("SELECT coalesce(sum(range_count), 0)::bigint \(ledger)")) ?? 0) > later
            }
            #expect(goesOn)
            #expect(try await fixture.count("SELECT count(*) \(ledger) AND state = 'delivered'") == delivered)
            #expect(fired.count == count)
            fired.cancel()
            try await fixture.done("schedule.delete", #"{"name":"s"}"#, in: "calrun")
            #expect(await fixture.waits(until: "SELECT count(*) FROM scheduler.claims", is: 0))
            let events = try await fixture.events(of: created.id)
            #expect(events.filter { $0 == "schedule updated" }.count == 2 && events.contains("execution skipped"))
            // No gap: every fifth of a second from the first to the last stands in one place.
            let gaps = try await fixture.count(
                """
                SELECT (extract(epoch FROM max(scheduled_for) - min(coalesce(range_from, scheduled_for))) * 5)::bigint + 1
                    - sum(range_count)::bigint \(ledger)
                """)
            #expect(gaps == 0)
        }

        @Test("Shifted occurrences keep their identity, and the preview says where they go")
        func shifts() async throws {
            let fixture = try await SharedSystem.running.fixture
            try await fixture.done("calendar.put", #"{"name":"w","holidays":["2026-12-25"]}"#, in: "calshift")
            let fields =
                #""schedule_type":"cron","cron_expression":"0 9 25 12 *","timezone":"Europe/Berlin","target_command":"demo.js.c","only_on":"w""#
            for (shift, moved) in [
                ("next_business_day", "2026-12-28T08:00:00.000000Z"),
                ("previous_business_day", "2026-12-24T08:00:00.000000Z"),
            ] {
                let preview = try await fixture.done(
                    "schedule.preview",
                    #"{\#(fields),"shift":"\#(shift)","from":"2026-11-21T00:00:00Z","count":1}"#, in: "calshift")
                let fire = preview.items("fires").first
                #expect(fire?["at"]?.string == "2026-12-25T08:00:00.000000Z")
                #expect(fire?["moved_to"]?.string == moved)
            }
            let none = try await fixture.done(
                "schedule.preview", #"{\#(fields),"from":"2026-11-21T00:00:00Z","count":1}"#, in: "calshift")
            // The next 25 December that is worked by this calendar.
            #expect(none.items("fires").first?["at"]?.string == "2028-12-25T08:00:00.000000Z")
        }

        /// A window of the next hours that is closed now: `(from, to)`, in UTC.
        private func later(_ fixture: ServiceFixture) async throws -> (from: String, to: String) {
            let row = try await fixture.rows(
                """
                SELECT to_char(now() AT TIME ZONE 'UTC' + interval '2 hours', 'HH24:MI'),
                    to_char(now() AT TIME ZONE 'UTC' + interval '3 hours', 'HH24:MI')
                """)
            return (row[0][0] ?? "", row[0][1] ?? "")
        }

        @Test("Outside of its windows a schedule skips, or is due when the next one opens; an edit opens them")
        func windows() async throws {
            let fixture = try await SharedSystem.running.fixture
            let (from, to) = try await later(fixture)
            let windows = #""windows":[{"from":"\#(from)","to":"\#(to)"}]"#
            let skipping = try await fixture.done(
                "schedule.create", #"{"name":"skip",\#(Self.fast),\#(windows)}"#, in: "calwin")
            #expect(skipping.schedule["next_fire_at"]?.string?.contains("T\(from):00") == true)
            #expect(skipping.schedule["windows"]?.count == 1 && skipping.schedule["outside"]?.string == "skip")
            let once = try await fixture.done(
                "schedule.create",
                #"{"name":"defer","schedule_type":"immediate","target_command":"demo.js.c","outside":"defer",\#(windows)}"#,
                in: "calwin")
            #expect(once.schedule["next_fire_at"]?.string?.contains("T\(from):00") == true)
            let id = skipping.id
            let rows = "SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(id)'"
            let isTold = await waitUntil(.seconds(10)) { ((try? await fixture.count(rows)) ?? 0) >= 3 }
            #expect(isTold)
            #expect(try await fixture.count("\(rows) AND (state, reason) <> ('skipped', 'window')") == 0)
            try await fixture.done("schedule.update", #"{"name":"skip","windows":null}"#, in: "calwin")
            let fires = await waitUntil(.seconds(10)) {
                ((try? await fixture.count("\(rows) AND state = 'delivered'")) ?? 0) >= 3
            }
            #expect(fires)
            let opened = try await fixture.done(
                "schedule.update", #"{"name":"defer","windows":null,"outside":null}"#, in: "calwin")
            #expect(opened.schedule["windows"]?.count == 0)
            #expect(
                await fixture.waits(
                    until:
                        "SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(once.id)' AND state = 'delivered'",
                    is: 1))
            try await fixture.done("schedule.delete", #"{"name":"skip"}"#, in: "calwin")
        }

        @Test("What a window deferred fires when it opens, on time, under its own identity")
        func deferred() async throws {
            // Windows open at whole minutes: everybody's clock is set so that one begins soon.
            let folder = try Filesystem.makeTemporaryFolder()
            defer { Filesystem.remove(folder) }
            let clock = try await SteppedClock(in: folder)
            try clock.set(ahead: 45 - Int64(time(nil)) % 60)
            var options = ServiceFixture.Options()
            options.postgresEnvironment = clock.environment
            options.environment = clock.environment
            let fixture = try await ServiceFixture.start(options)
            try await fixture.makeStream()
            let instance = try await fixture.startInstance()
            // The next minute that begins in three seconds or more.
            let row = try await fixture.rows(
                """
                SELECT to_char(t AT TIME ZONE 'UTC', 'HH24:MI'), to_char((t + interval '1 hour') AT TIME ZONE 'UTC', 'HH24:MI'),
                    to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
                FROM (SELECT date_trunc('minute', now() + interval '63 seconds') AS t) w
                """)
            let (from, to, opens) = (row[0][0] ?? "", row[0][1] ?? "", row[0][2] ?? "")
            let created = try await fixture.done(
                "schedule.create",
                #"{"name":"d","schedule_type":"immediate","target_command":"demo.js.c","misfire_grace_seconds":1,"outside":"defer","windows":[{"from":"\#(from)","to":"\#(to)"}]}"#,
                in: "caldefer")
            #expect(created.schedule["next_fire_at"]?.string == opens)
            let delivered = """
                SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(created.id)' AND state = 'delivered'
                    AND due_at = '\(opens)' AND scheduled_for < '\(opens)' AND trigger = 'immediate'
                    AND fired_at >= due_at AND fired_at < due_at + interval '1 second'
                """
            #expect(await fixture.waits(.seconds(75), until: delivered, is: 1))
            #expect(await instance.stop())
            await fixture.stop()
        }
    }
}
