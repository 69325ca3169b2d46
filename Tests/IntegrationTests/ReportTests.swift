import JSONText
import LocalServers
import NATSClient
import PostgresClient
import ServiceFixture
import TestSupport
import Testing

extension Integration {
    @Suite("Workers that report", .serialized, .timeLimit(.minutes(1))) struct ReportTests {
        @Test("Workers by nats-py end as they should: good, dying, repeating, late, deposed, silent, cancelled")
        func workers() async throws {
            let fixture = try await SharedSystem.running.fixture
            let folder = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(
                separator: "/")
            let log = fixture.folder + "/report_workers.log"
            let process = try ChildProcess(
                [Tool.python, "\(folder)/python/report_workers.py", await fixture.nats.url], logPath: log)
            let hasEnded = await process.waitForEnd(.seconds(40))
            #expect(hasEnded && process.hasSucceeded, "\(Filesystem.tail(log))")
            // Nothing is left open, and nothing in the stream.
            #expect(
                await fixture.waits(
                    until: """
                        SELECT count(*) FROM scheduler.runs r JOIN scheduler.schedules s ON s.id = r.schedule_id
                        WHERE s.namespace = 'pyreport'
                        """, is: 0))
            #expect(await fixture.submittedDrains())
        }
    }

    @Suite("Reports, whatever happens to those who take them", .serialized, .timeLimit(.minutes(1)))
    struct ReportFaultTests {
        private struct Worker {
            let fixture: ServiceFixture
            let message: NATSMessage

            /// Waits for a message of a schedule that fires at once.
            static func start(
                _ name: String, _ fixture: ServiceFixture, _ fields: String = ""
            ) async throws -> Worker {
                let messages = try fixture.client.subscribe(try SubjectFilter("demo.js.\(name)"))
                try await fixture.client.flush()
                try await fixture.done(
                    "schedule.create",
                    """
                    {"name":"\(name)","schedule_type":"immediate","target_command":"demo.js.\(name)",\
                    "completion":"report","max_retries":0\(fields)}
                    """)
                for await message in messages {
                    messages.cancel()
                    return Worker(fixture: fixture, message: message)
                }
                throw FixtureError(description: "no message came for \(name)")
            }

            var execution: String { message.header("Scheduler-Execution-Id") ?? "none" }

            func report(_ kind: String, _ body: String = "") async throws {
                var headers = NATSHeaders()
                try headers.append("Scheduler-Fence", message.header("Scheduler-Fence") ?? "0")
                let subject = try Subject("\(message.header("Scheduler-Status-Subject") ?? "none").\(kind)")
                _ = try await fixture.client.request(
                    subject, headers: headers, payload: Array(body.utf8), timeout: .seconds(5))
            }

            func ends(_ state: String) async -> Bool {
                await fixture.waits(
                    until: """
                        SELECT count(*) FROM scheduler.executions
                        WHERE id = '\(execution)' AND state = '\(state)' AND finished_at IS NOT NULL
                        """, is: 1)
            }
        }

        @Test("A report is applied once, though its instance dies between the commit and the acknowledgement")
        func killed() async throws {
            let fixture = try await ServiceFixture.start()
            try await fixture.makeStream()
            let first = try await fixture.startInstance(
                "first", environment: ["CARILLON_FAIL_AT": "report.committed"])
            let worker = try await Worker.start("killed", fixture)
            try await worker.report("started")
            #expect(await first.process.waitForEnd(.seconds(10)))
            // What is said while no instance runs is kept.
            try await worker.report("succeeded", #"{"result":{"rows":2}}"#)
            #expect(try await fixture.submittedWaiting() == 2)
            let second = try await fixture.startInstance("second")
            #expect(await worker.ends("succeeded"))
            #expect(await fixture.submittedDrains())
            let shown = try await fixture.done("execution.get", #"{"id":"\#(worker.execution)"}"#)["execution"]
            #expect(shown?["result"]?["rows"]?.int64 == 2 && shown?["tracked"]?.bool == true)
            let schedule = shown?["schedule_id"]?.string ?? ""
            let expected = [
                "schedule created", "execution delivered", "execution running", "execution succeeded",
                "schedule exhausted",
            ]
            // What the first one owed is told by the second.
            _ = await waitUntil(.seconds(15)) { (try? await fixture.events(of: schedule)) == expected }
            let told = try await fixture.events(of: schedule)
            #expect(told == expected)
            #expect(await second.stop())
            await fixture.stop()
        }
    }
}
