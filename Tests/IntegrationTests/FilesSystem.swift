import Glibc
import JSONText
import LocalServers
import NATSClient
import ServiceFixture

/// A system of its own for the suites of files: one of them empties the store.
struct FilesSystem {
    let fixture: ServiceFixture
    let instance: ServiceInstance

    private static let starting = Task { () async throws -> FilesSystem in
        let fixture = try await ServiceFixture.start()
        try await fixture.makeStream()
        return FilesSystem(fixture: fixture, instance: try await fixture.startInstance())
    }

    static var running: FilesSystem { get async throws { try await starting.value } }

    /// Runs `carillon` to its end. - Returns: its exit code, and what it said on both outputs.
    func carillon(_ arguments: String..., url: String? = nil) async throws -> (code: Int32?, text: String) {
        let log = fixture.folder + "/\(arguments[0])-\(UInt32.random(in: 0...UInt32.max)).log"
        let address = if let url { url } else { await fixture.nats.url }
        let process = try ChildProcess(
            [ServiceFixture.program] + arguments, environment: ["NATS_URL": address], logPath: log)
        _ = await process.waitForEnd(.seconds(30))
        return (process.exitCode, Filesystem.tail(log, bytes: 1 << 20))
    }

    /// Writes a file of the test. - Returns: its path.
    func file(_ name: String, _ text: String) throws -> String {
        let path = fixture.folder + "/" + name
        try Filesystem.write(text, to: path)
        return path
    }

    /// An administration's command that must succeed.
    func administration(_ command: String, _ body: String) async throws -> JSONValue {
        let reply = try await fixture.client.request(
            try Subject("scheduler.admin.\(command)"), payload: Array(body.utf8), timeout: .seconds(10))
        let value = try JSONValue.parse(reply.payload)
        if let error = value["error"] {
            throw FixtureError(description: "\(command): \(String(decoding: error.bytes, as: UTF8.self))")
        }
        return value
    }

    /// As a new database has it.
    func emptyTheStore() async throws {
        _ = try await fixture.rows(
            "TRUNCATE scheduler.schedules, scheduler.timers, scheduler.calendars, scheduler.freezes, scheduler.namespaces, scheduler.targets, scheduler.executions"
        )
    }
}
