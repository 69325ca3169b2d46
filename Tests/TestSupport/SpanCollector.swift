import Glibc
import LocalServers

/// A collector of spans that reads them with OpenTelemetry's own definitions, in Python.
package struct SpanCollector: Sendable {
    private let process: ChildProcess
    private let folder: Folder
    package let port: Int

    /// Its files go with it.
    private final class Folder: Sendable {
        let path: String
        init(_ path: String) { self.path = path }
        deinit { Filesystem.remove(path) }
    }

    /// - Parameters:
    ///   - answers: to its first requests, JSON, as `collector.py` says.
    ///   - port: 0 for a free one.
    package static func start(answers: String = "[]", port: Int = 0) async throws -> SpanCollector {
        let folder = Folder(try Filesystem.makeTemporaryFolder())
        let own = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
        let (file, log) = (folder.path + "/requests", folder.path + "/collector.log")
        let process = try ChildProcess(
            [Tool.python, own + "/python/collector.py", file, answers, "\(port)"], logPath: log)
        var bound: Int?
        _ = await waitUntil(.seconds(20)) {
            let first = Filesystem.tail(file, bytes: 1 << 20).split(separator: "\n").first
            bound = first.flatMap { Int($0.filter(\.isNumber)) }
            return bound != nil || process.reap()
        }
        guard let bound else {
            throw TestSupportError(description: "the collector did not begin: \(Filesystem.tail(log))")
        }
        return SpanCollector(process: process, folder: folder, port: bound)
    }

    package var endpoint: String { "http://127.0.0.1:\(port)" }

    /// The requests that came, a line of JSON each.
    package var requests: [String] {
        Filesystem.tail(folder.path + "/requests", bytes: 64 << 20).split(separator: "\n").dropFirst().map(String.init)
    }

    package func stop() async {
        process.signal(SIGKILL)
        _ = await process.waitForEnd(.seconds(5))
    }
}
