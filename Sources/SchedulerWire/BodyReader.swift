package import JSONText
package import Recurrence
import SchedulerCore

/// Reads the members of one JSON object and collects every problem, so that a requester learns all of them at once.
///
/// Each accessor names the member it takes; ``finish()`` then reports the members that nobody took.
package struct BodyReader {
    /// A member that a merge patch distinguishes: absent leaves, null resets, a value sets.
    package enum Member {
        case absent
        case null
        case value(JSONValue)
    }

    package private(set) var problems: [WireError.Problem] = []
    private let members: [String: JSONValue]
    private let order: [String]
    private var taken: Set<String> = []
    private let base: String
    private let isObject: Bool

    /// - Parameter body: nil, null and `{}` are the same: an object without members.
    package init(_ body: JSONValue?, at base: String = "") {
        self.base = base
        isObject = body.map { $0.isNull || $0.kind == .object } ?? true
        guard let body, !body.isNull else {
            members = [:]
            order = []
            return
        }
        guard body.kind == .object else {
            members = [:]
            order = []
            problems.append(
                WireError.Problem(
                    .notAnObject, JSONPointer(base) ?? .root, "expected an object, got \(Self.name(of: body))"))
            return
        }
        var members: [String: JSONValue] = [:]
        var order: [String] = []
        for member in body.members {
            members[member.name] = member.value
            order.append(member.name)
        }
        self.members = members
        self.order = order
    }

    package mutating func member(_ name: String) -> Member {
        taken.insert(name)
        guard let value = members[name] else { return .absent }
        return value.isNull ? .null : .value(value)
    }

    /// The member's value; nil where it is absent or null.
    package mutating func value(_ name: String) -> JSONValue? {
        guard case .value(let value) = member(name) else { return nil }
        return value
    }

    /// - Parameter path: a member's name, or names joined by `/`, each escaped where it comes from a request.
    package mutating func report(_ path: String, _ message: String, as code: ErrorCode = .invalidValue) {
        // Of a body that is no object no member is missing: that it is none is its one problem.
        if isObject { problems.append(WireError.Problem(code, pointer(path), message)) }
    }

    package func hasProblem(_ path: String) -> Bool {
        let pointer = pointer(path)
        return problems.contains { $0.detail.pointer == pointer }
    }

    /// Where a nested reader stands.
    func path(_ path: String) -> String { base + "/" + path }

    /// Takes over the problems of a reader of a member, those of members that it does not know included.
    package mutating func absorb(_ nested: inout BodyReader) {
        for name in nested.order where !nested.taken.contains(name) {
            nested.report(Self.escaped(name), "is not a field of this object", as: .unknownField)
        }
        problems += nested.problems
    }

    private func pointer(_ path: String) -> JSONPointer { JSONPointer(base + "/" + path) ?? .root }

    /// A member's name as one token of a JSON Pointer.
    static func escaped(_ name: String) -> String { JSONPointer.escape(String(name.prefix(128))) }

    /// Reports each member that no accessor took; throws all problems at once, if there are any.
    package mutating func finish() throws(WireError) {
        for name in order where !taken.contains(name) {
            report(Self.escaped(name), "is not a field of this request", as: .unknownField)
        }
        if let error = WireError(problems) { throw error }
    }

    package static func name(of value: JSONValue) -> String {
        switch value.kind {
        case .null: "null"
        case .bool: "a boolean"
        case .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}

extension BodyReader {
    package mutating func string(_ name: String, most characters: Int = 1024) -> String? {
        guard let value = value(name) else { return nil }
        return string(value, name, most: characters)
    }

    package mutating func string(_ value: JSONValue, _ name: String, most characters: Int) -> String? {
        guard let text = value.string else {
            report(name, "expected a string, got \(Self.name(of: value))", as: .wrongType)
            return nil
        }
        // PostgreSQL's text has none.
        guard !text.utf8.contains(0) else {
            report(name, "expected text without NUL characters")
            return nil
        }
        guard text.count <= characters else {
            report(name, "expected at most \(characters) characters, got \(text.count)")
            return nil
        }
        return text
    }

    package mutating func bool(_ name: String) -> Bool? {
        guard let value = value(name) else { return nil }
        guard let bool = value.bool else {
            report(name, "expected true or false, got \(Self.name(of: value))", as: .wrongType)
            return nil
        }
        return bool
    }

    package mutating func integer(_ name: String, in range: ClosedRange<Int64>) -> Int64? {
        guard let value = value(name) else { return nil }
        guard let number = value.int64 ?? value.double.flatMap({ Int64(exactly: $0) }), value.kind == .number else {
            report(name, "expected a whole number, got \(Self.shown(value))", as: .wrongType)
            return nil
        }
        guard range.contains(number) else {
            report(name, "expected \(range.lowerBound) to \(range.upperBound), got \(number)")
            return nil
        }
        return number
    }

    package mutating func number(_ name: String, in range: ClosedRange<Double>) -> Double? {
        guard let value = value(name) else { return nil }
        guard value.kind == .number, let number = value.double else {
            report(name, "expected a number, got \(Self.shown(value))", as: .wrongType)
            return nil
        }
        guard range.contains(number) else {
            report(name, "expected \(range.lowerBound) to \(range.upperBound), got \(Self.shown(value))")
            return nil
        }
        return number
    }

    /// Seconds as a number, in whole milliseconds.
    package mutating func milliseconds(_ name: String, seconds range: ClosedRange<Double>) -> Int64? {
        guard let seconds = number(name, in: range) else { return nil }
        let milliseconds = (seconds * 1000).rounded()
        guard abs(milliseconds - seconds * 1000) < 1e-6 * max(1, abs(milliseconds)) else {
            report(name, "expected whole milliseconds, got \(seconds) s")
            return nil
        }
        return Int64(milliseconds)
    }

    package mutating func instant(_ name: String) -> Instant? {
        guard let text = string(name, most: 64) else { return nil }
        guard let instant = Instant(rfc3339: text) else {
            report(name, "expected an RFC 3339 instant such as 2026-11-21T09:30:00Z, got '\(text)'")
            return nil
        }
        return instant
    }

    /// An instant, or a local time of a zone: in a gap the first valid instant after it, in a repeat the first pass.
    mutating func instant(_ name: String, localTo zone: String, _ zones: ZoneLookup) -> Instant? {
        guard let text = string(name, most: 64) else { return nil }
        if let instant = Instant(rfc3339: text) { return instant }
        guard let local = LocalDateTime(iso8601: text) else {
            report(name, "expected 2026-11-21T09:30:00Z, or 2026-11-21T09:30:00 in 'timezone', got '\(text)'")
            return nil
        }
        let rules: ZoneRules
        // A zone that is not known is reported where the timing is read as a whole.
        do { rules = try zones(zone) } catch { return .latest }
        switch rules.resolve(local) {
        case .unique(let instant), .repeated(first: let instant, second: _), .gap(firstValid: let instant):
            return instant
        }
    }

    package mutating func choice<Choice: RawRepresentable & CaseIterable>(
        _ name: String, of type: Choice.Type = Choice.self
    ) -> Choice? where Choice.RawValue == String {
        guard let text = string(name, most: 64) else { return nil }
        guard let choice = Choice(rawValue: text) else {
            let known = Choice.allCases.map { "'\($0.rawValue)'" }.joined(separator: ", ")
            report(name, "expected one of \(known), got '\(text)'")
            return nil
        }
        return choice
    }

    private static func shown(_ value: JSONValue) -> String {
        value.kind == .number ? String(decoding: value.bytes.prefix(32), as: UTF8.self) : name(of: value)
    }
}
