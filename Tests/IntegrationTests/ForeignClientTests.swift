import LocalServers
import ServiceFixture
import TestSupport
import Testing

extension Integration {
    @Suite("A client that we did not write", .serialized) struct ForeignClientTests {
        @Test("nats-py makes schedules, receives fires, reads events, and finds the service", .timeLimit(.minutes(1)))
        func natsPy() async throws { try await run("first_contact.py") }

        @Test("The requests that the nats command line sends are answered as it expects", .timeLimit(.minutes(1)))
        func natsCommandLine() async throws { try await run("nats_command_line.py") }

        private func run(_ script: String) async throws {
            let fixture = try await SharedSystem.running.fixture
            let folder = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(
                separator: "/")
            let log = fixture.folder + "/\(script).log"
            let process = try ChildProcess(
                [Tool.python, "\(folder)/python/\(script)", await fixture.nats.url], logPath: log)
            let hasEnded = await process.waitForEnd(.seconds(40))
            #expect(hasEnded && process.hasSucceeded, "\(Filesystem.tail(log))")
        }
    }
}
