import SchedulerCore
import SchedulerHTTP
import Yams

/// Who may come in over HTTP, as a YAML file (`API_TOKENS_FILE`). It holds SHA-256 digests and no token, so that nobody who
/// reads it gets in by that. Read node by node: every problem is told with the entry's index, the field and the line.
enum TokensFile {
    struct Reading {
        var table = TokenTable(entries: [])
        var problems: [String] = []
    }

    static func read(_ text: String) -> Reading {
        var reading = Reading()
        do {
            let document = try Yams.compose(yaml: text)
            guard let tokens = document?.mapping?["tokens"]?.sequence else {
                reading.problems.append("expected 'tokens:' with a list of entries")
                return reading
            }
            for name in document?.mapping?.keys.compactMap(\.string) ?? [] where name != "tokens" {
                reading.problems.append("there is no field '\(name)'; expected 'tokens'")
            }
            var entries: [TokenTable.Entry] = []
            for (index, node) in tokens.enumerated() {
                var entry = TokenEntry(node, place: "tokens[\(index)]")
                if let read = entry.read() {
                    if entries.contains(where: { $0.digest == read.digest || $0.access.name == read.access.name }) {
                        entry.report("", "has the name or the digest of another entry")
                    }
                    entries.append(read)
                }
                reading.problems += entry.problems
            }
            reading.table = TokenTable(entries: entries)
        } catch {
            reading.problems.append(
                "expected YAML, got: " + "\(error)".split(separator: "\n").prefix(2).joined(separator: " "))
        }
        return reading
    }
}

/// One entry of the list, as it is read.
private struct TokenEntry {
    private static let fields = ["name", "sha256", "namespaces", "read_only", "admin"]

    private let node: Node
    private let place: String
    private(set) var problems: [String] = []

    init(_ node: Node, place: String) {
        self.node = node
        self.place = place
    }

    mutating func report(_ field: String, _ problem: String, at node: Node? = nil) {
        let line = (node ?? self.node).mark.map { " (line \($0.line))" } ?? ""
        problems.append("\(place)\(field.isEmpty ? "" : ".\(field)"): \(problem)\(line)")
    }

    /// Nil where something is wrong; the problems say what.
    mutating func read() -> TokenTable.Entry? {
        guard let mapping = node.mapping else {
            report("", "expected an entry with 'name', 'sha256' and 'namespaces'")
            return nil
        }
        for key in mapping.keys where !Self.fields.contains(key.string ?? "") {
            report(key.string ?? "?", "is no field of an entry", at: key)
        }
        let name = mapping["name"]?.string ?? ""
        if !(1...128).contains(name.utf8.count) { report("name", "is required: 1 to 128 bytes", at: mapping["name"]) }
        let digest = Digest.bytes(hexadecimal: mapping["sha256"]?.scalar?.string ?? "") ?? []
        // Never shown: it may be a token that was put here by mistake.
        if digest.count != 32 {
            report("sha256", "is required: the SHA-256 of the token, 64 hexadecimal digits", at: mapping["sha256"])
        }
        let namespaces = readNamespaces(mapping["namespaces"])
        let isReadOnly = readFlag("read_only", mapping["read_only"])
        let isAdministrator = readFlag("admin", mapping["admin"])
        guard problems.isEmpty, let namespaces else { return nil }
        return TokenTable.Entry(
            digest: digest,
            access: Access(
                name: name, namespaces: namespaces, isReadOnly: isReadOnly, isAdministrator: isAdministrator))
    }

    /// Nil inside for `"*"`.
    private mutating func readNamespaces(_ node: Node?) -> Set<Namespace>?? {
        guard let items = node?.sequence, !items.isEmpty else {
            report("namespaces", "is required: a list of namespaces, or of \"*\" alone", at: node)
            return nil
        }
        if items.count == 1, items.first?.string == "*" { return .some(nil) }
        var namespaces: Set<Namespace> = []
        for item in items {
            do { namespaces.insert(try Namespace(item.string ?? "")) } catch {
                report("namespaces", "\(error), got '\(item.string ?? "?")'", at: item)
            }
        }
        return namespaces
    }

    private mutating func readFlag(_ name: String, _ node: Node?) -> Bool {
        guard let node else { return false }
        guard let flag = node.bool else {
            report(name, "expected true or false", at: node)
            return false
        }
        return flag
    }
}

/// `API_TOKENS_FILE` as this process reads it: once before it starts, then again and again while it runs.
enum TokenList {
    /// - Throws: one line for each problem.
    static func board(_ settings: Settings) throws -> TokenBoard {
        guard let path = settings.tokensFile else { return TokenBoard() }
        let first = CommandLineEnvironment.contents(of: path)
        let reading = read(first, path)
        if !reading.problems.isEmpty {
            throw CommandLineEnvironment.refusal(reading.problems.map { "API_TOKENS_FILE: \($0)" })
        }
        let last = LastText(first)
        return TokenBoard(reading.table) {
            let text = CommandLineEnvironment.contents(of: path)
            // By its content: a mount may put another file in its place without changing its times.
            guard last.isNews(text) else { return .unchanged }
            let reading = read(text, path)
            return reading.problems.isEmpty
                ? .tokens(reading.table) : .fault(reading.problems.joined(separator: "; "))
        }
    }

    private static func read(_ text: String?, _ path: String) -> TokensFile.Reading {
        guard let text else {
            return TokensFile.Reading(problems: ["expected a readable file of UTF-8 text, got '\(path)'"])
        }
        return TokensFile.read(text)
    }
}
