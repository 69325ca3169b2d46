import LocalServers
import NATSClient
import ServiceFixture
import TestSupport
import Testing

/// The examples of the documentation, run as they stand against `carillon dev`.
@Suite struct ExampleTests {
    @Test(
        .timeLimit(.minutes(1)),
        arguments: [
            "shell/schedules.sh", "shell/files.sh", "shell/moving.sh", "python/schedules.py", "python/worker.py",
        ])
    func anExampleRunsToItsEnd(path: String) async throws {
        let folder = try Filesystem.makeTemporaryFolder()
        defer { Filesystem.remove(folder) }
        let dev = try await RunningDev.start(["--no-demo"])
        let (client, recorder) = try await dev.observe()
        let environment = [
            "NATS_URL": dev.url, "PATH": Filesystem.environment("PATH") ?? "/usr/bin:/bin",
            "CARILLON": TestProgram.path,
        ]
        let interpreter = try #require(Filesystem.program(path.hasSuffix(".py") ? Tool.python : "bash"))
        let log = folder + "/example.log"
        let example = try ChildProcess([interpreter, "examples/" + path], environment: environment, logPath: log)
        #expect(await example.waitForEnd(.seconds(25)))
        #expect(example.hasSucceeded, "\(Filesystem.tail(log))")
        #expect(Filesystem.tail(log).hasSuffix("done\n"), "\(Filesystem.tail(log))")
        await recorder?.stop()
        await client.close()
        #expect(await dev.stop())
    }
}
