import ArgumentParser
import Glibc
import JSONText
import ScheduleFiles

/// `carillon import FILE`: puts a backup back.
struct RestoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup", abstract: "Put a file of 'carillon export' back: 'carillon import FILE' for short.",
        discussion: """
            The file is checked as a whole first. What is there already is left alone; what is there and says something \
            else is a conflict, named, and left alone without --overwrite. Schedules go on from where they stood: their \
            misfire policy decides over what passed since.
            """)

    @Argument(help: "A file of 'carillon export'.") var file: String
    @Flag(help: "Let what is there and says something else become as saved, from now on.") var overwrite = false
    @Flag(help: "Tell what would become of the records, and change nothing.") var dryRun = false
    @OptionGroup var client: ClientOptions

    /// Records in a request, and their bytes.
    private static let most = (records: 200, bytes: 256 << 10)

    func run() async throws {
        var check = BackupReader()
        try LineReader(file).readAll { _ = try check.read($0) }
        try fault { () throws(BackupFile.Fault) in try check.finish() }
        var totals: [String: Int64] = [:]
        var conflicts = 0
        try await client.withClient { client in
            var reader = BackupReader()
            let lines = try LineReader(file)
            var batch: [JSONValue] = []
            var bytes = 0
            func send() async throws {
                guard !batch.isEmpty else { return }
                conflicts += try await Self.send(batch, self, to: client, &totals)
                batch = []
                bytes = 0
            }
            while let line = try lines.next() {
                guard let record = try reader.read(line) else { continue }
                if batch.count >= Self.most.records || bytes + line.count > Self.most.bytes { try await send() }
                batch.append(record)
                bytes += line.count
            }
            try await send()
        }
        let counts = ["imported", "unchanged", "overwritten", "conflict"].map { "\(totals[$0] ?? 0) \($0)" }
        print(counts.joined(separator: ", ") + (dryRun ? " (dry run)" : ""))
        if conflicts > 0 { throw ExitCode(1) }
    }

    private func fault(_ body: () throws(BackupFile.Fault) -> Void) throws {
        do { try body() } catch {
            Console.error("\(file): \(error)")
            throw ExitCode(1)
        }
    }

    /// - Returns: how many conflicts there were; each is a line.
    private static func send(
        _ records: [JSONValue], _ command: RestoreCommand, to client: ServiceClient, _ totals: inout [String: Int64]
    ) async throws -> Int {
        var body = JSONWriter(capacity: 1 << 16)
        body.object { writer in
            writer.member("actor", "carillon import")
            if command.overwrite { writer.member("overwrite", true) }
            if command.dryRun { writer.member("dry_run", true) }
            writer.name("records")
            writer.array { writer in for record in records { writer.value(record) } }
        }
        let reply: JSONValue
        do { reply = try await client.administration("data.import", body.bytes) } catch let refusal
            as ServiceClient.Refusal
        {
            for detail in refusal.details { Console.error("\(name(of: detail.pointer, records)): \(detail.message)") }
            Console.error("\(command.file): nothing of these records was imported: \(refusal)")
            throw ExitCode(1)
        }
        for member in reply["import"].map({ Array($0.members) }) ?? [] {
            totals[member.name, default: 0] += member.value.int64 ?? 0
        }
        var conflicts = 0
        for result in reply["results"].map({ Array($0.elements) }) ?? [] where result["outcome"]?.string == "conflict" {
            conflicts += 1
            let name = result["name"]?.string ?? result["key"]?.string ?? "?"
            Console.error(
                "\(result["kind"]?.string ?? "record") \(name): \(result["reason"]?.string ?? "is another one")")
        }
        return conflicts
    }

    /// `/records/3/cron_expression` of what was sent, as the record's name and the field.
    private static func name(of pointer: JSONPointer, _ records: [JSONValue]) -> String {
        let tokens = pointer.tokens
        guard tokens.count > 1, let index = Int(tokens[1]), records.indices.contains(index) else {
            return pointer.description
        }
        let name = records[index]["name"]?.string ?? records[index]["id"]?.string ?? "record \(index)"
        return "\(name) /\(tokens.dropFirst(2).joined(separator: "/"))"
    }
}

/// Reads a file line by line.
final class LineReader {
    private let file: UnsafeMutablePointer<FILE>
    private let path: String

    init(_ path: String) throws {
        guard let file = fopen(path, "r") else {
            Console.error("\(path): expected a readable file, got \(String(cString: strerror(errno)))")
            throw ExitCode(1)
        }
        self.file = file
        self.path = path
    }

    deinit { fclose(file) }

    /// The next line without its end; nil after the last one.
    func next() throws -> [UInt8]? {
        var line: UnsafeMutablePointer<CChar>?
        var room = 0
        defer { free(line) }
        let count = getline(&line, &room, file)
        guard count > 0, let line else {
            guard ferror(file) == 0 else {
                Console.error("\(path): expected a readable file, got \(String(cString: strerror(errno)))")
                throw ExitCode(1)
            }
            return nil
        }
        let bytes = line.withMemoryRebound(to: UInt8.self, capacity: count) {
            Array(UnsafeBufferPointer(start: $0, count: count))
        }
        return bytes.last == UInt8(ascii: "\n") ? bytes.dropLast() : bytes
    }

    /// - Throws: exit code 1 after a line that says what is wrong with the file.
    func readAll(_ body: ([UInt8]) throws -> Void) throws {
        do {
            while let line = try next() { try body(line) }
        } catch let fault as BackupFile.Fault {
            Console.error("\(path): \(fault)")
            throw ExitCode(1)
        }
    }
}
