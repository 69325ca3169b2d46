import LocalServers
import Testing

/// The commands as processes: what they say when something is wrong, and with which exit code.
@Suite struct CommandTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let arguments: [String]
        var environment: [String: String] = [:]
        let code: Int32
        /// Parts of the lines, in their order.
        let lines: [String]

        var testDescription: String { arguments.joined(separator: " ") }
    }

    @Test(
        .timeLimit(.minutes(1)),
        arguments: [
            Case(
                arguments: ["serve"],
                environment: ["NATS_URL": "http://x", "STREAM_REPLICAS": "9", "DATABASE_URL": "mysql://u:s3cret@h/d"],
                code: 78, lines: ["STREAM_REPLICAS: expected", "NATS_URL: expected nats://", "DATABASE_URL: expected"]),
            Case(
                arguments: ["serve", "--config", "/nowhere"], code: 78, lines: ["--config: expected a readable file"]),
            Case(
                arguments: ["migrate", "status", "--database-url", "postgres://127.0.0.1:1/x"], code: 69,
                lines: ["expected PostgreSQL to answer: connectionRefused"]),
            Case(
                arguments: ["next", "0 25 * * *"], code: 65,
                lines: ["carillon: The hour field", "  0 25 * * *", "    ^"]),
            Case(arguments: ["next", "0 0 * * *", "--timezone", "Mars/Olympus"], code: 65, lines: ["--timezone: "]),
            Case(
                arguments: ["dev"], environment: ["NATS_SERVER_BIN": "/nowhere/nats-server"], code: 69,
                lines: ["starting", "expected the program /nowhere/nats-server"]),
            Case(arguments: ["version"], code: 0, lines: ["carillon 0.1.0"]),
            Case(
                arguments: ["config", "--service-name", "flag"],
                environment: ["SERVICE_NAME": "environment", "NATS_URL": "nats://a:1"], code: 0,
                lines: ["NATS_URL=nats://a:1", "NATS_INBOX_PREFIX=_INBOX.scheduler", "SERVICE_NAME=flag"]),
        ]) func aCommandSaysWhatIsWrongInAsManyLines(expected: Case) async throws
    {
        let folder = try Filesystem.makeTemporaryFolder()
        defer { Filesystem.remove(folder) }
        let log = folder + "/log"
        let process = try ChildProcess(
            [TestProgram.path] + expected.arguments, environment: expected.environment, logPath: log)
        #expect(await process.waitForEnd(.seconds(20)))
        let lines = Filesystem.tail(log, bytes: 1 << 16).split(separator: "\n")
        #expect(process.exitCode == expected.code, "\(lines)")
        for (line, part) in zip(lines, expected.lines) { #expect(line.contains(part), "\(lines)") }
        #expect(lines.count >= expected.lines.count, "\(lines)")
        if expected.code != 0 { #expect(lines.count == expected.lines.count, "\(lines)") }
        #expect(!lines.contains { $0.contains("s3cret") })
    }
}
