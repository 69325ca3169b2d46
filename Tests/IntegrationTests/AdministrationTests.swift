import JSONText
import NATSClient
import PostgresClient
import ServiceFixture
import Testing

extension Integration {
    /// What holds for all of `<p>.admin`, and its audit.
    @Suite("Administration", .serialized, .timeLimit(.minutes(1))) struct AdministrationTests {
        @Test(
            "An empty body, blanks, null and {} are the same where nothing is needed",
            arguments: ["", " \n", "null", "{}"])
        func emptyBodies(body: String) async throws {
            let fixture = try await RuleSystem.running.fixture
            for command in [
                "system.status", "system.members", "system.verify", "freeze.list", "namespace.list", "target.list",
                "audit.list", "data.export",
            ] { try await fixture.administer(command, body) }
        }

        @Test(
            "A command that there is not is told with the nearest that there is",
            arguments: [
                ("freeze.sett", "admin.freeze.set"), ("data.exprt", "admin.data.export"),
                ("target.alow", "admin.target.allow"), ("system.statu", "admin.system.status"),
                ("freezes.list", "admin.freeze.list"),
            ])
        func unknown(command: String, nearest: String) async throws {
            let error = try #require(try await RuleSystem.running.fixture.ask(command, "")["error"])
            #expect(error["err_code"]?.int64 == 10404)
            let text = error["description"]?.string ?? ""
            #expect(text.contains("'admin.\(command)'; the nearest: ") && text.contains(nearest), "\(text)")
        }

        @Test("A repeated request has its first reply, though it would be refused by now; another body has not")
        func remembers() async throws {
            let fixture = try await RuleSystem.running.fixture
            let until = try await fixture.instant(in: "2 s")
            func body(_ id: String) -> String {
                #"{"namespace":"remembered","until":"\#(until)","request_id":"\#(id)"}"#
            }
            let first = try await fixture.administer("freeze.set", body("adm-1"))
            #expect(await fixture.waits(until: "SELECT (now() > '\(until)')::int", is: 1))
            #expect(try await fixture.administer("freeze.set", body("adm-1")).bytes.elementsEqual(first.bytes))
            #expect(try await fixture.ask("freeze.set", body("adm-2"))["error"]?["err_code"]?.int64 == 10426)
        }

        @Test("What fails after its change is durable is told as a failure: its reply is there, and hides nothing")
        func unfinished() async throws {
            let fixture = try await RuleSystem.running.fixture
            // A member that nobody is.
            let ghost = "01a1fd73-4acf-7c52-9c07-fd9a55eb6b51"
            try await fixture.database.execute(
                script: "INSERT INTO scheduler.instances (id, name, started_at) VALUES ('\(ghost)', 'ghost', now())")
            let reply = try await fixture.ask("system.drain", #"{"instance":"ghost","request_id":"ghost-1"}"#)
            #expect(reply["error"]?["err_code"]?.int64 == 50504)
            #expect(
                try await fixture.count("SELECT count(*) FROM scheduler.audit_log WHERE action = 'instance_drained'")
                    == 1)
            // Asked again, it asks the member again, and only once that is gone it is done.
            let repeated = try await fixture.ask("system.drain", #"{"instance":"ghost","request_id":"ghost-1"}"#)
            #expect(repeated["error"]?["err_code"]?.int64 == 50504)
            try await fixture.database.execute(script: "DELETE FROM scheduler.instances WHERE id = '\(ghost)'")
            let gone = try await fixture.administer("system.drain", #"{"instance":"ghost","request_id":"ghost-1"}"#)
            #expect(gone["instance"]?["instance"]?.string == ghost)
            #expect(
                try await fixture.count("SELECT count(*) FROM scheduler.audit_log WHERE action = 'instance_drained'")
                    == 1)
        }

        @Test(
            "What has no version refuses if_version, and changes nothing",
            arguments: [
                ("admin.target.allow", #""namespace":"versions","subject":"versions.a""#),
                ("admin.target.revoke", #""namespace":"versions","subject":"versions.a""#),
                ("admin.namespace.limits", #""namespace":"versions","max_schedules":1"#),
                (
                    "admin.freeze.set",
                    #""namespace":"versions","from":"2126-01-01T00:00:00Z","until":"2126-01-02T00:00:00Z""#
                ),
                ("admin.freeze.clear", #""id":"01a1fd73-4acf-7c52-9c07-fd9a55eb6b51""#),
                ("admin.data.import", #""records":[{"kind":"namespace","namespace":"versions","max_schedules":1}]"#),
                ("admin.system.drain", #""instance":"nobody""#),
                ("cmd.versions.execution.cancel", #""id":"01a1fd73-4acf-7c52-9c07-fd9a55eb6b51""#),
                ("cmd.versions.execution.retry", #""id":"01a1fd73-4acf-7c52-9c07-fd9a55eb6b51""#),
            ])
        func versions(subject: String, fields: String) async throws {
            let fixture = try await RuleSystem.running.fixture
            let command = subject.split(separator: ".").suffix(2).joined(separator: ".")
            let answer = try await fixture.refused(
                command, Array("{\(fields),\"if_version\":1}".utf8), subject: "scheduler.\(subject)")
            #expect(answer == "10427 /if_version")
        }

        // MARK: - The audit

        private func entries(_ body: String, _ fixture: ServiceFixture) async throws -> [JSONValue] {
            try await fixture.administer("audit.list", body).items("entries")
        }

        @Test("The audit of administration is read by admins: of _system, of a namespace, of all")
        func audit() async throws {
            let fixture = try await RuleSystem.running.fixture
            let freeze =
                #"{"from":"2126-01-01T00:00:00Z","until":"2126-02-01T00:00:00Z","request_id":"aud-1","actor":"ann"}"#
            let set = try await fixture.administer("freeze.set", freeze)
            let id = try #require(set["freeze"]?["id"]?.string)
            try await fixture.administer("namespace.limits", #"{"namespace":"audited","max_schedules":5}"#)
            try await fixture.administer("freeze.clear", #"{"id":"\#(id)"}"#)
            let own = try await entries(#"{"namespace":"_system","request_id":"aud-1"}"#, fixture)
            #expect(own.map { $0["action"]?.string } == ["freeze_set"] && own[0]["actor"]?.string == "ann")
            let named = try await entries(#"{"namespace":"audited"}"#, fixture)
            #expect(named.map { $0["action"]?.string } == ["namespace_limits"])
            let all = try await entries(#"{"limit":3}"#, fixture)
            #expect(all.compactMap { $0["action"]?.string } == ["freeze_cleared", "namespace_limits", "freeze_set"])
            #expect(try await entries(#"{"from":"2126-01-01T00:00:00Z"}"#, fixture).isEmpty)
            #expect(try await entries(#"{"to":"2020-01-01T00:00:00Z"}"#, fixture).isEmpty)
            // A creator reads of its own namespace alone.
            #expect(try await fixture.refused("audit.list", #"{"namespace":"_system"}"#) == "10423 /namespace")
        }

        @Test("Pages of everybody's entries have each once, newest first")
        func pages() async throws {
            let fixture = try await RuleSystem.running.fixture
            for most in 1...5 {
                try await fixture.administer(
                    "namespace.limits", #"{"namespace":"pg-\#(most)","max_schedules":\#(most)}"#)
            }
            let count = try await fixture.count("SELECT count(*) FROM scheduler.audit_log")
            let limit = max(2, count / 3)
            var (seen, cursor): ([Int64], String?) = ([], nil)
            repeat {
                let more = cursor.map { #","cursor":"\#($0)""# } ?? ""
                let page = try await fixture.administer("audit.list", #"{"limit":\#(limit)\#(more)}"#)
                seen += page.items("entries").compactMap { $0["id"]?.int64 }
                cursor = page["next_cursor"]?.string
            } while cursor != nil
            #expect(seen == seen.sorted(by: >) && Set(seen).count == seen.count && seen.count == count)
        }

        @Test("A page of long entries ends before the limit, and the next ones have the rest, each once")
        func longEntries() async throws {
            let fixture = try await RuleSystem.running.fixture
            let large = #""command_payload":"\#(String(repeating: "x", count: 300_000))""#
            let core = #""target_command":"demo.long","delivery":"core""#
            try await fixture.done(
                "schedule.create",
                #"{"name":"l","schedule_type":"interval","interval_seconds":3600,\#(core),\#(large)}"#,
                in: "long")
            for step in 1...30 {
                try await fixture.done("schedule.update", #"{"name":"l","description":"\#(step)"}"#, in: "long")
            }
            var (sizes, seen, cursor): ([Int], [Int64], String?) = ([], [], nil)
            repeat {
                let more = cursor.map { #","cursor":"\#($0)""# } ?? ""
                let page = try await fixture.administer("audit.list", #"{"namespace":"long","limit":100\#(more)}"#)
                sizes.append(page.items("entries").count)
                seen += page.items("entries").compactMap { $0["version"]?.int64 }
                cursor = page["next_cursor"]?.string
            } while cursor != nil
            #expect(sizes == [25, 6] && seen == (1...31).reversed())
        }

        @Test(
            "What admin.audit.list refuses",
            arguments: [
                (#"{"schedule_name":"a"}"#, "10425 /namespace"), (#"{"namespace":"_other"}"#, "10426 /namespace"),
                (#"{"cursor":"x"}"#, "10405 /cursor"), (#"{"colour":1}"#, "10423 /colour"),
                (#"{"namespace":"audited","schedule_name":"nobody"}"#, "20404"),
            ])
        func faults(body: String, expected: String) async throws {
            #expect(
                try await RuleSystem.running.fixture.refused(
                    "audit.list", Array(body.utf8), subject: "scheduler.admin.audit.list") == expected)
        }

        @Test("A request without a reply subject is carried out")
        func noReply() async throws {
            let fixture = try await RuleSystem.running.fixture
            let body = #"{"namespace":"unasked","max_schedules":7,"actor":"ann"}"#
            _ = try fixture.client.publish(try Subject("scheduler.admin.namespace.limits"), payload: Array(body.utf8))
            let limits = "SELECT count(*) FROM scheduler.namespaces WHERE namespace = 'unasked' AND max_schedules = 7"
            #expect(await fixture.waits(until: limits, is: 1))
            let told = try await entries(#"{"namespace":"unasked"}"#, fixture)
            #expect(told.map { $0["actor"]?.string } == ["ann"])
        }

        @Test(
            "A revocation that comes again before its first reply was whole is looked at again, and names what is in flight"
        )
        func revokedAgain() async throws {
            let fixture = try await RuleSystem.running.fixture
            // No stream takes it: what is triggered waits.
            try await fixture.administer("target.allow", #"{"namespace":"again","subject":"again.x"}"#)
            let body = #""schedule_type":"interval","interval_seconds":3600,"target_command":"again.x""#
            try await fixture.done("schedule.create", #"{"name":"a",\#(body)}"#, in: "again")
            let fired = try await fixture.done("schedule.trigger", #"{"name":"a"}"#, in: "again")
            let id = try #require(fired["execution"]?["id"]?.string)
            let revoke = #"{"namespace":"again","subject":"again.x","request_id":"again-1"}"#
            let first = try await fixture.administer("target.revoke", revoke)
            #expect(first.items("in_flight").compactMap(\.string) == [id])
            // As it was remembered with the change, by an instance that died then.
            try await fixture.database.execute(
                script: """
                    UPDATE scheduler.requests SET reply = convert_to(
                        replace(convert_from(reply, 'UTF8'), ',"in_flight":["\(id)"]', ''), 'UTF8')
                    WHERE request_id = 'again-1'
                    """)
            let length = "SELECT length(reply) FROM scheduler.requests WHERE request_id = 'again-1'"
            #expect(try await fixture.count(length) < first.bytes.count)
            #expect(try await fixture.administer("target.revoke", revoke).bytes.elementsEqual(first.bytes))
            #expect(try await fixture.count(length) == first.bytes.count)
            try await fixture.done("execution.cancel", #"{"id":"\#(id)"}"#, in: "again")
            let open = "SELECT count(*) FROM scheduler.executions WHERE id = '\(id)' AND state = 'claimed'"
            #expect(await fixture.waits(until: open, is: 0))
        }

        @Test(
            "An import allows no more targets than commands may: what is too many is a conflict, the others are put back"
        )
        func importsTargets() async throws {
            let fixture = try await RuleSystem.running.fixture
            try await fixture.database.execute(
                script: """
                    INSERT INTO scheduler.targets (created_at, namespace, subject, delivery)
                    SELECT now(), 'full', 'full.' || n, '{core}' FROM generate_series(1, 1000 - 1
                        - (SELECT count(*)::int FROM scheduler.targets)) n
                    """)
            let records = ["full.a", "full.b"].map {
                #"{"kind":"target","namespace":"full","subject":"\#($0)","delivery":["core"],"created_at":"2026-01-01T00:00:00Z"}"#
            }.joined(separator: ",")
            let reply = try await fixture.administer("data.import", #"{"records":[\#(records)]}"#)
            #expect(reply["import"]?["imported"]?.int64 == 1 && reply["import"]?["conflict"]?.int64 == 1)
            let conflict = try #require(reply.items("results").first)
            #expect(conflict["key"]?.string == "full/full.b")
            #expect(conflict["reason"]?.string?.contains("1000") == true)
            #expect(try await fixture.count("SELECT count(*) FROM scheduler.targets") == 1000)
            try await fixture.database.execute(script: "DELETE FROM scheduler.targets WHERE namespace = 'full'")
        }

        @Test("What an import puts back is in the audit log, with what was and what is")
        func imports() async throws {
            let fixture = try await RuleSystem.running.fixture
            func record(_ most: Int) -> String {
                #"{"kind":"namespace","namespace":"put-back","max_schedules":\#(most)}"#
            }
            try await fixture.administer("data.import", #"{"records":[\#(record(5))]}"#)
            try await fixture.administer("data.import", #"{"records":[\#(record(6))],"overwrite":true,"actor":"ann"}"#)
            let told = try await entries(#"{"namespace":"put-back"}"#, fixture)
            #expect(told.map { $0["action"]?.string } == ["namespace_restored", "namespace_restored"])
            let change = try #require(
                told.first?.items("changes").first { $0["pointer"]?.string == "/max_schedules" })
            #expect(change["from"]?.int64 == 5 && change["to"]?.int64 == 6 && told[0]["actor"]?.string == "ann")
        }
    }
}
