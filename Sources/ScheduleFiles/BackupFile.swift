import Crypto
package import JSONText

/// A backup is a file of lines, each a JSON object: a header, the records, and an end with their count and SHA-256, so
/// that a file that was cut off or changed is noticed before anything is put back.
package enum BackupFile {
    /// Grows when older programs could not read a file as it is meant.
    package static let format: Int64 = 1
    /// A line is a record and fits in a message of NATS, whose largest is 64 MiB.
    static let mostLineBytes = 64 << 20

    /// What is wrong with a backup.
    package struct Fault: Error, Sendable, Equatable, CustomStringConvertible {
        package let description: String

        init(_ description: String) { self.description = description }
    }

    /// Hashes lines, with their ends, in their order.
    struct Checksum {
        private var hasher = SHA256()
        private(set) var lines: Int64 = 0

        mutating func add(_ line: some Sequence<UInt8>) {
            hasher.update(data: Array(line))
            hasher.update(data: [UInt8(ascii: "\n")])
            lines += 1
        }

        var text: String {
            let digits = Array("0123456789abcdef")
            return String(hasher.finalize().flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
        }
    }
}

/// Writes a backup, line by line.
package struct BackupWriter {
    private var checksum = BackupFile.Checksum()

    package init() {}

    /// How many records were written.
    package var count: Int64 { checksum.lines }

    /// - Parameter export: the first page's `export`: when, and how many records of each kind there were.
    package func header(_ export: JSONValue, namespace: String?) -> [UInt8] {
        var writer = JSONWriter(capacity: 256)
        writer.object { writer in
            writer.member("carillon_backup", BackupFile.format)
            writer.member("exported_at", ifPresent: export["exported_at"]?.string)
            writer.member("namespace", ifPresent: namespace)
            if let counts = export["counts"] { writer.member("counts", counts) }
        }
        return writer.bytes + [UInt8(ascii: "\n")]
    }

    package mutating func line(_ record: JSONValue) -> [UInt8] {
        checksum.add(record.bytes)
        return record.bytes + [UInt8(ascii: "\n")]
    }

    package func end() -> [UInt8] {
        var writer = JSONWriter(capacity: 128)
        writer.object { writer in
            writer.member("kind", "end")
            writer.member("records", checksum.lines)
            writer.member("sha256", checksum.text)
        }
        return writer.bytes + [UInt8(ascii: "\n")]
    }
}

/// Reads a backup, line by line.
package struct BackupReader {
    private enum Place {
        case header
        case records
        case end
    }

    private var place = Place.header
    private var checksum = BackupFile.Checksum()
    private var number = 0

    package init() {}

    /// How many records were read.
    package var count: Int64 { checksum.lines }

    /// - Parameter line: without its end.
    /// - Returns: a record; nil of the header and the end.
    package mutating func read(_ line: [UInt8]) throws(BackupFile.Fault) -> JSONValue? {
        number += 1
        let value: JSONValue
        do {
            value = try JSONValue.parse(line, limits: JSONLimits(maxDepth: 80, maxBytes: BackupFile.mostLineBytes))
        } catch { throw BackupFile.Fault("line \(number): expected a JSON object: \(error)") }
        switch place {
        case .header:
            guard let format = value["carillon_backup"]?.int64 else {
                throw BackupFile.Fault(
                    "line 1: expected the header of a backup, {\"carillon_backup\": \(BackupFile.format), …}")
            }
            guard format == BackupFile.format else {
                throw BackupFile.Fault(
                    "line 1: expected format \(BackupFile.format), got \(format): another carillon wrote it")
            }
            place = .records
            return nil
        case .records:
            guard value["kind"]?.string == "end" else {
                checksum.add(line)
                return value
            }
            try check(value)
            place = .end
            return nil
        case .end: throw BackupFile.Fault("line \(number): expected nothing after the end")
        }
    }

    private func check(_ end: JSONValue) throws(BackupFile.Fault) {
        guard end["records"]?.int64 == checksum.lines else {
            let told = end["records"]?.int64.map { "\($0)" } ?? "?"
            throw BackupFile.Fault(
                "expected \(told) records, as the last line says, got \(checksum.lines): lines are missing or were added"
            )
        }
        guard end["sha256"]?.string == checksum.text else {
            throw BackupFile.Fault("the records do not have the SHA-256 that the last line says: the file was changed")
        }
    }

    /// No line comes any more.
    package func finish() throws(BackupFile.Fault) {
        if place != .end {
            throw BackupFile.Fault(
                "expected a last line {\"kind\": \"end\", …} after \(checksum.lines) records: the file was cut off")
        }
    }
}
