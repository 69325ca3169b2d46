import JSONText
import LocalServers
import NATSClient
import PostgresClient
import Recurrence
import SchedulerStore
import ServiceFixture
import Testing

extension Integration {
    /// The audit log under two instances, and under somebody who writes to the database by hand.
    @Suite("The audit log", .serialized, .timeLimit(.minutes(2))) struct AuditTests {
        /// What an admin's psql can do, as docs/audit.md has it: entries whose hash does not follow from the one before.
        private static let oracle = """
            WITH chain AS (
                SELECT a.*, lag(a.hash, 1, c.anchor_hash) OVER (ORDER BY a.sealed_seq) AS previous
                FROM scheduler.audit_log a, scheduler.audit_chain c WHERE a.sealed_seq IS NOT NULL)
            SELECT count(*) FROM chain, LATERAL (
                SELECT string_agg(CASE WHEN f IS NULL THEN '~' ELSE octet_length(f) || ':' || f || ',' END, '' ORDER BY n)
                FROM unnest(ARRAY['carillon.audit.1', sealed_seq::text,
                    (extract(epoch FROM sealed_at) * 1000000)::bigint::text, id::text,
                    (extract(epoch FROM at) * 1000000)::bigint::text, schedule_id::text, fence::text, version::text,
                    namespace, name, action, actor, reason, request_id,
                    encode(sha256(convert_to(before::text, 'UTF8')), 'hex'),
                    encode(sha256(convert_to(after::text, 'UTF8')), 'hex')]) WITH ORDINALITY u (f, n)) t (canonical)
            WHERE hash <> sha256(previous || convert_to(canonical, 'UTF8'))
            """
        private static let unsealed = "SELECT count(*) FROM scheduler.audit_log WHERE sealed_seq IS NULL"

        private func admin(_ verb: String, _ body: String = "", on fixture: ServiceFixture) async throws -> JSONValue {
            let reply = try await fixture.client.request(
                try Subject("scheduler.admin.system.\(verb)"), payload: Array(body.utf8), timeout: .seconds(5))
            return try JSONValue.parse(reply.payload)
        }

        /// `ok`, or the place and the problem of the first broken entry.
        private func verdict(_ body: String = "", on fixture: ServiceFixture) async throws -> String {
            let reply = try await admin("verify", body, on: fixture)
            let audit = try #require(reply["verified"]?["audit"], "\(String(decoding: reply.bytes, as: UTF8.self))")
            guard let broken = audit["broken"] else { return audit["ok"]?.bool == true ? "ok" : "?" }
            return "\(broken["sequence"]?.int64 ?? 0) \(broken["problem"]?.string ?? "?")"
        }

        private func create(_ name: String, on fixture: ServiceFixture) async throws -> JSONValue {
            try await fixture.done(
                "schedule.create",
                #"""
                {"name":"\#(name)","schedule_type":"interval","interval_seconds":3600,"target_command":"demo.a",
                 "delivery":"core","actor":"ann","reason":"because","request_id":"create-\#(name)"}
                """#, in: "audit")
        }

        @Test("Two instances seal one chain; tampering is found where it is; a drained instance goes")
        func story() async throws {
            let fixture = try await ServiceFixture.start()
            let one = try await fixture.startInstance("one")
            let two = try await fixture.startInstance("two")
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<24 { group.addTask { _ = try await create("s\(number)", on: fixture) } }
                try await group.waitForAll()
            }
            #expect(await fixture.waits(until: Self.unsealed, is: 0))
            #expect(try await fixture.count(Self.oracle) == 0)
            #expect(
                try await fixture.rows("SELECT count(*)::text, max(sealed_seq)::text FROM scheduler.audit_log") == [
                    ["24", "24"]
                ])
            try await outOfOrder(fixture)
            try await tampering(fixture)
            try await lists(fixture)
            try await retention(fixture)
            try await drain(two, keeping: one, fixture)
            await fixture.stop()
        }

        /// An entry whose id was taken first and that is committed last.
        private func outOfOrder(_ fixture: ServiceFixture) async throws {
            let insert = """
                INSERT INTO scheduler.audit_log (at, fence, namespace, action) VALUES (now(), 0, 'audit', 'x')
                """
            let sealed = "SELECT count(*) FROM scheduler.audit_log WHERE hash IS NOT NULL"
            let url = await fixture.postgres.url(database: "carillon")
            let slow = try PostgresConnection(PostgresConfiguration(url))
            try await slow.transaction { transaction in
                try await transaction.execute(script: insert)
                try await fixture.database.execute(script: insert)
                // Only the second is seen, and sealed.
                #expect(await fixture.waits(until: sealed, is: 25))
            }
            #expect(await fixture.waits(until: sealed, is: 26))
            #expect(
                try await fixture.rows(
                    "SELECT sealed_seq::text FROM scheduler.audit_log WHERE action = 'x' ORDER BY id"
                ) == [["26"], ["25"]])
            #expect(try await verdict(on: fixture) == "ok")
            #expect(try await fixture.count(Self.oracle) == 0)
            await slow.close()
        }

        private func tampering(_ fixture: ServiceFixture) async throws {
            let head = try #require(try await admin("verify", on: fixture)["verified"]?["audit"]?["head"])
            let known = """
                {"known_sequence":\(head["sequence"]?.int64 ?? 0),"known_hash":"\(head["hash"]?.string ?? "")"}
                """
            #expect(try await verdict(known, on: fixture) == "ok")
            #expect(try await verdict(#"{"from":20,"to":24}"#, on: fixture) == "ok")
            try await fixture.database.execute(script: "CREATE TABLE public.kept AS SELECT * FROM scheduler.audit_log")
            let log = "scheduler.audit_log"
            // Every column that there is, but for the places of entries.
            let edits = [
                "at = at + interval '1 us'", "sealed_at = sealed_at + interval '1 us'", "hash = sha256(hash)",
                "schedule_id = gen_random_uuid()", "fence = fence + 1", "version = NULL", "namespace = 'other'",
                "name = name || 'x'", "action = 'updated'", "actor = 'bob'", "reason = 'another'", "request_id = NULL",
                "before = 'null'", "after = (after::text || ' ')::json",
            ].map { ("UPDATE \(log) SET \($0) WHERE sealed_seq = 5", "5 altered") }
            let attacks: [(sql: String, found: String)] =
                edits + [
                    ("DELETE FROM \(log) WHERE sealed_seq = 7", "7 missing"),
                    ("DELETE FROM \(log) WHERE sealed_seq = 26", "26 missing"),
                    (
                        """
                        DELETE FROM \(log) WHERE sealed_seq = 6;
                        INSERT INTO \(log) (at, fence, namespace, action, sealed_seq, sealed_at, hash)
                        SELECT at, fence, namespace, 'deleted', 6, sealed_at, hash FROM public.kept WHERE sealed_seq = 6
                        """, "6 altered"
                    ),
                    (
                        """
                        INSERT INTO \(log) (at, fence, namespace, action, sealed_seq, sealed_at, hash)
                        VALUES (now(), 0, 'audit', 'created', 999, now(), '\\x00')
                        """, "999 outside"
                    ),
                ]
            for (sql, found) in attacks {
                try await fixture.database.execute(script: sql)
                #expect(try await verdict(on: fixture) == found, "\(sql)")
                try await restore(fixture)
                #expect(try await verdict(on: fixture) == "ok")
            }
            // Who can write the head too is found by a head that was kept outside, and by nothing else.
            try await fixture.database.execute(
                script: """
                    DELETE FROM \(log) WHERE sealed_seq = 26;
                    UPDATE scheduler.audit_chain SET head_seq = 25,
                        head_hash = (SELECT hash FROM \(log) WHERE sealed_seq = 25)
                    """)
            #expect(try await verdict(on: fixture) == "ok")
            #expect(try await verdict(known, on: fixture) == "26 truncated")
            try await restore(fixture)
            #expect(try await verdict(known, on: fixture) == "ok")
        }

        private func restore(_ fixture: ServiceFixture) async throws {
            try await fixture.database.execute(
                script: """
                    BEGIN; DELETE FROM scheduler.audit_log;
                    INSERT INTO scheduler.audit_log OVERRIDING SYSTEM VALUE SELECT * FROM public.kept;
                    UPDATE scheduler.audit_chain SET head_seq = 26,
                        head_hash = (SELECT hash FROM public.kept WHERE sealed_seq = 26);
                    COMMIT
                    """)
        }

        private func lists(_ fixture: ServiceFixture) async throws {
            try await fixture.done(
                "schedule.update",
                #"{"name":"s3","interval_seconds":1800,"actor":"bob","reason":"more often","request_id":"u-1"}"#,
                in: "audit")
            func list(_ body: String, in namespace: String = "audit") async throws -> [String] {
                try await fixture.done("audit.list", body, in: namespace).items("entries").map {
                    "\($0["name"]?.string ?? "-") \($0["action"]?.string ?? "") \($0["actor"]?.string ?? "-")"
                }
            }
            #expect(try await list(#"{"schedule_name":"s3"}"#) == ["s3 updated bob", "s3 created ann"])
            #expect(try await list(#"{"actor":"bob"}"#) == ["s3 updated bob"])
            #expect(try await list(#"{"action":"updated"}"#) == ["s3 updated bob"])
            #expect(try await list(#"{"request_id":"create-s7"}"#) == ["s7 created ann"])
            #expect(try await list(#"{"to":"2020-01-01T00:00:00Z"}"#) == [])
            #expect(try await list(#"{"from":"2020-01-01T00:00:00Z","limit":1}"#) == ["s3 updated bob"])
            #expect(try await list("", in: "others") == [])
            let updated = try await fixture.done("audit.list", #"{"actor":"bob"}"#, in: "audit").items("entries")[0]
            let change = updated.items("changes").first { $0["pointer"]?.string == "/interval_seconds" }
            #expect(change?["from"]?.int64 == 3600 && change?["to"]?.int64 == 1800)
            #expect(updated["reason"]?.string == "more often" && updated["before"] == nil)
            let full = try await fixture.done("audit.list", #"{"actor":"bob","full":true}"#, in: "audit")
            #expect(full.items("entries")[0]["before"]?["interval_seconds"]?.int64 == 3600)
            // Pages: each entry once, newest first.
            var (seen, cursor): ([Int64], String?) = ([], nil)
            repeat {
                let body = cursor.map { #"{"limit":10,"cursor":"\#($0)"}"# } ?? #"{"limit":10}"#
                let page = try await fixture.done("audit.list", body, in: "audit")
                seen += page.items("entries").map { $0["id"]?.int64 ?? 0 }
                cursor = page["next_cursor"]?.string
            } while cursor != nil
            #expect(seen.count == 27 && Set(seen).count == 27)
        }

        /// The oldest entries go, and what stays can be verified from the anchor on, page by page.
        private func retention(_ fixture: ServiceFixture) async throws {
            #expect(await fixture.waits(until: Self.unsealed, is: 0))
            #expect(await fixture.waits(until: "SELECT count(*) FROM scheduler.outbox", is: 0))
            let later = Instant(milliseconds: 4_000_000_000_000)
            // Today's entries are kept whatever is asked, unless the schema's owner says otherwise.
            #expect(try await AuditChainTable.forget(before: later, page: 10, on: fixture.database) == 0)
            try await fixture.database.execute(script: "UPDATE scheduler.retention_floors SET audit_days = 0")
            #expect(try await AuditChainTable.forget(before: later, page: 10, on: fixture.database) == 10)
            #expect(try await verdict(on: fixture) == "ok")
            let first = try await admin("verify", #"{"limit":5}"#, on: fixture)
            let audit = try #require(first["verified"]?["audit"])
            #expect(audit["anchor"]?["sequence"]?.int64 == 10 && audit["complete"]?.bool == false)
            #expect(audit["checked"]?.int64 == 5 && audit["through"]?.int64 == 15)
            let cursor = try #require(first["next_cursor"]?.string)
            #expect(try await verdict(#"{"cursor":"\#(cursor)"}"#, on: fixture) == "ok")
            #expect(try await fixture.count(Self.oracle) == 0)
            // A cursor carries the hash up to which all was right.
            let forged = cursor.prefix { $0 != "." } + "." + String(repeating: "0", count: 64)
            #expect(try await verdict(#"{"cursor":"\#(forged)"}"#, on: fixture) == "16 altered")
            try await fixture.database.execute(script: "DELETE FROM scheduler.audit_log WHERE sealed_seq = 11")
            #expect(try await verdict(on: fixture) == "11 missing")
        }

        private func drain(
            _ two: ServiceInstance, keeping one: ServiceInstance, _ fixture: ServiceFixture
        ) async throws {
            let members = try await admin("members", on: fixture).items("members")
            #expect(members.map { $0["name"]?.string } == ["one", "two"])
            #expect(members.allSatisfy { $0["lease"]?.string == "held" })
            #expect(members.compactMap { $0["partitions"]?.int64 }.reduce(0, +) == 256)
            let unknown = try await admin("drain", #"{"instance":"three"}"#, on: fixture)
            #expect(unknown["error"]?["err_code"]?.int64 == 20450)
            let rehearsed = try await admin("drain", #"{"instance":"two","dry_run":true}"#, on: fixture)
            #expect(rehearsed["instance"]?["state"]?.string == "draining")
            let drained = try await admin("drain", #"{"instance":"two","reason":"update"}"#, on: fixture)
            #expect(drained["instance"]?["name"]?.string == "two")
            #expect(await two.process.waitForEnd(.seconds(15)) && two.process.hasSucceeded, "\(two.logTail)")
            let left = try await admin("members", on: fixture).items("members")
            #expect(left.map { $0["name"]?.string } == ["one"])
            _ = try await create("after", on: fixture)
            let events = try await fixture.messages(of: "SCHEDULER_EVENTS")
            #expect(events.contains { $0.subject.contains("audit_sealed") })
            #expect(await one.stop())
        }
    }
}
