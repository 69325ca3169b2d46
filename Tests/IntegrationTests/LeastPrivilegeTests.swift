import JSONText
import LocalServers
import NATSClient
import PostgresClient
import Recurrence
import SchedulerStore
import ServiceFixture
import Testing

extension Integration {
    /// The service does its whole work with the least that it needs, and nothing is denied.
    @Suite("Least privilege", .serialized, .timeLimit(.minutes(2))) struct LeastPrivilegeTests {
        /// What the servers' logs say of things denied to the service, from a place on.
        private struct Denials {
            private let logs: [(path: String, words: [String], start: Int)]

            init(_ fixture: ServiceFixture) {
                let files = [
                    (fixture.nats.logPath, ["Violation", "User \"scheduler\""]),
                    (fixture.postgres.logPath, ["permission denied"]),
                ]
                logs = files.map { ($0.0, $0.1, Self.lines($0.0).count) }
            }

            private static func lines(_ path: String) -> [Substring] {
                Filesystem.tail(path, bytes: 8 << 20).split(separator: "\n")
            }

            var all: [String] {
                logs.flatMap { path, words, start in
                    Self.lines(path).dropFirst(start).filter { line in words.allSatisfy { line.contains($0) } }
                }.map(String.init)
            }
        }

        /// A command by a role, which must succeed.
        private static func ask(
            _ connection: NATSConnection, _ subject: String, _ body: String
        ) async throws -> JSONValue {
            let reply = try await connection.request(
                try Subject(subject), payload: Array(body.utf8), timeout: .seconds(5))
            let value = try JSONValue.parse(reply.payload)
            if let error = value["error"] {
                throw FixtureError(description: "\(subject): \(String(decoding: error.bytes, as: UTF8.self))")
            }
            return value
        }

        private static func ends(_ id: String, _ state: String, _ fixture: ServiceFixture) async -> Bool {
            await fixture.waits(
                until: """
                    SELECT count(*) FROM scheduler.executions
                    WHERE schedule_id = '\(id)' AND state = '\(state)' AND finished_at IS NOT NULL
                    """, is: 1)
        }

        /// Answers requests, and reports on what wants reports.
        private static func work(_ connection: NATSConnection) throws -> NATSCallbackSubscription {
            try connection.subscribe(try SubjectFilter("cmd.billing.>")) { message in
                let subject = String(decoding: message.subject, as: UTF8.self)
                let reply = String(decoding: message.reply, as: UTF8.self)
                if subject.hasSuffix(".request"), let asked = try? Subject(reply) {
                    _ = try? connection.publish(asked, payload: Array("{}".utf8))
                }
                guard let status = message.header("Scheduler-Status-Subject"), subject.hasSuffix(".report") else {
                    return
                }
                var headers = NATSHeaders()
                try? headers.append("Scheduler-Fence", message.header("Scheduler-Fence") ?? "0")
                for kind in ["started", "heartbeat", "succeeded"] {
                    guard let report = try? Subject("\(status).\(kind)") else { continue }
                    _ = try? connection.publish(report, headers: headers, payload: [])
                }
            }
        }

        @Test("Create, fire, report, reply, give up, listen, pause, submit, administer, retain: nothing is denied")
        func works() async throws {
            let system = try await GuardedSystem.running
            let fixture = system.fixture
            let denials = Denials(fixture)
            let billing = try await system.connect(as: .billing)
            let worker = try await system.connect(as: .worker)
            let auditor = try await system.connect(as: .auditor)
            let admin = try await system.connect(as: .admin)
            let told = try FiredMessages("scheduler.evt.billing.>", on: auditor)
            let working = try Self.work(worker)
            for connection in [worker, auditor] { try await connection.flush() }

            func create(_ name: String, _ fields: String) async throws -> String {
                try await Self.ask(
                    billing, "scheduler.cmd.billing.schedule.create",
                    #"{"name":"\#(name)","max_retries":0,\#(fields)}"#
                ).id
            }
            let once = #""schedule_type":"immediate","target_command":"cmd.billing."#
            let plain = try await create("plain", once + #"js.plain""#)
            let report = try await create("report", once + #"js.report","completion":"report""#)
            let request = try await create("request", once + #"request","delivery":"request","completion":"reply""#)
            let lost = try await create("lost", once + #"js.lost","completion":"report","start_timeout_seconds":0.2"#)
            #expect(await Self.ends(plain, "delivered", fixture))
            #expect(await Self.ends(report, "succeeded", fixture))
            #expect(await Self.ends(request, "succeeded", fixture))
            #expect(await Self.ends(lost, "dead", fixture))
            try await listens(create, fixture)
            try await edits(billing, fixture)
            try await administers(admin, fixture)
            let address = try #require(HTTPFace.address(of: system.instance))
            try await HTTPFace.run(
                "http_face.py",
                ["followed", address, HTTPFace.tokensPath(fixture), await fixture.nats.url], fixture)
            #expect(
                await waitUntil(.seconds(5)) { told.all.contains { $0.subject.hasSuffix("execution.dead.\(lost)") } })
            try await retains(system)
            working.cancel()
            for connection in [billing, worker, auditor, admin] {
                #expect(connection.counters.permissionViolations == 0)
                await connection.close()
            }
            #expect(denials.all == [])
        }

        /// What others publish drives schedules.
        private func listens(
            _ create: (String, String) async throws -> String, _ fixture: ServiceFixture
        ) async throws {
            let common = #""schedule_type":"event","target_command":"cmd.billing.js.heard","#
            let stream = try await create("stream", common + #""event_subject":"orders.js.*","event_stream":"ORDERS""#)
            _ = try await fixture.client.request(try Subject("orders.js.1"), payload: [], timeout: .seconds(5))
            #expect(await Self.ends(stream, "delivered", fixture))
            let core = try await create("core", common + #""event_subject":"orders.core.>""#)
            let isHeard = await waitUntil(.seconds(10)) {
                _ = try? fixture.client.publish(try Subject("orders.core.1"), payload: [])
                return
                    (try? await fixture.count(
                        "SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(core)' AND state = 'delivered'"
                    )) ?? 0 > 0
            }
            #expect(isHeard)
            let absence = try await create(
                "absence",
                #""schedule_type":"absence","target_command":"cmd.billing.js.absent","event_subject":"orders.js.none","event_stream":"ORDERS","absence_seconds":1"#
            )
            #expect(await Self.ends(absence, "delivered", fixture))
            for id in [stream, core, absence] {
                try await fixture.done("schedule.delete", #"{"id":"\#(id)"}"#, in: "billing")
            }
        }

        /// Claimed occurrences are given back; a submitted command is applied.
        private func edits(_ billing: NATSConnection, _ fixture: ServiceFixture) async throws {
            let commands = "scheduler.cmd.billing.schedule."
            let id = try await Self.ask(
                billing, commands + "create",
                #"{"name":"often","schedule_type":"interval","interval_seconds":0.2,"target_command":"cmd.billing.js.o"}"#
            ).id
            for verb in ["pause", "resume", "trigger", "stats", "get"] {
                _ = try await Self.ask(billing, commands + verb, #"{"id":"\#(id)"}"#)
            }
            let ack = try await billing.request(
                try Subject("scheduler.submit.billing.schedule.update"),
                payload: Array(#"{"id":"\#(id)","interval_seconds":0.3,"request_id":"r1"}"#.utf8), timeout: .seconds(5))
            #expect(try JSONValue.parse(ack.payload)["stream"]?.string == "SCHEDULER_COMMANDS")
            #expect(await fixture.submittedDrains())
            _ = try await Self.ask(billing, commands + "delete", #"{"id":"\#(id)"}"#)
        }

        private func administers(_ admin: NATSConnection, _ fixture: ServiceFixture) async throws {
            let second = try await fixture.startInstance(
                "second", environment: ["DATABASE_URL": await GuardedSystem.url(of: "service", fixture)])
            for command in ["system.status", "system.members", "system.verify", "target.list", "namespace.list"] {
                _ = try await Self.ask(admin, "scheduler.admin.\(command)", "")
            }
            let letters = try await Self.ask(admin, "scheduler.admin.dlq.list", #"{"namespace":"billing"}"#)
            let execution = try #require(letters.items("letters").first?["execution"]?["id"]?.string)
            _ = try await Self.ask(admin, "scheduler.admin.dlq.redrive", #"{"id":"\#(execution)","reason":"again"}"#)
            let ping = try await admin.request(try Subject("$SRV.PING.carillon"), timeout: .seconds(5))
            #expect(!ping.payload.isEmpty)
            // It leaves in good order, and its shares go over.
            #expect(await second.stop())
        }

        /// Upkeep as the service's own user.
        private func retains(_ system: GuardedSystem) async throws {
            let database = try await system.database(as: "service")
            let old = try #require(Instant(rfc3339: "2020-01-01T00:00:00Z"))
            #expect(try await PartitionTable.ensure(now: old, days: 0...0, on: database) == 1)
            let dropped = try await PartitionTable.drop(before: old.adding(milliseconds: 86_400_000), on: database)
            #expect(dropped.days == ["20200101"] && !dropped.isPostponed)
            #expect(try await PartitionTable.clearDefault(before: old, on: database) == 0)
            #expect(try await AuditChainTable.forget(before: old, on: database) == 0)
            #expect(
                await system.fixture.waits(
                    until: "SELECT count(*) FROM scheduler.audit_log WHERE sealed_seq IS NULL", is: 0))
            await database.close()
        }

        @Test("What slips through the service's own allow-list is denied by the server, and gives up")
        func stopsAtTheServer() async throws {
            let fixture = try await GuardedSystem.running.fixture
            let heard = try FiredMessages("elsewhere.>", on: fixture.client)
            try await fixture.client.flush()
            for delivery in ["jetstream", "request"] {
                let id = try await fixture.done(
                    "schedule.create",
                    #"{"schedule_type":"immediate","target_command":"elsewhere.x","max_retries":0,"delivery":"\#(delivery)"}"#,
                    in: "billing"
                ).id
                #expect(await Self.ends(id, "dead", fixture), "\(delivery)")
            }
            #expect(heard.count == 0)
            heard.cancel()
        }
    }
}
