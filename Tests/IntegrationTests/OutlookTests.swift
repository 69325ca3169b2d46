import JSONText
import LocalServers
import NATSClient
import ServiceFixture
import Testing

extension Integration {
    /// `dry_run` of what is no single schedule's: calendars, freezes, targets, limits. Each test has a namespace of its own.
    @Suite("Rehearsal for many", .serialized, .timeLimit(.minutes(2))) struct OutlookTests {
        private static let minutely = #""schedule_type":"interval","interval_seconds":60,"target_command":"demo.out""#

        private func rows(_ fixture: ServiceFixture, _ sql: String) async throws -> String {
            try await fixture.rows(sql)[0][0] ?? ""
        }

        /// `count/compared +added -removed ~moved`, then each schedule that differs.
        private func concerned(_ reply: JSONValue) -> [String] {
            let all = reply["concerned"]
            func line(_ value: JSONValue?) -> String {
                let counts = ["added", "removed", "moved"].map { value?[$0]?.int64 ?? -1 }
                return "+\(counts[0]) -\(counts[1]) ~\(counts[2])"
            }
            let head = "\(all?["count"]?.int64 ?? -1)/\(all?["compared"]?.int64 ?? -1) \(line(all))"
            return [head] + (all?.items("schedules") ?? []).map { "\($0["name"]?.string ?? "?") \(line($0))" }.sorted()
        }

        /// What is stored of a namespace, of freezes and of the allow-list.
        private func stored(_ namespace: String, _ fixture: ServiceFixture) async throws -> String {
            try await rows(
                fixture,
                """
                SELECT concat_ws(' ', (SELECT sum(version) FROM scheduler.schedules WHERE namespace = '\(namespace)'),
                    (SELECT count(*) FROM scheduler.audit_log WHERE namespace IN ('\(namespace)', '_system')),
                    (SELECT json_agg(c)::text FROM scheduler.calendars c WHERE namespace = '\(namespace)'),
                    (SELECT epoch FROM scheduler.freeze_epoch), (SELECT targets + limits FROM scheduler.rules_epoch))
                """)
        }

        @Test("A calendar's rehearsal tells whose fires of 7 days go and move, and does nothing")
        func calendars() async throws {
            let fixture = try await RuleSystem.running.fixture
            let days = try await fixture.rows(
                "SELECT (now() + interval '3 days')::date::text, extract(day FROM now() + interval '3 days')::text, extract(month FROM now() + interval '3 days')::text"
            )[0].map { $0 ?? "" }
            let made = #"{"name":"c","working_days":["MON-SUN"],"dry_run":true}"#
            let new = try await fixture.done("calendar.put", made, in: "outcal")
            #expect(concerned(new) == ["0/0 +0 -0 ~0"])
            #expect(new.changes.contains(#"/name: null -> "c""#) && new["dry_run"]?.bool == true)
            try await fixture.done("calendar.put", #"{"name":"c","working_days":["MON-SUN"]}"#, in: "outcal")
            let daily = #""schedule_type":"cron","cron_expression":"0 9 * * *","target_command":"demo.out""#
            let single =
                #""schedule_type":"cron","cron_expression":"0 9 \#(days[1]) \#(days[2]) *","target_command":"demo.out""#
            for (name, fields) in [
                ("skips", #"\#(daily),"not_on":"c""#),
                ("moves", #"\#(single),"not_on":"c","shift":"next_business_day""#),
                ("free", daily), ("paused", #"\#(daily),"only_on":"c","paused":true"#),
            ] {
                let core = #","delivery":"core""#
                try await fixture.done("schedule.create", #"{"name":"\#(name)",\#(fields)\#(core)}"#, in: "outcal")
            }
            let before = try await stored("outcal", fixture)
            let closed = #"{"name":"c","working_days":["MON-SUN"],"holidays":["\#(days[0])"],"dry_run":true}"#
            let told = try await fixture.done("calendar.put", closed, in: "outcal")
            #expect(concerned(told) == ["3/3 +0 -1 ~1", "moves +0 -0 ~1", "skips +0 -1 ~0"])
            #expect(told.changes == [#"/holidays: [] -> ["\#(days[0])"]"#])
            let fires = try #require(told["concerned"]?.items("schedules").first { $0["name"]?.string == "moves" })
            let fire = try #require(fires.items("fires").first)
            #expect(
                fire["from"]?.string == "\(days[0])T09:00:00.000000Z"
                    && fire["from"]?.string == fire["scheduled_for"]?.string)
            #expect(fire["to"]?.string?.hasPrefix(days[0]) == false && fire["to"]?.string != nil)
            #expect(told["concerned"]?["complete"]?.bool == true && told["concerned"]?["truncated"]?.bool == false)
            try await fixture.done("calendar.put", #"{"name":"d"}"#, in: "outcal")
            let gone = try await fixture.done("calendar.delete", #"{"name":"d","dry_run":true}"#, in: "outcal")
            #expect(gone.changes.contains(#"/name: "d" -> null"#))
            try await fixture.done("calendar.delete", #"{"name":"d"}"#, in: "outcal")
            let after = try await stored("outcal", fixture)
            // What was really done are two changes of another calendar.
            #expect(before.split(separator: " ").first == after.split(separator: " ").first)
            #expect(
                try await fixture.done("calendar.get", #"{"name":"c"}"#, in: "outcal")["calendar"]?["version"]?.int64
                    == 1)
        }

        @Test("A freeze's rehearsal tells what it would hold, and what its end would release; a hundred are compared")
        func freezes() async throws {
            let fixture = try await RuleSystem.running.fixture
            let core = #","delivery":"core""#
            try await fixture.done("schedule.create", #"{"name":"m",\#(Self.minutely)\#(core)}"#, in: "outfrz")
            let (from, until) = (
                try await fixture.instant(in: "1 hour"), try await fixture.instant(in: "2 hours")
            )
            let span = #""namespace":"outfrz","from":"\#(from)","until":"\#(until)""#
            let before = try await stored("outfrz", fixture)
            let held = try await fixture.administer("freeze.set", #"{\#(span),"dry_run":true}"#)
            // 60 fires within: the newest goes out at the end, for all.
            #expect(concerned(held) == ["1/1 +0 -59 ~1", "m +0 -59 ~1"])
            #expect(held.changes.contains(#"/mode: null -> "defer""#))
            let skipped = try await fixture.administer("freeze.set", #"{\#(span),"mode":"skip","dry_run":true}"#)
            #expect(concerned(skipped) == ["1/1 +0 -60 ~0", "m +0 -60 ~0"])
            #expect(skipped["concerned"]?.items("schedules").first?.items("fires").count == 10)
            let elsewhere = try await fixture.administer(
                "freeze.set", #"{\#(span),"target":"demo.other.>","dry_run":true}"#)
            #expect(concerned(elsewhere) == ["0/0 +0 -0 ~0"])
            #expect(try await stored("outfrz", fixture) == before)
            let real = try await fixture.administer("freeze.set", "{\(span)}")
            let id = real["freeze"]?["id"]?.string ?? ""
            let cleared = try await fixture.administer("freeze.clear", #"{"id":"\#(id)","dry_run":true}"#)
            #expect(concerned(cleared) == ["1/1 +59 -0 ~1", "m +59 -0 ~1"])
            // To another namespace: those of both are concerned.
            let moved = try await fixture.administer(
                "freeze.set",
                #"{"id":"\#(id)","namespace":"outmany","from":"\#(from)","until":"\#(until)","dry_run":true}"#)
            #expect(concerned(moved) == ["1/1 +59 -0 ~1", "m +59 -0 ~1"])
            #expect(moved.changes.contains(#"/namespace: "outfrz" -> "outmany""#))
            try await fixture.administer("freeze.clear", #"{"id":"\#(id)"}"#)
            let daily = #""schedule_type":"cron","cron_expression":"0 9 * * *","target_command":"demo.many""#
            let many = (0..<103).map { #"{"name":"n\#($0)",\#(daily)\#(core)}"# }.joined(separator: ",")
            try await fixture.done("schedule.bulk_create", #"{"schedules":[\#(many)]}"#, in: "outmany")
            let week = try await fixture.instant(in: "300 days")
            let all = try await fixture.administer(
                "freeze.set", #"{"target":"demo.many","until":"\#(week)","mode":"skip","dry_run":true}"#)
            #expect(concerned(all).first == "103/100 +0 -700 ~0" && concerned(all).count == 101)
            #expect(all["concerned"]?["complete"]?.bool == true)
        }

        @Test("A revocation's rehearsal, and a narrower entry's, name who would lose the target")
        func targets() async throws {
            let fixture = try await RuleSystem.running.fixture
            let entry = #""namespace":"outtgt","subject":"out.*""#
            let first = try await fixture.administer(
                "target.allow", #"{\#(entry),"delivery":["core"],"dry_run":true}"#)
            #expect(first.changes.contains(#"/subject: null -> "out.*""#))
            #expect(first["invalidated"]?["count"]?.int64 == 0)
            try await fixture.administer("target.allow", #"{\#(entry),"delivery":["core"]}"#)
            let far = #""schedule_type":"interval","interval_seconds":3600,"delivery":"core""#
            for (name, more) in [
                ("small", #""target_command":"out.a""#),
                ("large", #""target_command":"out.b","command_payload":"0123456789""#),
                ("free", #""target_command":"demo.out""#),
            ] { try await fixture.done("schedule.create", #"{"name":"\#(name)",\#(far),\#(more)}"#, in: "outtgt") }
            let before = try await stored("outtgt", fixture)
            func lost(_ reply: JSONValue) -> [String] {
                let names = reply["invalidated"]?.items("schedules").compactMap { $0["name"]?.string } ?? []
                return ["\(reply["invalidated"]?["count"]?.int64 ?? -1)"] + names.sorted()
            }
            let revoked = try await fixture.administer("target.revoke", #"{\#(entry),"dry_run":true}"#)
            #expect(lost(revoked) == ["2", "large", "small"])
            #expect(revoked.changes.contains(#"/subject: "out.*" -> null"#))
            #expect(
                revoked["invalidated"]?.items("schedules").first?["reason"]?.string?.contains("not allowed") == true)
            for narrower in [#""max_payload_bytes":5"#, #""payload_schema":{"type":"object"}"#] {
                let told = try await fixture.administer(
                    "target.allow", #"{\#(entry),"delivery":["core"],\#(narrower),"dry_run":true}"#)
                #expect(lost(told) == ["1", "large"], "\(narrower)")
            }
            #expect(
                lost(try await fixture.administer("target.allow", #"{\#(entry),"delivery":["core"],"dry_run":true}"#))
                    == ["0"])
            #expect(try await stored("outtgt", fixture) == before)
            #expect(try await fixture.count(of: "active", in: "outtgt") == 3)
        }

        @Test("The rehearsal of limits names what is beyond them already, and that stays")
        func limits() async throws {
            let fixture = try await RuleSystem.running.fixture
            let core = #""target_command":"demo.lim","delivery":"core""#
            for (name, more) in [
                ("often", #""schedule_type":"cron","cron_expression":"* * * * *""#),
                ("seldom", #""schedule_type":"interval","interval_seconds":86400,"command_payload":"0123456789""#),
            ] { try await fixture.done("schedule.create", #"{"name":"\#(name)",\#(core),\#(more)}"#, in: "outlim") }
            let before = try await stored("outlim", fixture)
            let told = try await fixture.administer(
                "namespace.limits",
                #"{"namespace":"outlim","max_schedules":1,"min_interval_seconds":3600,"max_payload_bytes":5,"dry_run":true}"#
            )
            let exceeded = told.items("exceeded").map { excess in
                let names = excess.items("schedules").compactMap { $0["name"]?.string }
                return "\(excess["pointer"]?.string ?? "") \(excess["count"]?.int64 ?? -1) \(names.joined())"
            }
            #expect(
                exceeded == ["/max_schedules 1 ", "/min_interval_seconds 1 often", "/max_payload_bytes 1 seldom"])
            #expect(told.changes.contains("/min_interval_seconds: null -> 3600"))
            let none = try await fixture.administer("namespace.limits", #"{"namespace":"outlim","dry_run":true}"#)
            #expect(none["changes"]?.count == 0 && none["exceeded"]?.count == 0)
            #expect(try await stored("outlim", fixture) == before)
        }
    }
}
