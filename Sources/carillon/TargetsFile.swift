import JSONSchema
import SchedulerCore
import Yams

/// The allow-list as a YAML file (contract.md §6, `TARGETS_FILE`). Read node by node, so that every problem is told,
/// with the entry's index, the field and the line.
enum TargetsFile {
    struct Reading {
        var rules: TargetRules
        var problems: [String] = []
        /// The schemas that it names: each path, and what was read there; nil where nothing could be.
        var schemas: [String: String?] = [:]
    }

    /// - Parameters:
    ///   - text: the file's content.
    ///   - path: the file's own; schemas are named relative to its folder.
    ///   - ownPrefix: the scheduler's own first token.
    static func read(_ text: String, at path: String, ownPrefix: String) -> Reading {
        var reading = Reading(rules: TargetRules(rules: [], ownPrefix: ownPrefix))
        var rules: [TargetRule] = []
        var sources: [SourceRule] = []
        let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
        do {
            let document = try Yams.compose(yaml: text)
            guard let targets = document?.mapping?["targets"]?.sequence else {
                reading.problems.append("expected 'targets:' with a list of entries")
                return reading
            }
            for name in document?.mapping?.keys.compactMap(\.string) ?? [] where !fields.contains(name) {
                reading.problems.append("there is no field '\(name)'; expected 'targets' or 'sources'")
            }
            sources = readSources(document?.mapping?["sources"], &reading.problems)
            for (index, node) in targets.enumerated() {
                var entry = TargetEntry(node, place: "targets[\(index)]", folder: folder)
                if let rule = entry.rule() { rules.append(rule) }
                reading.problems += entry.problems
                if let schema = entry.schema { reading.schemas[schema.path] = schema.text }
            }
        } catch {
            // One line: the parser's own has the text around the place, over several.
            reading.problems.append(
                "expected YAML, got: " + "\(error)".split(separator: "\n").prefix(2).joined(separator: " "))
        }
        reading.rules = TargetRules(rules: rules, sources: sources, ownPrefix: ownPrefix)
        return reading
    }

    private static let fields = ["targets", "sources"]

    /// What schedules may listen to: `sources`, which may be left out.
    private static func readSources(_ node: Node?, _ problems: inout [String]) -> [SourceRule] {
        guard let node else { return [] }
        guard let items = node.sequence else {
            problems.append("expected 'sources:' with a list of entries")
            return []
        }
        return items.enumerated().compactMap { index, item in
            var entry = TargetEntry(item, place: "sources[\(index)]", folder: "", fields: ["namespace", "subject"])
            let rule = entry.sourceRule()
            problems += entry.problems
            return rule
        }
    }
}

/// One entry of the list, as it is read.
private struct TargetEntry {
    private static let targetFields = [
        "namespace", "subject", "delivery", "max_payload_bytes", "max_in_flight", "payload_schema",
    ]

    private let fields: [String]
    private let node: Node
    private let place: String
    /// Empty, or with a slash at its end.
    private let folder: String
    private(set) var problems: [String] = []
    /// The file of its schema; nil where it names none.
    private(set) var schema: (path: String, text: String?)?

    init(_ node: Node, place: String, folder: String, fields: [String] = Self.targetFields) {
        self.fields = fields
        self.node = node
        self.folder = folder
        self.place = place
    }

    private mutating func report(_ field: String, _ problem: String, at node: Node? = nil) {
        let line = (node ?? self.node).mark.map { " (line \($0.line))" } ?? ""
        problems.append("\(place)\(field.isEmpty ? "" : ".\(field)"): \(problem)\(line)")
    }

    private mutating func members() -> Node.Mapping? {
        guard let mapping = node.mapping else {
            report("", "expected an entry with 'namespace' and 'subject'")
            return nil
        }
        for key in mapping.keys where !fields.contains(key.string ?? "") {
            report(key.string ?? "?", "is no field of an entry", at: key)
        }
        return mapping
    }

