/// Which shared places an execution needs, by name: null where there is no such limit. As they stand in the tables.
package struct ConcurrencyNames: Hashable, Sendable {
    /// `<namespace>/<key>`.
    package var key: String?
    /// The subject of the allow-list's entry, as it was written.
    package var target: String?

    package init(key: String? = nil, target: String? = nil) {
        self.key = key
        self.target = target
    }

    package var isEmpty: Bool { key == nil && target == nil }

    /// How the name of a key begins; what follows is the key. No namespace contains a slash.
    package static func prefix(of namespace: String) -> String { namespace + "/" }
}

/// The limits that executions of a schedule share with others': of its `concurrency_key`, and of its target. None where
/// completion is not tracked, and none of a shadow: nothing of it runs, and it takes nobody's place.
package struct ConcurrencyLimits: Hashable, Sendable {
    /// How many places any limit may have.
    package static let range: ClosedRange<Int64> = 1...10_000
    /// Places of a key that the namespace's limits do not name: mutual exclusion.
    package static let usual = 1
    /// Keys that the limits of one namespace may name.
    package static let mostKeys = 1000
    /// Characters of a key.
    package static let longestKey = 128

    package let names: ConcurrencyNames
    /// Places of the target; counts where it has a name.
    package let targetPlaces: Int

    package init(_ names: ConcurrencyNames = ConcurrencyNames(), targetPlaces: Int = .max) {
        self.names = names
        self.targetPlaces = targetPlaces
    }

    package var isEmpty: Bool { names.isEmpty }

    /// What a definition is bound by under an allow-list.
    package init(of definition: ScheduleDefinition, in namespace: Namespace, under rules: TargetRules) {
        guard definition.completion != .none, definition.firesCommand, !definition.isShadow else {
            self.init()
            return
        }
        let target = rules.limit(of: definition.target, for: namespace)
        self.init(
            ConcurrencyNames(
                key: definition.concurrencyKey.map { ConcurrencyNames.prefix(of: namespace.description) + $0 },
                target: target?.subject),
            targetPlaces: target?.places ?? .max)
    }

    /// What is wrong with a key; nil where nothing is.
    package static func problem(of key: String) -> String? {
        let isPrintable = key.unicodeScalars.allSatisfy { $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value) }
        guard !key.isEmpty, key.count <= longestKey, isPrintable else {
            return "expected 1 to \(longestKey) printable characters"
        }
        return nil
    }
}

extension TargetRules {
    /// What bounds the executions that are open on a target at once: the most specific of the entries that match it and
    /// have a `max_in_flight`, a literal token before `*`, that before `>`. Entries of one subject share its places; the
    /// smallest number that is said for the namespace holds for it. Nil where there is no bound.
    package func limit(of target: TargetSubject, for namespace: Namespace) -> (subject: String, places: Int)? {
        // Every schedule asks; most lists have none.
        let bounds = rules.filter { $0.maxInFlight != nil && ($0.namespace == nil || $0.namespace == namespace) }
        guard !bounds.isEmpty else { return nil }
        var found: (subject: String, places: Int, rank: String)?
        for rule in bounds where rule.subject.matches(target.description) {
            let (subject, places, rank) = (rule.subject.description, rule.maxInFlight ?? .max, rule.subject.rank)
            if let best = found, best.rank > rank || best.rank == rank && best.places <= places { continue }
            found = (subject, places, rank)
        }
        return found.map { ($0.subject, $0.places) }
    }

    /// The places of a limit by its name, for whoever knows no schedule of it; nil where no entry says any.
    package func places(ofLimit subject: String) -> Int? {
        rules.filter { $0.subject.description == subject }.compactMap(\.maxInFlight).max()
    }
}

extension SubjectPattern {
    /// Sorts patterns that match the same subject: the more specific, the higher.
    fileprivate var rank: String {
        String(description.split(separator: ".").map { $0 == ">" ? "0" : $0 == "*" ? "1" : "2" })
    }
}
