package import JSONText
import SchedulerCore

extension BodyReader {
    /// `concurrency_key`.
    mutating func concurrencyKey() -> String? {
        guard let text = string("concurrency_key", most: ConcurrencyLimits.longestKey) else { return nil }
        guard let problem = ConcurrencyLimits.problem(of: text) else { return text }
        report("concurrency_key", "\(problem), got '\(text)'")
        return nil
    }

    /// `concurrency`: the places of keys; a key whose places are null goes back to the usual ones. Nil where it is absent
    /// or wrong.
    package mutating func concurrency() -> [String: Int?]? {
        guard let value = value("concurrency") else { return nil }
        guard value.kind == .object else {
            report(
                "concurrency", "expected an object of keys and their places, got \(Self.name(of: value))",
                as: .wrongType)
            return nil
        }
        guard value.count <= ConcurrencyLimits.mostKeys else {
            report("concurrency", "expected at most \(ConcurrencyLimits.mostKeys) keys, got \(value.count)")
            return nil
        }
        var nested = BodyReader(value, at: path("concurrency"))
        var places: [String: Int?] = [:]
        for member in value.members {
            if let problem = ConcurrencyLimits.problem(of: member.name) {
                nested.report(Self.escaped(member.name), "\(problem) as a key")
            }
            places[member.name] = .some(nested.places(of: member.name))
        }
        absorb(&nested)
        return places
    }

    /// A key may hold what a path may not.
    private mutating func places(of key: String) -> Int? {
        guard case .value(let value) = member(key) else { return nil }
        let range = ConcurrencyLimits.range
        guard let number = value.int64, range.contains(number) else {
            report(
                Self.escaped(key), "expected a whole number from \(range.lowerBound) to \(range.upperBound), or null")
            return nil
        }
        return Int(number)
    }
}

extension JSONWriter {
    /// `concurrency`: the places of keys, in their order.
    package mutating func concurrency(_ places: [String: Int]) {
        object("concurrency") { writer in
            for (key, places) in places.sorted(by: { $0.key < $1.key }) {
                writer.name(dynamic: key)
                writer.value(places)
            }
        }
    }
}
