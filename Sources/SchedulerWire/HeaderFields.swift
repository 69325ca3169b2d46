import JSONText
import SchedulerCore

/// What a user may put into the headers of a fired message (contract.md §3).
///
/// A name or a value that contains one of NATS's own prefixes could hide ours: servers up to 2.11.10 read the first
/// header that *contains* the key they look for.
package enum UserHeaderRule {
    package static let mostHeaders = 16
    package static let mostBytes = 4096
    private static let ownMarks = ["nats-", "kv-", "scheduler-"]
    private static let ownNames: Set<String> = ["status", "description", "content-type", "traceparent", "tracestate"]

    /// What is wrong with a header; nil where nothing is.
    package static func problem(name: String, value: String) -> String? {
        let bytes = name.utf8
        let isWellFormed =
            bytes.count <= 64 && bytes.first.map(isLetter) == true
            && bytes.allSatisfy { isLetter($0) || isDigit($0) || $0 == UInt8(ascii: "-") }
        guard isWellFormed else { return "expected a header name of the form [A-Za-z][A-Za-z0-9-]{0,63}" }
        let lowered = name.lowercased()
        guard !ownNames.contains(lowered) else { return "'\(name)' is set by the scheduler" }
        if let mark = ownMarks.first(where: { lowered.contains($0) }) {
            return "a header name must not contain '\(mark)'"
        }
        guard value.unicodeScalars.allSatisfy({ $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value) }) else {
            return "expected printable text without line breaks or control characters"
        }
        let loweredValue = value.lowercased()
        if let mark = ownMarks.first(where: { loweredValue.contains($0) }) {
            return "a header value must not contain '\(mark)'"
        }
        return nil
    }

    private static func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7A }
    private static func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }
}

extension BodyReader {
    /// `command_headers`: at most 16, 4 KiB together.
    mutating func headers(_ name: String) -> [UserHeader]? {
        guard let value = value(name) else { return nil }
        guard value.kind == .object else {
            report(name, "expected an object of strings, got \(Self.name(of: value))", as: .wrongType)
            return nil
        }
        guard value.count <= UserHeaderRule.mostHeaders else {
            report(name, "expected at most \(UserHeaderRule.mostHeaders) headers, got \(value.count)")
            return nil
        }
        var headers: [UserHeader] = []
        var bytes = 0
        let before = problems.count
        for member in value.members {
            let path = name + "/" + Self.escaped(member.name)
            guard let text = string(member.value, path, most: UserHeaderRule.mostBytes) else { continue }
            if let problem = UserHeaderRule.problem(name: member.name, value: text) {
                report(path, problem, as: .headerRefused)
                continue
            }
            if headers.contains(where: { $0.name.lowercased() == member.name.lowercased() }) {
                report(path, "is there twice, but for its case", as: .headerRefused)
            }
            bytes += member.name.utf8.count + text.utf8.count
            headers.append(UserHeader(name: member.name, value: text))
        }
        if bytes > UserHeaderRule.mostBytes {
            report(name, "expected at most \(UserHeaderRule.mostBytes) bytes together, got \(bytes)")
        }
        return problems.count == before ? headers : nil
    }

    /// `metadata`: at most 32 pairs of strings.
    mutating func metadata(_ name: String) -> [UserHeader]? {
        guard let value = value(name) else { return nil }
        guard value.kind == .object else {
            report(name, "expected an object of strings, got \(Self.name(of: value))", as: .wrongType)
            return nil
        }
        guard value.count <= 32 else {
            report(name, "expected at most 32 strings, got \(value.count)")
            return nil
        }
        var pairs: [UserHeader] = []
        for member in value.members {
            guard member.name.count <= 128,
                let text = string(member.value, name + "/" + Self.escaped(member.name), most: 1024)
            else {
                if member.name.count > 128 { report(name, "expected keys of at most 128 characters") }
                continue
            }
            pairs.append(UserHeader(name: member.name, value: text))
        }
        return pairs
    }

    /// `tags`: at most 32 of `[A-Za-z0-9:._-]{1,64}`, each once.
    mutating func tags(_ name: String) -> [String]? {
        guard let value = value(name) else { return nil }
        guard value.kind == .array else {
            report(name, "expected an array of strings, got \(Self.name(of: value))", as: .wrongType)
            return nil
        }
        guard value.count <= 32 else {
            report(name, "expected at most 32 strings, got \(value.count)")
            return nil
        }
        var tags: [String] = []
        for (index, element) in value.elements.enumerated() {
            guard let tag = string(element, "\(name)/\(index)", most: 64) else { continue }
            guard !tag.isEmpty, tag.utf8.allSatisfy(Self.isTagByte) else {
                report("\(name)/\(index)", "expected 1 to 64 letters, digits, ':', '.', '_' or '-'")
                continue
            }
            if !tags.contains(tag) { tags.append(tag) }
        }
        return tags
    }

    private static func isTagByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: ":"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "-"):
            true
        default: false
        }
    }
}
