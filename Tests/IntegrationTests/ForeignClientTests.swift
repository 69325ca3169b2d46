import Glibc
import LocalServers
import ServiceFixture
import Testing

extension Integration {
    @Suite("A client that we did not write", .serialized) struct ForeignClientTests {
        /// The Python that has nats-py: `CARILLON_TEST_PYTHON`, else the project's own, else the machine's.
        private static var python: String {
            if let named = getenv("CARILLON_TEST_PYTHON") { return String(cString: named) }
            return access(".venv/bin/python", X_OK) == 0 ? ".venv/bin/python" : "/usr/bin/python3"
        }

        @Test("nats-py makes schedules, receives fires, reads events, and finds the service", .timeLimit(.minutes(1)))
        func natsPy() async throws {
            let fixture = try await SharedSystem.running.fixture
            let folder = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(
                separator: "/")
            let log = fixture.folder + "/python.log"
            let process = try ChildProcess(
                [Self.python, folder + "/python/first_contact.py", await fixture.nats.url], logPath: log)
            let hasEnded = await process.waitForEnd(.seconds(40))
            #expect(hasEnded && process.hasSucceeded, "\(Filesystem.tail(log))")
        }
    }
}
