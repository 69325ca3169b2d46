package import JSONText
import SchedulerCore
package import SchedulerWire

/// Makes one body of what the path, the query and the body of a request say. The body's values stay as they were written,
/// byte by byte: a payload is delivered as it came.
package struct CommandBody {
    /// What the query writes as text and a command reads as something else.
    private static let integers: Set<String> = [
        "limit", "count", "window_seconds", "step_seconds", "past", "coming", "if_version",
    ]
    private static let flags: Set<String> = ["full", "dry_run", "force", "catch_up"]
    private static let lists: Set<String> = ["state", "tag", "tags_all"]

    private var said: [(name: String, value: [UInt8])] = []
    private var problems: [WireError.Problem] = []

    package init() {}

    /// What the path says. Where the body says something else, that is an error.
    package mutating func add(path value: String, at place: Route.Place) {
        switch place {
        case .member(let member): add(member.name, Self.text(value))
        case .reference(let prefix): add(prefix + (ScheduleID(text: value) == nil ? "name" : "id"), Self.text(value))
        }
    }

    package mutating func add(_ name: String, _ value: String) { add(name, Self.text(value)) }

    private mutating func add(_ name: String, _ value: [UInt8]) {
        guard let known = said.first(where: { $0.name == name }) else { return said.append((name, value)) }
        if known.value != value { report(name, "stands in the path, and says something else in the query") }
    }

    /// What the query says, each in the form that the command reads. What is no number where one belongs stays a text, and
    /// the command says so.
    package mutating func add(query: [RequestTarget.Item]) {
        var lists: [String: [String]] = [:]
        var order: [String] = []
        for item in query {
            if lists[item.name] == nil { order.append(item.name) }
            lists[item.name, default: []].append(item.value)
        }
        for name in order {
            let values = lists[name] ?? []
            guard values.count > 1 else {
                add(name, Self.value(values[0], of: name))
                continue
            }
            if Self.lists.contains(name) {
                var writer = JSONWriter()
                writer.array { writer in for value in values { writer.value(value) } }
                add(name, writer.bytes)
            } else {
                report(name, "stands in the query \(values.count) times")
            }
        }
    }

    /// Puts it all together.
    /// - Parameters:
    ///   - bytes: the request's body; empty for none.
    ///   - otherwise: members that hold where nothing else says them.
    /// - Throws: what is wrong with the body, or with what is said twice.
    package consuming func merged(
        with bytes: [UInt8], limits: JSONLimits, otherwise: [(name: String, value: String)] = []
    ) throws(WireError) -> [UInt8] {
        let body = try Self.parse(bytes, limits)
        // What is no object the command refuses, in its own words.
        if let body, body.kind != .object, !body.isNull { return bytes }
        var names = Set(said.map(\.name))
        var kept: [JSONValue.Member] = []
        for member in body.map({ Array($0.members) }) ?? [] {
            guard let known = said.first(where: { member.hasName($0.name) }) else {
                kept.append(member)
                names.insert(member.name)
                continue
            }
            guard !member.value.isNull, !Self.isSame(member.value, known.value) else { continue }
            report(known.name, "says something else than the request's path or query does")
        }
        if let error = WireError(problems) { throw error }
        let defaults = otherwise.filter { !names.contains($0.name) }
        guard !said.isEmpty || !defaults.isEmpty else { return bytes }
        var writer = JSONWriter(capacity: bytes.count + 512)
        writer.object { writer in
            for member in said {
                writer.name(dynamic: member.name)
                writer.raw(member.value)
            }
            for member in defaults {
                writer.name(dynamic: member.name)
                writer.value(member.value)
            }
            for member in kept {
                writer.name(dynamic: member.name)
                writer.value(member.value)
            }
        }
        return writer.bytes
    }

    private mutating func report(_ name: String, _ message: String) {
        let pointer = JSONPointer.root.appending(String(name.prefix(128)))
        problems.append(WireError.Problem(.conflictingFields, pointer, message))
    }

    private static func parse(_ bytes: [UInt8], _ limits: JSONLimits) throws(WireError) -> JSONValue? {
        guard !bytes.allSatisfy({ $0 == 0x20 || (0x09...0x0D).contains($0) }) else { return nil }
        do { return try JSONValue.parse(bytes, limits: limits) } catch { throw WireError(error) }
    }

    private static func isSame(_ value: JSONValue, _ bytes: [UInt8]) -> Bool {
        guard let text = value.string else { return value.bytes.elementsEqual(bytes) }
        return Self.text(text) == bytes
    }

    private static func text(_ text: String) -> [UInt8] {
        var writer = JSONWriter(capacity: text.utf8.count + 16)
        writer.value(text)
        return writer.bytes
    }

    private static func value(_ text: String, of name: String) -> [UInt8] {
        if integers.contains(name), let number = Int64(text), String(number) == text { return Array(text.utf8) }
        if flags.contains(name), text == "true" || text == "false" { return Array(text.utf8) }
        return Self.text(text)
    }
}
