import JSONText
import LocalServers
import NATSClient
import PostgresClient
import ServiceFixture
import Testing

extension Integration {
    /// `admin.system.verify` with `"check":"ledger"`, and `carillon verify`: the ledger against the schedules' own times.
    @Suite("The proof of the ledger", .serialized, .timeLimit(.minutes(2))) struct LedgerProofTests {
        private static let namespace = "proof"

        private func create(_ name: String, _ timing: String, _ fixture: ServiceFixture) async throws -> String {
            let body = #"{"name":"\#(name)",\#(timing),"target_command":"demo.\#(name)","delivery":"core"}"#
            return try await fixture.done("schedule.create", body, in: Self.namespace).id
        }

        private func ask(_ body: String, _ fixture: ServiceFixture) async throws -> JSONValue {
            try await fixture.administer("system.verify", body)
        }

        private func ledger(of name: String, _ fixture: ServiceFixture, _ fields: String = "") async throws -> JSONValue
        {
            let body = #"{"check":"ledger","namespace":"\#(Self.namespace)","schedule_name":"\#(name)"\#(fields)}"#
            return try #require(try await ask(body, fixture)["verified"]?["ledger"])
        }

        /// `kind count` of each problem.
        private func problems(_ ledger: JSONValue) -> [String] {
            ledger.items("problems").map { "\($0["kind"]?.string ?? "?") \($0["count"]?.int64 ?? -1)" }
        }

        private func delivered(_ id: String) -> String {
            "SELECT least(count(*), 2) FROM scheduler.executions WHERE schedule_id = '\(id)' AND state = 'delivered'"
        }

        @Test("Schedules of each type, edited, paused and deleted in mid-run: the ledger is whole")
        func whole() async throws {
            let fixture = try await SharedSystem.running.fixture
            let timings = [
                ("pi", #""schedule_type":"interval","interval_seconds":0.5"#),
                ("pc", #""schedule_type":"cron","cron_expression":"* * * * * *","timezone":"Europe/Paris""#),
                ("pr", #""schedule_type":"rrule","rrule":"FREQ=SECONDLY""#),
                ("pl", #""schedule_type":"interval","interval_seconds":0.5,"max_runs":2"#),
                ("pd", #""schedule_type":"interval","interval_seconds":0.5,"spread_seconds":0.5"#),
            ]
            var ids: [String] = []
            for (name, timing) in timings { ids.append(try await create(name, timing, fixture)) }
            let single = try await create("po", #""schedule_type":"immediate""#, fixture)
            for id in ids { #expect(await fixture.waits(until: delivered(id), is: 2)) }
            try await fixture.done(
                "schedule.update", #"{"name":"pi","interval_seconds":0.2}"#, in: Self.namespace)
            try await fixture.done("schedule.pause", #"{"name":"pr"}"#, in: Self.namespace)
            try await fixture.done("schedule.delete", #"{"name":"pd"}"#, in: Self.namespace)
            let second = """
                SELECT least(count(*), 2) FROM scheduler.executions
                WHERE schedule_id = '\(ids[0])' AND generation = 2 AND state = 'delivered'
                """
            #expect(await fixture.waits(until: second, is: 2))
            try await fixture.done("schedule.resume", #"{"name":"pr"}"#, in: Self.namespace)
            for name in ["pi", "pc", "pr"] {
                try await fixture.done("schedule.pause", #"{"name":"\#(name)"}"#, in: Self.namespace)
            }
            let open = """
                SELECT count(*) FROM scheduler.executions e JOIN scheduler.schedules s ON s.id = e.schedule_id
                WHERE s.namespace = 'proof' AND e.finished_at IS NULL
                """
            #expect(await fixture.waits(until: open, is: 0))
            let found = try await ask(#"{"check":"ledger","namespace":"proof"}"#, fixture)
            let ledger = try #require(found["verified"]?["ledger"])
            #expect(ledger["ok"]?.bool == true && ledger["complete"]?.bool == true, "\(ledger)")
            #expect(problems(ledger).isEmpty && ledger["open"]?.int64 == 0 && ledger.items("unproved").isEmpty)
            #expect(ledger["schedules"]?.int64 ?? 0 >= 6 && ledger["occurrences"]?.int64 == ledger["ended"]?.int64)
            #expect(ledger["occurrences"]?.int64 ?? 0 > 12)
            try await spoil(ids, single, fixture)
        }

        /// Of what ran, one row less is missed: of the generation before the edit, of one whose runs are spent.
        private func spoil(_ ids: [String], _ single: String, _ fixture: ServiceFixture) async throws {
            for (name, id, generation) in [("pi", ids[0], 1), ("pi", ids[0], 2), ("pr", ids[2], 1), ("po", single, 1)] {
                let gone = try await fixture.rows(
                    """
                    WITH gone AS (
                        SELECT id FROM scheduler.executions WHERE schedule_id = '\(id)' AND generation = \(generation)
                            AND range_from IS NULL ORDER BY id LIMIT 1),
                    deleted AS (DELETE FROM scheduler.executions WHERE id IN (SELECT id FROM gone) RETURNING *)
                    SELECT to_char(scheduled_for AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') FROM deleted
                    """)
                let reference = name == "po" ? "schedule_id\":\"\(id)" : "schedule_name\":\"\(name)"
                let found = try await ask(
                    #"{"check":"ledger","namespace":"proof","\#(reference)"}"#, fixture)
                let missing = try #require(found["verified"]?["ledger"]).items("problems").compactMap {
                    $0["kind"]?.string == "missing" ? $0["from"]?.string : nil
                }
                #expect(missing.contains(gone[0][0] ?? "?"), "\(name): \(missing)")
            }
            // What is spoilt is nobody else's business.
            try await fixture.database.execute(
                script: "DELETE FROM scheduler.executions WHERE schedule_id IN ('\(ids[0])', '\(ids[2])', '\(single)')")
            try await fixture.database.execute(
                script:
                    "UPDATE scheduler.schedules SET namespace = 'spoilt' WHERE id IN ('\(ids[0])', '\(ids[2])', '\(single)')"
            )
        }

        /// An hourly schedule that was paused for a day, and then resumed: one range of skips.
        private func slept(_ name: String, _ fixture: ServiceFixture) async throws -> String {
            let id = try await create(name, #""schedule_type":"cron","cron_expression":"0 * * * *""#, fixture)
            try await fixture.done("schedule.pause", #"{"name":"\#(name)"}"#, in: Self.namespace)
            try await fixture.database.execute(
                script: """
                    UPDATE scheduler.schedules SET created_at = date_trunc('hour', now()) - interval '1 day',
                        anchor_at = date_trunc('hour', now()) - interval '1 day' WHERE id = '\(id)';
                    UPDATE scheduler.timers SET resume_from = date_trunc('hour', now()) - interval '23 hours'
                    WHERE schedule_id = '\(id)'
                    """)
            let waiting = try await ledger(of: name, fixture)
            #expect(waiting["waiting"]?.int64 == 24 && waiting["ok"]?.bool == true, "\(waiting)")
            try await fixture.done("schedule.resume", #"{"name":"\#(name)"}"#, in: Self.namespace)
            return id
        }

        @Test("What is deleted, doubled or put in by SQL is told, with when and how many")
        func oracle() async throws {
            let fixture = try await SharedSystem.running.fixture
            let id = try await slept("or", fixture)
            let whole = try await ledger(of: "or", fixture, #","from":"\#(try await ago(25, fixture))""#)
            #expect(problems(whole).isEmpty && whole["ended"]?.int64 == 24, "\(whole)")
            // A piece of time that a range reaches into, and begins before.
            let piece = try await ledger(
                of: "or", fixture, #","from":"\#(try await ago(12, fixture))","to":"\#(try await ago(10, fixture))""#)
            #expect(problems(piece).isEmpty && piece["occurrences"]?.int64 == 2, "\(piece)")
            let columns = """
                schedule_id, due_at, claimed_at, finished_at, fence, schedule_version, missed_count, attempt, generation,
                state, origin, trigger, reason
                """
            func insert(_ hours: Int, from: Int?, count: Int) async throws {
                let last = "scheduled_for - interval '\(hours) hours'"
                try await fixture.database.execute(
                    script: """
                        INSERT INTO scheduler.executions (id, scheduled_for, range_from, range_count, \(columns))
                        SELECT (lpad(to_hex(floor(extract(epoch FROM \(last)) * 1000)::bigint), 12, '0')
                                || substr(md5('\(hours)'), 1, 20))::uuid, \(last),
                            \(from.map { "scheduled_for - interval '\($0) hours'" } ?? "NULL"), \(count), \(columns)
                        FROM scheduler.executions WHERE schedule_id = '\(id)' AND range_count = 24
                        """)
            }
            try await insert(2, from: 5, count: 4)
            #expect(try await problems(ledger(of: "or", fixture)) == ["identity 1", "double 4"])
            try await insert(1, from: 3, count: 5)
            #expect(
                try await Set(problems(ledger(of: "or", fixture)))
                    == ["identity 1", "double 4", "double 3", "miscounted 3"])
            try await fixture.database.execute(
                script: "DELETE FROM scheduler.executions WHERE schedule_id = '\(id)' AND range_count = 24")
            let gone = try await ledger(of: "or", fixture)
            #expect(problems(gone).contains("missing 18") && gone["ok"]?.bool == false, "\(problems(gone))")
            let sentence = gone.items("problems").compactMap { $0["description"]?.string }.joined(separator: "; ")
            #expect(sentence.contains("18 occurrences") && sentence.contains("no range covers them"), "\(sentence)")
            // Half past is no occurrence.
            try await fixture.database.execute(
                script: """
                    UPDATE scheduler.timers SET next_fire_at = next_fire_at WHERE schedule_id = '\(id)';
                    INSERT INTO scheduler.executions (id, scheduled_for, \(columns))
                    SELECT (lpad(to_hex(floor(extract(epoch FROM scheduled_for + interval '30 minutes') * 1000)::bigint),
                            12, '0') || substr(md5('x'), 1, 20))::uuid, scheduled_for + interval '30 minutes', \(columns)
                    FROM scheduler.executions WHERE schedule_id = '\(id)' LIMIT 1
                    """)
            #expect(try await problems(ledger(of: "or", fixture)).contains("unexplained 1"))
            try await commandLine(fixture)
            try await fixture.done("schedule.delete", #"{"name":"or"}"#, in: Self.namespace)
        }

        private func ago(_ hours: Int, _ fixture: ServiceFixture) async throws -> String {
            let text =
                "to_char((now() - interval '\(hours) hours') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
            return try await fixture.rows("SELECT \(text)")[0][0] ?? ""
        }

        /// `carillon verify` says the same, and its exit code.
        private func commandLine(_ fixture: ServiceFixture) async throws {
            func carillon(_ arguments: String...) async throws -> (code: Int32?, text: String) {
                let log = fixture.folder + "/verify-\(arguments.count).log"
                let process = try ChildProcess(
                    [ServiceFixture.program, "verify"] + arguments,
                    environment: ["NATS_URL": await fixture.nats.url], logPath: log)
                _ = await process.waitForEnd(.seconds(20))
                return (process.exitCode, Filesystem.tail(log, bytes: 1 << 16))
            }
            let spoilt = try await carillon("--namespace", Self.namespace, "--schedule", "or")
            #expect(spoilt.code == 1 && spoilt.text.contains("proof/or: missing: 18 occurrences"), "\(spoilt)")
            #expect(spoilt.text.contains("of 1 schedules") && spoilt.text.contains("entries checked"))
            let clean = try await carillon("--namespace", "nobody", "--ledger-only")
            #expect(clean.code == 0 && clean.text.contains("0 occurrences of 0 schedules"), "\(clean)")
            let old = try await carillon("--namespace", "nobody", "--from", "2020-01-01T00:00:00Z", "--ledger-only")
            #expect(old.code == 2 && old.text.contains("the history is kept no longer"), "\(old)")
            #expect(try await carillon("--schedule", "or").code == 64)
        }

        @Test("A look ends where its bound is, and goes on from there: all pieces say what the whole says")
        func pieces() async throws {
            let fixture = try await SharedSystem.running.fixture
            for number in 0..<3 {
                let timing = #""schedule_type":"interval","interval_seconds":0.1,"max_runs":4"#
                let id = try await create("pp\(number)", timing, fixture)
                let ended =
                    "SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(id)' AND fired_at IS NOT NULL"
                #expect(await fixture.waits(until: ended, is: 4))
            }
            let whole = try await ask(#"{"check":"ledger","namespace":"proof"}"#, fixture)
            var (schedules, ended): (Int64, Int64) = (0, 0)
            var cursor = ""
            var looks = 0
            repeat {
                let reply = try await ask(#"{"check":"ledger","namespace":"proof","limit":1\#(cursor)}"#, fixture)
                let ledger = try #require(reply["verified"]?["ledger"])
                schedules += ledger["schedules"]?.int64 ?? 0
                ended += ledger["ended"]?.int64 ?? 0
                looks += 1
                cursor = reply["next_cursor"]?.string.map { #","cursor":"\#($0)""# } ?? ""
                #expect(ledger["complete"]?.bool == cursor.isEmpty)
            } while !cursor.isEmpty && looks < 100
            let ledger = try #require(whole["verified"]?["ledger"])
            #expect(ledger["schedules"]?.int64 == schedules && schedules == Int64(looks))
            #expect(ledger["ended"]?.int64 == ended)
        }

        /// A paused schedule of each second, with rows for its first 1,150 occurrences, whose ids PostgreSQL computed.
        private func long(_ fixture: ServiceFixture) async throws -> String {
            let timing = #""schedule_type":"interval","interval_seconds":1,"paused":true"#
            let id = try await create("long", timing, fixture)
            try await fixture.database.execute(
                script: """
                    UPDATE scheduler.schedules SET created_at = date_trunc('second', now()) - interval '1 hour',
                        anchor_at = date_trunc('second', now()) - interval '1 hour' WHERE id = '\(id)';
                    UPDATE scheduler.timers t SET resume_from = s.created_at + interval '1151 s'
                    FROM scheduler.schedules s WHERE s.id = t.schedule_id AND s.id = '\(id)';
                    INSERT INTO scheduler.executions (id, schedule_id, scheduled_for, due_at, claimed_at, finished_at,
                        fence, schedule_version, missed_count, attempt, generation, state, origin, trigger, reason)
                    SELECT (lpad(to_hex(ms), 12, '0') || '8' || substr(h, 14, 3)
                            || to_hex(8 | (('x' || substr(h, 17, 1))::bit(4)::int & 3)) || substr(h, 18, 15))::uuid,
                        id, at, at, at, at, k, 1, 0, 0, 1, 'skipped', 'time', 'interval', 'misfire'
                    FROM (SELECT s.id, k, at, ms, encode(sha256(uuid_send(s.id) || int8send(1) || int8send(0)
                            || int8send(ms) || int8send(0)), 'hex') AS h
                        FROM scheduler.schedules s CROSS JOIN generate_series(1, 1150) k
                        CROSS JOIN LATERAL (
                            SELECT at, (extract(epoch FROM at) * 1000)::bigint AS ms
                            FROM (SELECT s.created_at + k * interval '1 second' AS at) a) t
                        WHERE s.id = '\(id)') o
                    """)
            return id
        }

        @Test(
            "A schedule with more rows than a piece has is looked at piece by piece, and a gap at their seam is found")
        func seams() async throws {
            let fixture = try await SharedSystem.running.fixture
            let id = try await long(fixture)
            func looks() async throws -> (ended: Int64, count: Int, problems: [String]) {
                var (ended, count, found, cursor) = (Int64(0), 0, [String](), "")
                repeat {
                    let scope = #""namespace":"proof","schedule_name":"long","limit":1"#
                    let reply = try await ask(#"{"check":"ledger",\#(scope)\#(cursor)}"#, fixture)
                    let ledger = try #require(reply["verified"]?["ledger"])
                    ended += ledger["ended"]?.int64 ?? 0
                    found += problems(ledger)
                    count += 1
                    cursor = reply["next_cursor"]?.string.map { #","cursor":"\#($0)""# } ?? ""
                } while !cursor.isEmpty && count < 10
                return (ended, count, found)
            }
            var found = try await looks()
            #expect(found.ended == 1150 && found.count == 3 && found.problems.isEmpty, "\(found)")
            // Behind the last row of the first piece.
            try await fixture.database.execute(
                script: """
                    DELETE FROM scheduler.executions WHERE id IN (
                        SELECT id FROM scheduler.executions WHERE schedule_id = '\(id)' ORDER BY id OFFSET 499 LIMIT 2)
                    """)
            found = try await looks()
            #expect(found.ended == 1148 && found.problems == ["missing 2"], "\(found)")
            try await fixture.done("schedule.delete", #"{"name":"long"}"#, in: Self.namespace)
            try await fixture.database.execute(
                script: "DELETE FROM scheduler.executions WHERE schedule_id = '\(id)'")
            try await fixture.database.execute(
                script: "UPDATE scheduler.schedules SET namespace = 'spoilt' WHERE id = '\(id)'")
        }

        @Test("A long backfill that waits for its rate is open and no problem; what nobody has in hand is one")
        func backfills() async throws {
            let fixture = try await SharedSystem.running.fixture
            let timing = #""schedule_type":"interval","interval_seconds":1,"start_at":"2026-01-01T00:00:00Z""#
            let id = try await create("pb", timing + #","paused":true"#, fixture)
            let from = try await ago(1, fixture)
            try await fixture.done(
                "schedule.backfill", #"{"name":"pb","from":"\#(from)","limit":1000}"#, in: Self.namespace)
            // As if it had been asked for long ago.
            let waiting = "schedule_id = '\(id)' AND state = 'claimed'"
            try await fixture.database.execute(
                script: """
                    UPDATE scheduler.executions SET claimed_at = now() - interval '1 hour',
                        due_at = now() - interval '1 hour' WHERE \(waiting)
                    """)
            let scope = #","from":"\#(try await ago(2, fixture))""#
            let found = try await ledger(of: "pb", fixture, scope)
            #expect(!problems(found).contains { $0.hasPrefix("open") }, "\(problems(found))")
            #expect(found["open"]?.int64 ?? 0 > 300, "\(found)")
            let columns = """
                schedule_id, scheduled_for, due_at, claimed_at, fence, schedule_version, missed_count, attempt, generation,
                state, origin, trigger, ordinal, claimed_by
                """
            let lost = "a" + (try await fixture.rows("SELECT substr(md5('lost'), 1, 19)")[0][0] ?? "")
            try await fixture.database.execute(
                script: """
                    INSERT INTO scheduler.executions (id, \(columns))
                    SELECT (substr(replace(id::text, '-', ''), 1, 12) || '\(lost)')::uuid, \(columns)
                    FROM scheduler.executions WHERE \(waiting) ORDER BY id DESC LIMIT 1
                    """)
            let spoilt = try await ledger(of: "pb", fixture, scope)
            #expect(problems(spoilt).contains("open 1"), "\(problems(spoilt))")
            let suffix = "replace(id::text, '-', '') LIKE '%\(lost)'"
            try await fixture.database.execute(script: "DELETE FROM scheduler.executions WHERE \(suffix)")
            try await fixture.done("schedule.delete", #"{"name":"pb"}"#, in: Self.namespace)
            #expect(
                await fixture.waits(until: "SELECT count(*) FROM scheduler.executions WHERE \(waiting)", is: 0))
            try await fixture.database.execute(
                script: "UPDATE scheduler.schedules SET namespace = 'spoilt' WHERE id = '\(id)'")
        }

        @Test(
            "What a look at the ledger refuses",
            arguments: [
                (#""cursor":"x""#, "10405 /cursor"), (#""schedule_name":"a""#, "10425 /namespace"),
                (#""from":5"#, "10424 /from"), (#""known_sequence":5"#, "10423 /known_sequence"),
                (#""from":"2026-01-02T00:00:00Z","to":"2026-01-01T00:00:00Z""#, "10426 /from"),
                (#""to":"2126-01-01T00:00:00Z""#, "10426 /to"),
                (#""limit":0,"namespace":".""#, "10426 /limit /namespace"),
                (#""namespace":"proof","schedule_name":"nobody""#, "20404"),
                (#""namespace":"proof","schedule_id":"01a1fd73-4acf-7c52-9c07-fd9a55eb6b51""#, "20404"),
            ])
        func refusals(fields: String, expected: String) async throws {
            let fixture = try await SharedSystem.running.fixture
            let body = Array(#"{"check":"ledger",\#(fields)}"#.utf8)
            #expect(
                try await fixture.refused("system.verify", body, subject: "scheduler.admin.system.verify") == expected)
        }
    }
}