    /// Nil where something is wrong; the problems say what.
    mutating func sourceRule() -> SourceRule? {
        guard let mapping = members() else { return nil }
        let namespace = readNamespace(mapping["namespace"])
        let subject = readSubject(mapping["subject"])
        guard problems.isEmpty, let namespace, let subject else { return nil }
        return SourceRule(namespace: namespace, subject: subject)
    }

    /// Nil where something is wrong; the problems say what.
    mutating func rule() -> TargetRule? {
        guard let mapping = members() else { return nil }
        let namespace = readNamespace(mapping["namespace"])
        let subject = readSubject(mapping["subject"])
        let deliveries = readDelivery(mapping["delivery"])
        let maxPayloadBytes = readMaxPayloadBytes(mapping["max_payload_bytes"])
        let maxInFlight = readMaxInFlight(mapping["max_in_flight"])
        let payloadSchema = readPayloadSchema(mapping["payload_schema"])
        guard problems.isEmpty, let namespace, let subject else { return nil }
        var rule = TargetRule(
            namespace: namespace, subject: subject, delivery: deliveries, maxPayloadBytes: maxPayloadBytes)
        rule.payloadSchema = payloadSchema
        rule.maxInFlight = maxInFlight
        return rule
    }

    /// Nil inside for `"*"`.
    private mutating func readNamespace(_ node: Node?) -> Namespace?? {
        guard let text = node?.string, !text.isEmpty else {
            report("namespace", "is required: a namespace, or \"*\"", at: node)
            return nil
        }
        if text == "*" { return .some(nil) }
        do { return try Namespace(text) } catch {
            report("namespace", "\(error), got '\(text)'", at: node)
            return nil
        }
    }

    private mutating func readSubject(_ node: Node?) -> SubjectPattern? {
        guard let text = node?.string, !text.isEmpty else {
            report("subject", "is required: a subject, with * or > as wildcards", at: node)
            return nil
        }
        do { return try SubjectPattern(text) } catch {
            report("subject", "\(error)", at: node)
            return nil
        }
    }

    private mutating func readDelivery(_ node: Node?) -> Set<Delivery> {
        guard let node else { return [.jetstream] }
        guard let items = node.sequence else {
            report("delivery", "expected a list of jetstream, core, request", at: node)
            return []
        }
        var deliveries: Set<Delivery> = []
        for item in items {
            if let delivery = item.string.flatMap(Delivery.init(rawValue:)) {
                deliveries.insert(delivery)
            } else {
                report("delivery", "expected jetstream, core or request, got '\(item.string ?? "?")'", at: item)
            }
        }
        return deliveries
    }

    private mutating func readMaxPayloadBytes(_ node: Node?) -> Int? {
        guard let node else { return nil }
        if let bytes = node.int, bytes > 0 { return bytes }
        report("max_payload_bytes", "expected a whole number above 0, got '\(node.string ?? "?")'", at: node)
        return nil
    }

    private mutating func readMaxInFlight(_ node: Node?) -> Int? {
        guard let node else { return nil }
        let range = ConcurrencyLimits.range
        if let most = node.int, range.contains(Int64(most)) { return most }
        report(
            "max_in_flight",
            "expected a whole number from \(range.lowerBound) to \(range.upperBound), got '\(node.string ?? "?")'",
            at: node)
        return nil
    }

    private mutating func readPayloadSchema(_ node: Node?) -> CompiledSchema? {
        guard let node else { return nil }
        guard let name = node.string, !name.isEmpty else {
            report("payload_schema", "expected the path of a JSON Schema, relative to this file", at: node)
            return nil
        }
        let path = name.hasPrefix("/") ? name : folder + name
        let read = CommandLineEnvironment.contents(of: path)
        schema = (path, read)
        guard let text = read else {
            report("payload_schema", "expected a readable file of UTF-8 text, got '\(path)'", at: node)
            return nil
        }
        do { return try CompiledSchema(Array(text.utf8)) } catch {
            report("payload_schema", "expected a JSON Schema of draft-07 in '\(path)': \(error)", at: node)
            return nil
        }
    }
}
