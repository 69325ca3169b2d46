import Glibc
import JSONText
import LocalServers
import NATSClient
import ServiceFixture
import Synchronization
import TestSupport
import Testing

extension Integration {
    /// Bad input gets the contract's error and changes nothing.
    @Suite("Hostile input", .serialized, .timeLimit(.minutes(2))) struct HostileInputTests {
        private static let base = #""schedule_type":"interval","interval_seconds":3600"#

        /// What is stored: nothing hostile may move any of it.
        private func stored(_ fixture: ServiceFixture) async throws -> [[String?]] {
            try await fixture.rows(
                """
                SELECT (SELECT count(*)::text FROM scheduler.schedules WHERE namespace = 'hostile'),
                    (SELECT count(*)::text FROM scheduler.timers t JOIN scheduler.schedules s ON s.id = t.schedule_id
                     WHERE s.namespace = 'hostile'),
                    (SELECT count(*)::text FROM scheduler.audit_log WHERE namespace = 'hostile'),
                    (SELECT count(*)::text FROM scheduler.requests WHERE namespace = 'hostile'),
                    (SELECT count(*)::text FROM scheduler.calendars WHERE namespace = 'hostile'),
                    (SELECT count(*)::text FROM scheduler.targets WHERE namespace = 'hostile'),
                    (SELECT count(*)::text FROM scheduler.freezes WHERE namespace = 'hostile'),
                    (SELECT count(*)::text FROM scheduler.namespaces WHERE namespace = 'hostile')
                """)
        }

        /// A body of up to a megabyte: a test's log shows what it is, not its bytes.
        struct Body: Sendable, CustomTestStringConvertible {
            let testDescription: String
            let bytes: [UInt8]
            let errCode: String

            init(_ what: String, _ bytes: [UInt8], _ errCode: String) {
                testDescription = what
                self.bytes = bytes
                self.errCode = errCode
            }
        }

        static let bodies: [Body] = [
            Body("not JSON", Array("hello".utf8), "10400"), Body("cut off", Array(#"{"a":"#.utf8), "10400"),
            Body("invalid UTF-8", Array(#"{"name":""#.utf8) + [0xFF, 0xFE] + Array(#""}"#.utf8), "10400"),
            Body("a lone surrogate", Array(#"{"name":"\ud800"}"#.utf8), "10400"),
            Body("a NUL byte", [0x7B, 0x00, 0x7D], "10400"),
            Body("a name twice", Array(#"{"name":"a","name":"b"}"#.utf8), "10400"),
            Body("100,000 arrays deep", Array(repeating: UInt8(ascii: "["), count: 100_000), "10402"),
            Body("100,000 objects deep", Array(String(repeating: #"{"a":"#, count: 100_000).utf8), "10402"),
            Body(
                "deep in the payload",
                Array(
                    "{\(base),\"target_command\":\"demo.a\",\"command_payload\":\(String(repeating: "[", count: 100_000))}"
                        .utf8), "10402"
            ),
            Body(
                "1 MB of blanks and a digit",
                Array(repeating: UInt8(ascii: " "), count: 1_048_575) + [UInt8(ascii: "1")],
                "10403"
            ),
            Body(
                "1 MB of members", Array(("{" + (0..<60_000).map { "\"k\($0)\":1" }.joined(separator: ",") + "}").utf8),
                "10422"
            ),
            Body(
                "a number past 2^53", Array("{\(base),\"target_command\":\"demo.a\",\"max_runs\":1e300}".utf8), "10424"),
            Body(
                "a number with 100,000 digits",
                Array(
                    "{\(base),\"target_command\":\"demo.a\",\"max_runs\":\(String(repeating: "9", count: 100_000))}"
                        .utf8),
                "10424"
            ),
            Body(
                "a name of 1 MB",
                Array(
                    "{\(base),\"target_command\":\"demo.a\",\"name\":\"\(String(repeating: "a", count: 1_000_000))\"}"
                        .utf8),
                "10426"
            ),
            Body(
                "CR LF in an error's text",
                Array("{\(base),\"target_command\":\"demo.a\",\"x\\r\\nNats-Evil: 1\":1}".utf8),
                "10423"
            ),
        ]

        @Test("A hostile body gets one well-formed error", arguments: bodies)
        func hostileBodies(body: Body) async throws {
            let fixture = try await SharedSystem.running.fixture
            let before = try await stored(fixture)
            let refused = try await fixture.refused("schedule.create", body.bytes, in: "hostile")
            #expect(refused.split(separator: " ").first.map(String.init) == body.errCode, "\(refused.prefix(300))")
            #expect(try await stored(fixture) == before)
        }

        @Test(
            "A hostile target is refused at its field",
            arguments: [
                "", "*", "demo.*", "demo.>", ">", "$JS.API.STREAM.PURGE.DEMO", "$SRV.PING",
                "$KV.SCHEDULER_LOCKS.member.x",
                "_INBOX.abc", "scheduler", "scheduler.cmd.victim.schedule.delete",
                "scheduler.evt.x.execution.delivered.y",
                "scheduler.sys.hint", "demo..a", ".demo", "demo.", "demo a", #"demo.a\r\nPUB demo.b 0\r\n"#,
                #"demo.\u0000"#,
                #"demo.\u0430"#, #"\uff44emo.a"#, #"demo.a\u200b"#, "Demo.a", "demo", "demonic.a",
            ])
        func hostileTargets(target: String) async throws {
            let fixture = try await SharedSystem.running.fixture
            let body = #"{\#(Self.base),"target_command":"\#(target)"}"#
            let refused = try await fixture.refused("schedule.create", body, in: "hostile")
            #expect(refused.hasSuffix(" /target_command") && !refused.hasPrefix("5"), "\(refused)")
            #expect(
                try await fixture.count("SELECT count(*) FROM scheduler.schedules WHERE namespace = 'hostile'") == 0)
        }

        @Test("Nothing is answered where NATS or the scheduler itself would take the answer for an order")
        func hostileReplies() async throws {
            let fixture = try await SharedSystem.running.fixture
            let heard = try fixture.client.subscribe(try SubjectFilter(">"), pendingLimit: 100_000) { _ in }
            defer { heard.cancel() }
            let streams = try await JetStreamAPI(fixture.client).streamInfo("DEMO")
            for reply in [
                "$JS.API.STREAM.DELETE.DEMO", "$SYS.REQ.USER.INFO", "scheduler.cmd.hostile.schedule.create",
                "scheduler.sys.hint",
            ] {
                for subject in [
                    "scheduler.cmd.hostile.schedule.list", "scheduler.admin.system.status", "$SRV.PING",
                    "$SRV.INFO.carillon",
                ] {
                    let seen = FiredReplies()
                    let subscription = try fixture.client.subscribe(try SubjectFilter(reply)) { _ in
                        seen.count.add(1, ordering: .relaxed)
                    }
                    try fixture.client.publish(try Subject(subject), reply: try Subject(reply), payload: [])
                    // A request after it has been answered: what came before it has been dealt with.
                    _ = try await fixture.done("target.list", "", in: "hostile")
                    _ = try await fixture.statuses()
                    #expect(seen.count.load(ordering: .relaxed) == 0, "\(subject) answered on \(reply)")
                    subscription.cancel()
                }
            }
            #expect(try await JetStreamAPI(fixture.client).streamInfo("DEMO")?.messages == streams?.messages)
            #expect(
                try await fixture.count("SELECT count(*) FROM scheduler.schedules WHERE namespace = 'hostile'") == 0)
        }

        @Test(
            "Tokens that are no namespace, and subjects of another shape, are refused",
            arguments: ["_system", "-a", "a$b", String(repeating: "n", count: 65)])
        func hostileNamespaces(token: String) async throws {
            let fixture = try await SharedSystem.running.fixture
            let refused = try await fixture.refused(
                "schedule.list", [], subject: "scheduler.cmd.\(token).schedule.list")
            #expect(refused == "10401")
        }

        @Test("Bodies that are wrong at random: each gets one well-formed error, nothing is stored, memory is flat")
        func randomBodies() async throws {
            let system = try await SharedSystem.running
            let fixture = system.fixture
            let count = TestForm.count(10_000, long: 100_000)
            var random = TestForm.generator(for: "hostile bodies")
            // What is allocated once is allocated now.
            for _ in 0..<200 { try await isRefused(HostileBody.make(&random), by: fixture) }
            let before = Self.residentKilobytes(system.instance.process.pid)
            let stored = try await stored(fixture)
            for _ in 0..<count / 100 {
                let bodies = (0..<100).map { _ in HostileBody.make(&random) }
                try await withThrowingTaskGroup(of: Void.self) { tasks in
                    for body in bodies { tasks.addTask { try await self.isRefused(body, by: fixture) } }
                    try await tasks.waitForAll()
                }
            }
            let grown = Self.residentKilobytes(system.instance.process.pid) - before
            #expect(grown < 40_000, "grew by \(grown) KiB")
            #expect(try await self.stored(fixture) == stored)
            #expect(try await fixture.statuses().first?["ready"]?.bool == true)
        }

        private func isRefused(_ body: HostileBody, by fixture: ServiceFixture) async throws {
            let isAdministration = body.command.hasPrefix("admin.")
            let refused = try await fixture.refused(
                isAdministration ? String(body.command.dropFirst("admin.".count)) : body.command, body.bytes,
                in: "hostile", subject: isAdministration ? "scheduler.\(body.command)" : nil)
            // A fault of ours, or a command that does not exist, proves nothing.
            let isRight = !refused.hasPrefix("no error") && !refused.hasPrefix("5") && !refused.hasPrefix("10404")
            #expect(isRight, "\(body.command), \(body.what): \(refused.prefix(300)); TEST_SEED=\(TestForm.seed)")
        }

        private static func residentKilobytes(_ pid: Int32) -> Int {
            guard let file = fopen("/proc/\(pid)/statm", "r") else { return 0 }
            defer { fclose(file) }
            var buffer = [UInt8](repeating: 0, count: 256)
            let text = String(decoding: buffer[..<fread(&buffer, 1, 256, file)], as: UTF8.self)
            // The second number: pages in memory, of 4 KiB.
            return text.split(separator: " ").dropFirst().first.flatMap { Int($0) }.map { $0 * 4 } ?? 0
        }
    }
}
