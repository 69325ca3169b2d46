import JSONText
import LocalServers
import NATSClient
import PostgresClient
import ServiceFixture
import TestSupport
import Testing

extension Integration {
    @Suite("Reports and deadlines after an outage", .serialized, .timeLimit(.minutes(1)))
    struct ReportOutageTests {
        /// Another instance has a report in hand and gives it back for a while.
        private func holdBack(_ worker: ReportingWorker, for pause: Duration) async throws {
            let client = worker.fixture.client
            let consumer = try PullConsumer(client, stream: "SCHEDULER_COMMANDS", consumer: "carillon-reports")
            let pulling = Task { await consumer.run() }
            for await event in consumer.events {
                guard case .delivery(let delivery) = event else { continue }
                consumer.took()
                let isIt = delivery.message.subject.contains(worker.execution)
                consumer.giveBack(delivery, for: isIt ? pause : .zero)
                if isIt { break }
            }
            pulling.cancel()
            await pulling.value
            try await client.flush()
        }

        @Test("What was said while no instance ran is heard before anybody is timed out; who said nothing is")
        func noService() async throws {
            let fixture = try await ServiceFixture.start()
            try await fixture.makeStream()
            let first = try await fixture.startInstance("first")
            let said = try await ReportingWorker.start("said", fixture)
            let inHand = try await ReportingWorker.start("in-hand", fixture)
            let spoiled = try await ReportingWorker.start("spoiled", fixture)
            let mute = try await ReportingWorker.start("mute", fixture)
            let alive = try await ReportingWorker.start("alive", fixture, #","heartbeat_timeout_seconds":60"#)
            try await alive.report("started")
            for worker in [said, inHand, spoiled, mute] { #expect(await worker.reaches("delivered")) }
            #expect(await alive.reaches("running"))
            // It takes no acknowledgement from its worker's server.
            let copies = try FiredMessages("demo.core.unheard", on: fixture.client)
            let unheard = try await ReportingWorker.start("unheard", fixture, target: "demo.core.unheard")
            await first.kill()
            try await inHand.report("succeeded")
            try await holdBack(inHand, for: .seconds(9))
            for worker in [said, spoiled, unheard] { try await worker.report("succeeded") }
            try await fixture.database.execute(
                script: """
                    UPDATE scheduler.schedules SET guarantee = 'perhaps' WHERE name = 'spoiled';
                    UPDATE scheduler.runs SET deadline_at = now() - interval '1 minute' WHERE state <> 'claimed'
                    """)
            let second = try await fixture.startInstance("second")
            #expect(await mute.ends("dead", within: .seconds(20)))
            // It may say that it lives for as long as its time-out, from when somebody listens again.
            #expect(await alive.reaches("running"))
            #expect(await said.ends("succeeded"))
            #expect(await inHand.ends("succeeded", within: .seconds(15)))
            #expect(await unheard.ends("succeeded", within: .seconds(15)))
            try await alive.report("succeeded")
            #expect(await alive.ends("succeeded"))
            // The message that nobody acknowledged is withdrawn, with what the claim owes.
            #expect(await fixture.waits(.seconds(15), until: "SELECT count(*) FROM scheduler.claims", is: 0))
            #expect(copies.all.allSatisfy { $0.executionID == unheard.execution } && copies.count <= 3)
            #expect(try await fixture.status(of: second)?["unanswered"]?.int64 == 0)
            copies.cancel()
            #expect(await second.stop())
            await fixture.stop()
        }

        @Test("While NATS is away nobody is timed out")
        func noServer() async throws {
            let fixture = try await ServiceFixture.start()
            try await fixture.makeStream()
            let instance = try await fixture.startInstance()
            let worker = try await ReportingWorker.start("cut-off", fixture, #","run_timeout_seconds":2"#)
            #expect(await worker.reaches("delivered"))
            await fixture.nats.kill()
            #expect(
                await fixture.waits(
                    until: """
                        SELECT count(*) FROM scheduler.runs
                        WHERE execution_id = '\(worker.execution)' AND deadline_at < now() - interval '1 s'
                        """, is: 1))
            try await fixture.nats.start()
            // A client finds the server when it tries again.
            #expect(await waitUntil(.seconds(10)) { (try? await worker.report("succeeded")) != nil })
            #expect(await worker.ends("succeeded"))
            #expect(await instance.stop())
            await fixture.stop()
        }
    }
}
