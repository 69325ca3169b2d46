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

        @Test("A worker that reports in a loop delays nobody")
        func loop() async throws {
            let fixture = try await SharedSystem.running.fixture
            let looping = try await ReportingWorker.start("looping", fixture)
            let other = try await ReportingWorker.start("besides", fixture)
            #expect(await looping.reaches("delivered"))
            #expect(await other.reaches("delivered"))
            for turn in 0..<8000 { try looping.say("started", #"{"progress":\#(turn)}"#) }
            try await other.report("succeeded")
            #expect(await other.ends("succeeded"))
            // Its own word counts in its order: the last one is kept.
            #expect(
                await fixture.waits(
                    until: """
                        SELECT (progress::text)::bigint FROM scheduler.runs WHERE execution_id = '\(looping.execution)'
                        """, is: 7999))
            for kind in ["started", "succeeded"] { try looping.say(kind) }
            #expect(await looping.ends("succeeded"))
            #expect(await fixture.submittedDrains())
        }
    }

    @Suite("Reports, whatever happens to those who take them", .serialized, .timeLimit(.minutes(1)))
    struct ReportFaultTests {
        @Test("A report is applied once, though its instance dies between the commit and the acknowledgement")
        func killed() async throws {
            let fixture = try await ServiceFixture.start()
            try await fixture.makeStream()
            let first = try await fixture.startInstance(
                "first", environment: ["CARILLON_FAIL_AT": "report.committed"])
            let worker = try await ReportingWorker.start("killed", fixture)
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
