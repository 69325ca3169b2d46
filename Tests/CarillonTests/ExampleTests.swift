import Glibc
import LocalServers
import TestSupport
import Testing

/// The examples of the documentation, run as they stand against `carillon dev`.
@Suite struct ExampleTests {
    @Test(.timeLimit(.minutes(1)), arguments: ["shell/schedules.sh", "python/schedules.py"])
    func anExampleRunsToItsEnd(path: String) async throws {
        let folder = try Filesystem.makeTemporaryFolder()
        defer { Filesystem.remove(folder) }
        let dev = try ChildProcess([TestProgram.path, "dev", "--no-demo"], logPath: folder + "/dev.log")
        var url: String?
        _ = await waitUntil(.seconds(30)) {
            url = Filesystem.tail(folder + "/dev.log").split(separator: "\n")
                .first { $0.hasPrefix("  NATS ") }?.split(separator: " ").last.map(String.init)
            return url != nil || dev.reap()
        }
        let environment = [
            "NATS_URL": try #require(url), "PATH": Filesystem.environment("PATH") ?? "/usr/bin:/bin",
        ]
        let interpreter = try #require(Filesystem.program(path.hasSuffix(".py") ? Tool.python : "bash"))
        let log = folder + "/example.log"
        let example = try ChildProcess([interpreter, "examples/" + path], environment: environment, logPath: log)
        #expect(await example.waitForEnd(.seconds(25)))
        #expect(example.hasSucceeded, "\(Filesystem.tail(log))")
        #expect(Filesystem.tail(log).hasSuffix("done\n"), "\(Filesystem.tail(log))")
        dev.signal(SIGTERM)
        #expect(await dev.waitForEnd(.seconds(15)))
    }
}
