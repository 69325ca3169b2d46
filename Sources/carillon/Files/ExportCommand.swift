import ArgumentParser
import Glibc
import JSONText
import ScheduleFiles
import SchedulerCore

/// `carillon export`: the whole store as lines, for backup.
struct ExportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write schedules, calendars, freezes, allowed targets and limits as lines of JSON, for backup.",
        discussion: """
            Executions and the audit log are not among them. The file appears when it is whole; what cannot be exported is \
            named, and the exit code is 1.
            """)

    @Option(help: "Only what belongs to this namespace; the whole store by default.") var namespace: String?
    @Option(
        name: [.customShort("o"), .customLong("output-file")],
        help: ArgumentHelp("Where to; standard output by default.", valueName: "file"))
    var output: String?
    @OptionGroup var client: ClientOptions

    func run() async throws {
        let namespace = try DefinitionFiles.namespace(namespace)
        var omitted = 0
        try await client.withClient { client in
            let file = try output.flatMap { $0 == "-" ? nil : try OutputFile($0) }
            let put: ([UInt8]) throws -> Void = { bytes in
                if let file { try file.write(bytes) } else { try StandardOutput.write(bytes) }
            }
            var writer = BackupWriter()
            var cursor: String?
            repeat {
                let page = try await Self.page(client, after: cursor, in: namespace)
                if cursor == nil, let export = page["export"] {
                    try put(writer.header(export, namespace: namespace?.description))
                }
                for record in page["records"].map({ Array($0.elements) }) ?? [] { try put(writer.line(record)) }
                for omission in page["omitted"].map({ Array($0.elements) }) ?? [] {
                    omitted += 1
                    let name = omission["name"]?.string ?? omission["key"]?.string ?? "?"
                    Console.error("\(name): not exported: \(omission["reason"]?.string ?? "no reason given")")
                }
                cursor = page["next_cursor"]?.string
            } while cursor != nil
            try put(writer.end())
            try file?.commit()
            if let output, file != nil { print("\(writer.count) records in \(output)") }
        }
        if omitted > 0 { throw ExitCode(1) }
    }

    private static func page(
        _ client: ServiceClient, after cursor: String?, in namespace: Namespace?
    ) async throws -> JSONValue {
        var body = JSONWriter(capacity: 128)
        body.object { writer in
            writer.member("cursor", ifPresent: cursor)
            writer.member("namespace", ifPresent: namespace?.description)
        }
        do { return try await client.administration("data.export", body.bytes) } catch let refusal
            as ServiceClient.Refusal
        {
            Console.error("data.export: \(refusal)")
            throw ExitCode(1)
        }
    }
}

/// What is data, not talk.
enum StandardOutput {
    static func write(_ bytes: [UInt8]) throws {
        var start = 0
        while start < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.write(STDOUT_FILENO, $0.baseAddress?.advanced(by: start), bytes.count - start)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                Console.error("expected to write to standard output, got \(String(cString: strerror(errno)))")
                throw ExitCode(1)
            }
            start += count
        }
    }
}
