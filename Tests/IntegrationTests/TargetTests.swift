import JSONText
import LocalServers
import NATSClient
import PostgresClient
import ServiceFixture
import Testing

extension Integration {
    /// Targets by file and by command, hot: on two instances.
    @Suite("Targets", .serialized, .timeLimit(.minutes(2))) struct TargetTests {
        private static func body(_ name: String, _ target: String, _ seconds: String = "3600", _ more: String = "")
            -> String
        {
            #"{"name":"\#(name)","schedule_type":"interval","interval_seconds":\#(seconds),"target_command":"\#(target)""#
                + #","delivery":"core"\#(more)}"#
        }

        /// What a subscriber had when everything that was published before this call had come.
        private func mark(_ fired: FiredMessages, _ subject: String, _ fixture: ServiceFixture) async throws -> Int {
            let before = fired.all.filter(\.executionID.isEmpty).count
            _ = try fixture.client.publish(try Subject(subject), payload: [UInt8]())
            #expect(await waitUntil(.seconds(5)) { fired.all.filter(\.executionID.isEmpty).count > before })
            return (fired.all.lastIndex { $0.executionID.isEmpty } ?? -1) + 1
        }

        @Test(
            "Allowed, its schedules are made at once on each instance; revoked, nothing fires after the reply; healed")
        func life() async throws {
            let fixture = try await RuleSystem.running.fixture
            let far = Self.body("probe", "cmd.a.x", "3600", #","dry_run":true"#)
            #expect(try await fixture.everywhere("schedule.create", far, in: "tgt") == [30403])
            let allow = """
                {"namespace":"tgt","subject":"cmd.a.>","delivery":["core","request"],"max_payload_bytes":500,\
                "payload_schema":{"type":"object"},"actor":"ann","reason":"new","request_id":"a-1"}
                """
            try await fixture.administer("target.allow", String(allow.dropLast()) + #","dry_run":true}"#)
            #expect(try await fixture.everywhere("schedule.create", far, in: "tgt") == [30403])
            let allowed = try await fixture.administer("target.allow", allow)
            #expect(try await fixture.everywhere("schedule.create", far, in: "tgt") == [0])
            // Somebody else is as before.
            #expect(try await fixture.everywhere("schedule.create", far, in: "other") == [30403])
            let first = Self.body("first", "cmd.a.first", "3600", #","request_id":"first""#)
            let made = try await fixture.done("schedule.create", first, in: "tgt")
            for n in 0..<4 { try await fixture.done("schedule.create", Self.body("far\(n)", "cmd.a.far"), in: "tgt") }
            // So many that something is always claimed and about to fire.
            var fast = ""
            for n in 0..<25 {
                fast = try await fixture.done(
                    "schedule.create", Self.body("fast\(n)", "cmd.a.fast", "0.1"), in: "tgt"
                ).id
            }
            try await fixture.done("schedule.create", Self.body("free", "demo.free", "0.1"), in: "tgt")
            let fired = try FiredMessages("cmd.a.fast", on: fixture.client)
            let free = try FiredMessages("demo.free", on: fixture.client)
            #expect(await waitUntil(.seconds(10)) { fired.count > 100 })

            let listed = try await fixture.done("target.list", "", in: "tgt").items("targets")
            #expect(listed.map { $0["source"]?.string } == ["file", "command"])
            #expect(
                listed.last?["created_by"]?.string == "ann"
                    && listed.last?["payload_schema"]?["type"]?.string == "object")
            #expect(try await fixture.done("target.list", "", in: "other").items("targets").count == 1)
            #expect(try await fixture.administer("target.list", "").items("targets").count >= 3)

            let revoked = try await fixture.administer("target.revoke", #"{"namespace":"tgt","subject":"cmd.a.>"}"#)
            let named = Set(revoked.items("in_flight").compactMap(\.string))
            let at = try await mark(fired, "cmd.a.fast", fixture)
            #expect(await waitUntil(.seconds(3)) { (try? await fixture.count(of: "invalid", in: "tgt")) == 30 })
            // Somebody else's schedule goes on for a second.
            let others = free.count
            #expect(await waitUntil(.seconds(10)) { free.count > others + 10 })
            let late = fired.all.dropFirst(at).map(\.executionID).filter { !named.contains($0) }
            #expect(late.isEmpty, "fired after the reply: \(late)")
            #expect(try await fixture.everywhere("schedule.create", far, in: "tgt") == [30403])
            #expect(
                try await fixture.done("schedule.get", #"{"name":"far0"}"#, in: "tgt").schedule["pause_reason"]?.string?
                    .contains("not allowed") == true)
            // What was replied before is replied again, though it would be refused by now; and it allows nothing.
            #expect(try await fixture.done("schedule.create", first, in: "tgt").bytes.elementsEqual(made.bytes))
            #expect(try await fixture.administer("target.allow", allow).bytes.elementsEqual(allowed.bytes))
            #expect(try await fixture.everywhere("schedule.create", far, in: "tgt") == [30403])

            try await fixture.administer(
                "target.allow", #"{"namespace":"tgt","subject":"cmd.a.*","delivery":["core"]}"#)
            #expect(await waitUntil(.seconds(3)) { (try? await fixture.count(of: "active", in: "tgt")) == 31 })
            let back = fired.count
            #expect(await waitUntil(.seconds(10)) { fired.count > back + 100 })
            for name in (0..<25).map({ "fast\($0)" }) + ["free"] {
                try await fixture.done("schedule.delete", #"{"name":"\#(name)"}"#, in: "tgt")
            }
            fired.cancel()
            free.cancel()
            try await checkLedger(fast, fixture)
        }

        /// No occurrence is missing, each change is in the audit log, and the events tell what happened.
        private func checkLedger(_ fast: String, _ fixture: ServiceFixture) async throws {
            let gaps = try await fixture.count(
                """
                SELECT (extract(epoch FROM max(scheduled_for) - min(coalesce(range_from, scheduled_for))) * 10)::bigint + 1
                    - sum(range_count)::bigint
                FROM scheduler.executions WHERE schedule_id = '\(fast)' AND origin = 'time'
                """)
            #expect(gaps == 0)
            #expect(
                try await fixture.count(
                    "SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(fast)' AND reason = 'target_revoked'"
                ) > 0)
            let audited = try await fixture.rows(
                """
                SELECT action || ' ' || name || ' ' || (before IS NOT NULL) || ' ' || (after IS NOT NULL)
                FROM scheduler.audit_log WHERE namespace = 'tgt' AND schedule_id IS NULL ORDER BY id
                """
            ).map { $0[0] ?? "" }
            #expect(
                audited == [
                    "target_allowed cmd.a.> false true", "target_revoked cmd.a.> true false",
                    "target_allowed cmd.a.* false true",
                ])
            #expect(await fixture.waits(until: "SELECT count(*) FROM scheduler.outbox", is: 0))
            let events = try await fixture.events(of: fast).filter { $0.hasPrefix("schedule") }
            #expect(
                events == ["schedule created", "schedule invalidated", "schedule updated", "schedule deleted"],
                "\(events)")
        }

        @Test("An entry that is replaced by a narrower one concerns whoever it leaves out, and nobody else")
        func narrows() async throws {
            let fixture = try await RuleSystem.running.fixture
            try await fixture.administer("target.allow", #"{"namespace":"nar","subject":"nar.*","delivery":["core"]}"#)
            let large = #","command_payload":"\#(String(repeating: "x", count: 200))""#
            try await fixture.done("schedule.create", Self.body("small", "nar.x"), in: "nar")
            try await fixture.done("schedule.create", Self.body("large", "nar.y", "3600", large), in: "nar")
            try await fixture.administer(
                "target.allow", #"{"namespace":"nar","subject":"nar.*","delivery":["core"],"max_payload_bytes":100}"#)
            #expect(await waitUntil(.seconds(3)) { (try? await fixture.count(of: "invalid", in: "nar")) == 1 })
            #expect(
                try await fixture.done("schedule.get", #"{"name":"small"}"#, in: "nar").schedule["state"]?.string
                    == "active")
            // The revocation's row goes once nobody can be under way who began before it.
            try await fixture.database.execute(
                script: "UPDATE scheduler.revocations SET at = at - interval '1 minute'")
            #expect(await fixture.waits(until: "SELECT count(*) FROM scheduler.revocations", is: 0))
        }

        @Test("Who dies between a revocation and its work leaves it to the others")
        func isDurable() async throws {
            let fixture = try await RuleSystem.running.fixture
            try await fixture.administer("target.allow", #"{"namespace":"dur","subject":"dur.x","delivery":["core"]}"#)
            try await fixture.done("schedule.create", Self.body("d", "dur.x"), in: "dur")
            // What the command's transaction writes, and nobody says so.
            try await fixture.database.execute(
                script: """
                    DELETE FROM scheduler.targets WHERE namespace = 'dur';
                    UPDATE scheduler.rules_epoch SET targets = targets + 1;
                    INSERT INTO scheduler.revocations (at, namespace, subject) VALUES (now(), 'dur', 'dur.x')
                    """)
            #expect(await waitUntil(.seconds(3)) { (try? await fixture.count(of: "invalid", in: "dur")) == 1 })
        }

        @Test(
            "No command fires by an old list, though nobody was told that there is a newer one", arguments: [0, 1, 2])
        func commandedFires(round: Int) async throws {
            let fixture = try await RuleSystem.running.fixture
            let namespace = "cmf\(round)"
            let target = #""subject":"\#(namespace).x""#
            try await fixture.administer(
                "target.allow", #"{"namespace":"\#(namespace)",\#(target),"delivery":["core"]}"#)
            let paused = Self.body("p", "\(namespace).x", "1", #","paused":true"#)
            let made = try await fixture.done("schedule.create", paused, in: namespace)
            // An execution that can be made again, and a stretch that can be fired again.
            try await fixture.database.execute(
                script: """
                    INSERT INTO scheduler.executions (id, schedule_id, generation, origin, ordinal, state, reason, trigger,
                        scheduled_for, due_at, claimed_at, finished_at, schedule_version, attempt, fence, missed_count)
                    VALUES (gen_random_uuid(), '\(made.id)', 1, 'manual', 1, 'skipped', 'paused', 'manual',
                        now(), now(), now(), now(), 1, 1, 0, 0)
                    """)
            let execution = try #require(
                try await fixture.rows("SELECT id::text FROM scheduler.executions WHERE schedule_id = '\(made.id)'")[0][
                    0])
            try await fixture.database.execute(
                script: """
                    DELETE FROM scheduler.targets WHERE namespace = '\(namespace)';
                    UPDATE scheduler.rules_epoch SET targets = targets + 1
                    """)
            let (command, body) = [
                (
                    "schedule.backfill",
                    #"{"name":"p","from":"\#(made.schedule["created_at"]?.string ?? "")","limit":1}"#
                ),
                ("schedule.trigger", #"{"name":"p"}"#), ("execution.retry", #"{"id":"\#(execution)"}"#),
            ][round]
            #expect(
                try await fixture.command(command, body, namespace: namespace)["error"]?["err_code"]?.int64 == 30403)
        }

        @Test("No claim that begins after the commit of a change acts by the old list, though nobody was told")
        func epoch() async throws {
            let fixture = try await RuleSystem.running.fixture
            try await fixture.administer("target.allow", #"{"namespace":"epo","subject":"epo.x","delivery":["core"]}"#)
            try await define(
                """
                    CREATE TABLE scheduler.opened (namespace text, tx xid8);
                    CREATE FUNCTION scheduler.note_opened() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                        INSERT INTO scheduler.opened SELECT s.namespace, pg_current_xact_id() FROM scheduler.schedules s
                        WHERE s.id = NEW.schedule_id;
                        RETURN NULL;
                    END $$;
                    CREATE TRIGGER note_opened AFTER INSERT ON scheduler.executions
                        FOR EACH ROW EXECUTE FUNCTION scheduler.note_opened()
                """, on: fixture)
            for n in 0..<10 { try await fixture.done("schedule.create", Self.body("e\(n)", "epo.x", "0.1"), in: "epo") }
            #expect(await fixture.waits(until: "SELECT least(100, count(*)) FROM scheduler.opened", is: 100))
            try await fixture.database.execute(
                script: """
                    DELETE FROM scheduler.targets WHERE namespace = 'epo';
                    UPDATE scheduler.rules_epoch SET targets = targets + 1
                    """)
            let after = try await fixture.count("SELECT pg_current_xact_id()::text::bigint")
            #expect(await waitUntil(.seconds(5)) { (try? await fixture.count(of: "invalid", in: "epo")) == 10 })
            let late = "SELECT count(*) FROM scheduler.opened WHERE namespace = 'epo' AND tx > '\(after)'::xid8"
            #expect(try await fixture.count(late) == 0)
            try await define(
                """
                DROP TRIGGER note_opened ON scheduler.executions;
                DROP FUNCTION scheduler.note_opened;
                DROP TABLE scheduler.opened
                """, on: fixture)
        }

        /// Changes the schema under a service that works: its own transactions may be in the way.
        private func define(_ script: String, on fixture: ServiceFixture) async throws {
            for _ in 0..<9 {
                do { return try await fixture.database.execute(script: script) } catch {
                    guard error.sqlState == "40P01" else { throw error }
                }
            }
            try await fixture.database.execute(script: script)
        }

        @Test("The file is watched: an edit revokes, allows and heals; a broken one changes nothing and is told")
        func file() async throws {
            let fixture = try await RuleSystem.running.fixture
            let path = fixture.folder + "/targets.yaml"
            #expect(
                try await fixture.ask("target.revoke", #"{"namespace":"filed","subject":"filed.a"}"#)["error"]?[
                    "err_code"]?
                    .int64 == 20434)
            try await fixture.done("schedule.create", Self.body("a", "filed.a"), in: "filed")
            let probe = Self.body("probe", "filed.b", "3600", #","dry_run":true"#)
            #expect(try await fixture.everywhere("schedule.create", probe, in: "filed") == [30403])
            try Filesystem.write(RuleSystem.targets("filed.b"), to: path)
            #expect(
                await waitUntil(.seconds(5)) {
                    (try? await fixture.everywhere("schedule.create", probe, in: "filed")) == [0]
                })
            #expect(await waitUntil(.seconds(3)) { (try? await fixture.count(of: "invalid", in: "filed")) == 1 })
            try Filesystem.write("targets: [", to: path)
            #expect(await waitUntil(.seconds(5)) { await self.warned(true, fixture) })
            #expect(try await fixture.everywhere("schedule.create", probe, in: "filed") == [0])
            Filesystem.remove(path)
            #expect(await waitUntil(.seconds(5)) { await self.warned(true, fixture) })
            #expect(try await fixture.everywhere("schedule.create", probe, in: "filed") == [0])
            try Filesystem.write(RuleSystem.targets("filed.a"), to: path)
            #expect(await waitUntil(.seconds(3)) { (try? await fixture.count(of: "active", in: "filed")) == 1 })
            #expect(await waitUntil(.seconds(5)) { await self.warned(false, fixture) })
        }

        /// Whether each of the answers says that the file is not in force, or that it is; all are ready meanwhile.
        private func warned(_ isWarned: Bool, _ fixture: ServiceFixture) async -> Bool {
            var answers: [JSONValue] = []
            for _ in 0..<3 { answers += (try? await fixture.statuses()) ?? [] }
            return !answers.isEmpty
                && answers.allSatisfy {
                    $0["ready"]?.bool == true
                        && $0.items("warnings").contains { $0.string?.contains("TARGETS_FILE") == true } == isWarned
                }
        }

        @Test(
            "Each fault has its code and its place, and changes nothing",
            arguments: [
                ("target.allow", #"{}"#, "10425 /namespace /subject"),
                ("target.allow", #"{"namespace":"a b","subject":"a..b"}"#, "10426 /namespace /subject"),
                ("target.allow", #"{"namespace":"*","subject":"$JS.API.>"}"#, "30404 /subject"),
                ("target.allow", #"{"namespace":"*","subject":"_INBOX.>"}"#, "30404 /subject"),
                ("target.allow", #"{"namespace":"*","subject":"scheduler.cmd.>"}"#, "30404 /subject"),
                ("target.allow", #"{"namespace":"*","subject":"a","delivery":["pigeon"]}"#, "10426 /delivery"),
                ("target.allow", #"{"namespace":"*","subject":"a","delivery":[]}"#, "10424 /delivery"),
                ("target.allow", #"{"namespace":"*","subject":"a","payload_schema":5}"#, "10424 /payload_schema"),
                ("target.allow", #"{"namespace":"*","subject":"a","max_payload_bytes":0}"#, "10426 /max_payload_bytes"),
                ("target.allow", #"{"namespace":"*","subject":"a","colour":1}"#, "10423 /colour"),
                ("target.revoke", #"{"namespace":"*","subject":"nobody.allowed"}"#, "20406"),
                ("target.list", #"{"colour":1}"#, "10423 /colour"),
                ("target.list", #"{"cursor":"x"}"#, "10405 /cursor"),
            ])
        func faults(command: String, body: String, expected: String) async throws {
            let fixture = try await RuleSystem.running.fixture
            #expect(
                try await fixture.refused(command, Array(body.utf8), subject: "scheduler.admin.\(command)") == expected)
        }

        @Test("The allow-list is listed in pages, and a page with long schemas ends early")
        func pages() async throws {
            let fixture = try await RuleSystem.running.fixture
            let schema = #"{"description":"\#(String(repeating: "x", count: 60_000))"}"#
            for n in 0..<6 {
                try await fixture.administer(
                    "target.allow", #"{"namespace":"pages","subject":"pages.\#(n)","payload_schema":\#(schema)}"#)
            }
            var subjects: [String] = []
            var sizes: [Int] = []
            var cursor: String?
            repeat {
                let more = cursor.map { #"{"cursor":"\#($0)"}"# } ?? "{}"
                let page = try await fixture.done("target.list", more, in: "pages")
                subjects += page.items("targets").compactMap { $0["subject"]?.string }
                sizes.append(page.items("targets").count)
                cursor = page["next_cursor"]?.string
            } while cursor != nil
            #expect(subjects == ["demo.>"] + (0..<6).map { "pages.\($0)" } && sizes == [6, 1], "\(subjects) \(sizes)")
            let first = try await fixture.done("target.list", #"{"limit":1}"#, in: "pages")
            #expect(first.items("targets").count == 1 && first["next_cursor"] != nil)
        }

        @Test("A target that nobody takes from is a warning in the reply, and no refusal")
        func warnings() async throws {
            let fixture = try await RuleSystem.running.fixture
            func warned(_ command: String, _ body: String) async throws -> [String] {
                try await fixture.done(command, body, in: "life").items("warnings").map {
                    "\($0["pointer"]?.string ?? "") \($0["message"]?.string ?? "")"
                }
            }
            func body(_ name: String, _ target: String, _ delivery: String = "jetstream") -> String {
                #"{"name":"\#(name)","schedule_type":"interval","interval_seconds":3600,"target_command":"\#(target)","delivery":"\#(delivery)"}"#
            }
            let none = "/target_command no stream takes 'demo.nobody': a fire would wait and be tried again"
            #expect(try await warned("schedule.create", body("n", "demo.nobody")) == [none])
            #expect(try await warned("schedule.create", body("c", "demo.nobody", "core")) == [])
            #expect(
                try await warned("schedule.create", body("i", "demo.js.idle"))
                    == ["/target_command stream 'DEMO' takes 'demo.js.idle', and has no consumer yet"])
            _ = try await JetStreamAPI(fixture.client).request(
                "CONSUMER.DURABLE.CREATE.DEMO.reader",
                body: Array(
                    #"{"stream_name":"DEMO","config":{"durable_name":"reader","ack_policy":"explicit"}}"#.utf8))
            #expect(try await warned("schedule.create", body("r", "demo.js.read")) == [])
            #expect(
                try await warned("schedule.update", #"{"name":"r","target_command":"demo.nobody"}"#) == [none])
            #expect(try await warned("schedule.update", #"{"name":"r","priority":1}"#) == [])
            for (name, expected) in [("n", [none]), ("c", [])] {
                #expect(
                    try await warned("schedule.explain", #"{"name":"\#(name)","at":"2126-01-01T00:00:00Z"}"#)
                        == expected)
            }
        }
    }
}
