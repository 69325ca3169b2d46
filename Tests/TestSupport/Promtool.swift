import Glibc
import LocalServers

/// Prometheus' own programs, asked about what we wrote for Prometheus: the machine's, or those that `make bootstrap` has
/// unpacked.
package enum Promtool {
    /// The path of `promtool` or `prometheus`.
    package static func program(_ name: String) throws -> String {
        let parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
        let own = parts.dropLast(3).joined(separator: "/") + "/.build/prometheus/usr/bin/" + name
        if access(own, X_OK) == 0 { return own }
        guard let path = Filesystem.program(name) else {
            throw TestSupportError(description: "expected the program \(name): make bootstrap unpacks it")
        }
        return path
    }

    /// - Throws: with what it says of a page of metrics that it does not like, style included.
    package static func check(metrics page: [UInt8]) async throws {
        try await inFolder { folder in
            try Filesystem.write(String(decoding: page, as: UTF8.self), to: folder + "/metrics")
            let promtool = try program("promtool")
            try await Tool.run(
                "sh", ["-c", "exec \"$0\" check metrics < \"$1\"", promtool, folder + "/metrics"], in: folder)
        }
    }

    /// Checks a file of rules.
    package static func check(rules path: String) async throws {
        try await inFolder { try await Tool.run(try program("promtool"), ["check", "rules", path], in: $0) }
    }

    /// Runs a file of tests of rules.
    package static func test(rules path: String) async throws {
        try await inFolder { try await Tool.run(try program("promtool"), ["test", "rules", path], in: $0) }
    }

    private static func inFolder(_ body: (String) async throws -> Void) async throws {
        let folder = try Filesystem.makeTemporaryFolder()
        defer { Filesystem.remove(folder) }
        try await body(folder)
    }
}
