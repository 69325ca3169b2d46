import JSONText
import LocalServers
import NATSClient
import ServiceFixture
import Testing

extension Integration {
    /// `carillon export` and `carillon import`, `admin.data.export` and `admin.data.import`.
    @Suite("Backup", .serialized, .timeLimit(.minutes(2))) struct BackupTests {
        private static let far = #""schedule_type":"interval","interval_seconds":86400,"target_command":"demo.js.b""#

        private func lines(_ path: String) -> [Substring] {
            Filesystem.tail(path, bytes: 1 << 24).split(separator: "\n")
        }

        /// As deep as a payload may be.
        private static let deep = String(repeating: "[", count: 31) + String(repeating: "]", count: 31)

        private func fill(_ system: FilesSystem) async throws {
            let fixture = system.fixture
            try await system.emptyTheStore()
            _ = try await system.administration(
                "namespace.limits",
                #"{"namespace":"backup","max_schedules":50,"commands_per_second":500,"min_interval_seconds":0.5,"concurrency":{"é 1":3}}"#
            )
            _ = try await system.administration(
                "target.allow",
                #"{"namespace":"*","subject":"demo.js/x.>","delivery":["jetstream","core"],"max_in_flight":4}"#)
            try await fixture.done(
                "calendar.put", #"{"name":"de","holidays":[{"date":"2026-12-25","name":"X"}]}"#, in: "backup")
            _ = try await system.administration(
                "freeze.set", #"{"namespace":"nobody","until":"2027-06-01T00:00:00Z","from":"2027-05-01T00:00:00Z"}"#)
            for body in [
                #"{"name":"cron","schedule_type":"cron","cron_expression":"CRON_TZ=Europe/Paris H 2 * * *","target_command":"demo.js.b","not_on":"de","windows":[{"days":["MON-FRI"],"from":"01:00","to":"05:00"}],"outside":"defer","spread_seconds":60.5,"dst_policy":"skip"}"#,
                #"{"name":"paused",\#(Self.far),"paused":true,"reason":"later","completion":"report","concurrency_key":"é 1","tags":["a:b"],"metadata":{"k":"é"}}"#,
                #"{"name":"once","schedule_type":"once","run_at":"2027-01-01T09:00:00","timezone":"Asia/Tokyo","target_command":"demo.js.b","command_headers":{"X-A":"b"}}"#,
                #"{"name":"rule","schedule_type":"rrule","rrule":"FREQ=MONTHLY;BYDAY=-1FR","start_at":"2027-01-01T09:00:00Z","end_at":"2030-01-01T00:00:00Z","max_runs":7,"target_command":"demo.js.b"}"#,
                "{\"name\":\"text\",\(Self.far),\"command_payload\":{\"a\": 1.50,\n \"b\":[ ]},\"misfire_policy\":\"fire_all\",\"retry_delay_seconds\":0.1}",
            ] { try await fixture.done("schedule.create", body, in: "backup") }
            try await fixture.done(
                "schedule.pause", #"{"name":"rule","reason":"a while","until":"2027-02-01T00:00:00Z"}"#, in: "backup")
            // Answered, but with more nesting than a client here reads.
            let body = #"{"name":"deep",\#(Self.far),"command_payload":\#(Self.deep)}"#
            _ = try await fixture.client.request(
                try Subject("scheduler.cmd.backup.schedule.create"), payload: Array(body.utf8), timeout: .seconds(5))
            // One that is over.
            let over = try await fixture.done(
                "schedule.create", #"{"name":"over","schedule_type":"immediate","target_command":"demo.js.b"}"#,
                in: "backup")
            #expect(
                await fixture.waits(
                    until: "SELECT count(*) FROM scheduler.schedules WHERE id = '\(over.id)' AND state = 'exhausted'",
                    is: 1))
        }

        @Test("Exported, put into an empty store and exported again, a store gives the same bytes")
        func roundTrip() async throws {
            let system = try await FilesSystem.running
            try await fill(system)
            let (first, second) = (system.fixture.folder + "/first.ndjson", system.fixture.folder + "/second.ndjson")
            let exported = try await system.carillon("export", "-o", first)
            #expect(exported.code == 0 && exported.text.hasPrefix("11 records in "), "\(exported)")
            let before = lines(first)
            let header = try JSONValue.parse(String(before[0]))
            for kept in [#""concurrency":{"é 1":3}"#, #""max_in_flight":4"#, #""concurrency_key":"é 1""#] {
                #expect(before.contains { $0.contains(kept) }, "\(kept)")
            }
            #expect(header["carillon_backup"]?.int64 == 1 && header["counts"]?["schedule"]?.int64 == 7)
            try await system.emptyTheStore()
            let imported = try await system.carillon("import", first)
            #expect(
                imported.code == 0 && imported.text == "11 imported, 0 unchanged, 0 overwritten, 0 conflict\n",
                "\(imported)")
            #expect(try await system.carillon("export", "-o", second).code == 0)
            #expect(lines(second).dropFirst() == before.dropFirst())
            // What is exhausted counts against no limit.
            let counted = "SELECT schedule_count FROM scheduler.namespaces WHERE namespace = 'backup'"
            #expect(try await system.fixture.count(counted) == 6)
            // Again: all is there.
            let again = try await system.carillon("import", first)
            #expect(
                again.code == 0 && again.text == "0 imported, 11 unchanged, 0 overwritten, 0 conflict\n", "\(again)")
            #expect(try await system.fixture.count(counted) == 6)
            let some = try await system.carillon("export", "--namespace", "nobody")
            #expect(some.text.split(separator: "\n").count == 3, "\(some)")
        }

        @Test("What says something else is a conflict, left alone unless it is to be overwritten")
        func conflicts() async throws {
            let system = try await FilesSystem.running
            try await fill(system)
            let path = system.fixture.folder + "/conflict.ndjson"
            #expect(try await system.carillon("export", "-o", path).code == 0)
            let fixture = system.fixture
            try await fixture.done("schedule.update", #"{"name":"cron","cron_expression":"0 5 * * *"}"#, in: "backup")
            try await fixture.done("schedule.delete", #"{"name":"text"}"#, in: "backup")
            try await fixture.done("schedule.delete", #"{"name":"once"}"#, in: "backup")
            try await fixture.done("schedule.create", #"{"name":"once",\#(Self.far)}"#, in: "backup")
            try await fixture.done("calendar.put", #"{"name":"de"}"#, in: "backup")
            let refused = try await system.carillon("import", path)
            #expect(
                refused.code == 1 && refused.text.contains("0 imported, 7 unchanged, 0 overwritten, 4 conflict"),
                "\(refused)")
            for line in [
                "schedule backup/cron: it is at version", "schedule backup/text: it is deleted here",
                "schedule backup/once: the name is taken by", "calendar backup/de: another calendar",
            ] { #expect(refused.text.contains(line), "\(refused)") }
            let versions = "SELECT sum(version)::bigint FROM scheduler.schedules WHERE namespace = 'backup'"
            let untouched = try await fixture.count(versions)
            let rehearsed = try await system.carillon("import", path, "--overwrite", "--dry-run")
            #expect(rehearsed.text.contains("3 overwritten, 1 conflict (dry run)"), "\(rehearsed)")
            #expect(try await fixture.count(versions) == untouched)
            let done = try await system.carillon("import", path, "--overwrite")
            #expect(done.code == 1 && done.text.contains("3 overwritten, 1 conflict"), "\(done)")
            let cron = try await fixture.done("schedule.get", #"{"name":"cron"}"#, in: "backup").schedule
            #expect(cron["cron_expression"]?.string == "CRON_TZ=Europe/Paris H 2 * * *")
            #expect(cron["next_fire_at"]?.string != nil && cron["version"]?.int64 ?? 0 > 2)
            let text = try await fixture.done("schedule.get", #"{"name":"text"}"#, in: "backup").schedule
            #expect(text["state"]?.string == "active" && text["next_fire_at"]?.string != nil)
            let calendar = try await fixture.done("calendar.get", #"{"name":"de"}"#, in: "backup")
            #expect(calendar["calendar"]?["holidays"]?.count == 1)
            let counted = try await fixture.rows(
                "SELECT n.schedule_count::text, (SELECT count(*)::text FROM scheduler.schedules s WHERE s.namespace = n.namespace AND s.state NOT IN ('exhausted', 'deleted')) FROM scheduler.namespaces n WHERE n.namespace = 'backup'"
            )
            #expect(counted[0][0] == counted[0][1], "\(counted)")
        }

        @Test("A file that was cut off changes nothing; a record that is none is told by its field")
        func faults() async throws {
            let system = try await FilesSystem.running
            try await fill(system)
            let path = system.fixture.folder + "/whole.ndjson"
            #expect(try await system.carillon("export", "-o", path).code == 0)
            try await system.emptyTheStore()
            let cut = try system.file("cut.ndjson", lines(path).dropLast().joined(separator: "\n") + "\n")
            let refused = try await system.carillon("import", cut)
            #expect(refused.code == 1 && refused.text.contains("the file was cut off"), "\(refused)")
            #expect(try await system.fixture.count("SELECT count(*) FROM scheduler.schedules") == 0)
            for (records, problem) in [
                ("3", "10425 /records"), (#"[{"kind":"x"}]"#, "10426 /records/0/kind"), ("[1]", "10403 /records/0"),
                (#"[{"kind":"namespace"}]"#, "10425 /records/0/namespace"),
                (#"[{"kind":"namespace","namespace":"a","x":1}]"#, "10423 /records/0/x"),
                // A number that the next change would grow beyond what there is.
                (
                    #"[{"kind":"calendar","namespace":"a","name":"b","version":9223372036854775807,"created_at":"2026-01-01T00:00:00Z","updated_at":"2026-01-01T00:00:00Z"}]"#,
                    "10426 /records/0/version"
                ),
            ] {
                let answer = try await system.fixture.refused(
                    "data.import", Array(#"{"records":\#(records)}"#.utf8), subject: "scheduler.admin.data.import")
                #expect(answer == problem, "\(records)")
            }
            for cursor in ["x", "schedule:1", "calendar:a", "nonsense:"] {
                let answer = try await system.fixture.refused(
                    "data.export", Array(#"{"cursor":"\#(cursor)"}"#.utf8), subject: "scheduler.admin.data.export")
                #expect(answer == "10405 /cursor")
            }
        }

        @Test("Pages fit in a message, whatever they hold, and together are the whole")
        func pages() async throws {
            let system = try await FilesSystem.running
            try await system.emptyTheStore()
            let large = String(repeating: "x", count: 300_000)
            for index in 0..<5 {
                try await system.fixture.done(
                    "schedule.create", #"{"name":"p\#(index)",\#(Self.far),"command_payload":"\#(large)"}"#, in: "pages"
                )
            }
            for (limit, most) in [(500, 3), (1, 1)] {
                var names: [String] = []
                var cursor = ""
                repeat {
                    let page = try await system.administration(
                        "data.export", #"{"limit":\#(limit)\#(cursor.isEmpty ? "" : #","cursor":"\#(cursor)""#)}"#)
                    let records = page.items("records")
                    #expect(records.count <= most && page.items("omitted").isEmpty)
                    names += records.compactMap { $0["name"]?.string }
                    cursor = page["next_cursor"]?.string ?? ""
                } while !cursor.isEmpty
                #expect(names == (0..<5).map { "p\($0)" })
            }
        }

        @Test("A schedule that is put back goes on from where it stood: what passed is its misfire policy's")
        func goesOn() async throws {
            let system = try await FilesSystem.running
            try await system.emptyTheStore()
            let made = try await system.fixture.done(
                "schedule.create",
                #"{"name":"late","schedule_type":"cron","cron_expression":"0 * * * *","target_command":"demo.js.b"}"#,
                in: "late")
            let page = try await system.administration("data.export", #"{"namespace":"late"}"#)
            let record = String(decoding: try #require(page.items("records").first).bytes, as: UTF8.self)
            try await system.emptyTheStore()
            // As if the backup were three hours old: three fires have passed, and one is made up for all.
            let due = try #require(made.schedule["next_fire_at"]?.string)
            let past = try await system.fixture.rows(
                #"SELECT to_char(timestamptz '\#(due)' - interval '3 hours', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"#)[0][0]
            let old = record.split(separator: due).joined(separator: try #require(past))
            let reply = try await system.administration("data.import", #"{"records":[\#(old)]}"#)
            #expect(reply["import"]?["imported"]?.int64 == 1)
            let audited = try await system.fixture.done(
                "audit.list", #"{"schedule_id":"\#(made.id)","action":"schedule_restored","full":true}"#, in: "late"
            ).items("entries")
            #expect(audited.count == 1 && audited.first?["after"]?["name"]?.string == "late")
            #expect(audited.first?["version"]?.int64 == 1 && audited.first?["reason"]?.string == "import")
            #expect(
                await system.fixture.waits(
                    until:
                        "SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(made.id)' AND state = 'delivered' AND missed_count >= 2",
                    is: 1))
        }
    }
}
