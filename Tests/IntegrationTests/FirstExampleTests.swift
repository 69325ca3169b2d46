import LocalServers
import ServiceFixture
import TestSupport
import Testing

extension Integration {
    /// The examples that somebody reads first, in each language: as they stand, by their own clients.
    @Suite("First examples", .serialized) struct FirstExampleTests {
        @Test(
            "An example of less than 40 lines makes a schedule, sees it fire, and takes it away",
            .timeLimit(.minutes(1)),
            arguments: [("shell/hello.sh", "bash"), ("python/hello.py", Tool.python), ("swift/hello.swift", "swift")])
        func anExample(path: String, program: String) async throws {
            let system = try await SharedSystem.running
            let fixture = system.fixture
            let folder = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
                .joined(separator: "/")
            let example = "\(folder)/examples/\(path)"
            let lines = Filesystem.tail(example, bytes: 1 << 16).split(
                separator: "\n", omittingEmptySubsequences: false
            ).count
            #expect((10...40).contains(lines))
            let environment = [
                "NATS_URL": await fixture.nats.url, "CARILLON_TOKEN": "root-token",
                "CARILLON_HTTP": try #require(HTTPFace.address(of: system.instance)),
                "PATH": Filesystem.environment("PATH") ?? "/usr/bin:/bin",
                "HOME": Filesystem.environment("HOME") ?? fixture.folder,
            ]
            let interpreter = try #require(Filesystem.program(program))
            let log = fixture.folder + "/hello-\(program.filter(\.isLetter)).log"
            let process = try ChildProcess([interpreter, example], environment: environment, logPath: log)
            #expect(await process.waitForEnd(.seconds(40)))
            #expect(process.hasSucceeded && Filesystem.tail(log).hasSuffix("done\n"), "\(Filesystem.tail(log))")
        }
    }
}
