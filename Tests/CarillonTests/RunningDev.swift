import Glibc
import LocalServers
import NATSClient
import ServiceFixture
import Testing

/// A `carillon dev` that answers, for tests that paste into another terminal.
struct RunningDev {
    let url: String
    private let process: ChildProcess
    private let folder: String

    static func start(_ arguments: [String]) async throws -> RunningDev {
        let folder = try Filesystem.makeTemporaryFolder()
        let log = folder + "/dev.log"
        let process = try ChildProcess([TestProgram.path, "dev"] + arguments, logPath: log)
        var url: String?
        _ = await waitUntil(.seconds(30)) {
            url = Filesystem.tail(log).split(separator: "\n")
                .first { $0.hasPrefix("  NATS ") }?.split(separator: " ").last.map(String.init)
            return url != nil || process.reap()
        }
        return RunningDev(url: try #require(url), process: process, folder: folder)
    }

    /// A connection of a test's own, and what notes what is said, where somebody asked for it.
    func observe() async throws -> (NATSConnection, TrafficRecorder?) {
        let client = try await NATSConnection.connect(
            NATSConfiguration(servers: [url], name: "examples"), within: .seconds(10))
        let recorder = try TrafficRecorder.ifWanted()
        try await recorder?.listen(client, inboxes: "_INBOX", fired: "demo.>")
        return (client, recorder)
    }

    /// - Returns: whether it ended in good order.
    func stop() async -> Bool {
        defer { Filesystem.remove(folder) }
        process.signal(SIGTERM)
        return await process.waitForEnd(.seconds(15))
    }
}
