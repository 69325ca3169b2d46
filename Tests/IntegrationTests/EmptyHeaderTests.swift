import NATSClient
import ServiceFixture
import Testing

extension Integration {
    /// Headers as the server has them, and not as a reader of libnats shows them.
    @Suite("Empty headers", .timeLimit(.minutes(1))) struct EmptyHeaderTests {
        @Test("A header with an empty value goes out as a line of its own, first, in the middle or last")
        func lines() async throws {
            let fixture = try await SharedSystem.running.fixture
            let id = try await fixture.done(
                "schedule.create",
                """
                {"name":"empty","schedule_type":"immediate","target_command":"demo.js.empty",\
                "command_headers":{"First":"","Second":"a","Third":"","Fourth":"b","Last":""}}
                """, in: "headers"
            ).id
            #expect(
                await fixture.waits(
                    until:
                        "SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(id)' AND state = 'delivered'",
                    is: 1))
            let message = try await JetStreamAPI(fixture.client).lastMessage(in: "DEMO", on: Subject("demo.js.empty"))
            let block = String(decoding: message.headerBlock, as: UTF8.self)
            let lines = block.split(separator: "\r\n", omittingEmptySubsequences: false)
            let own = lines.filter { !$0.hasPrefix("Nats-") && !$0.hasPrefix("Scheduler-") }
            #expect(own.suffix(7) == ["First: ", "Second: a", "Third: ", "Fourth: b", "Last: ", "", ""])
        }
    }
}
