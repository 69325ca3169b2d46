package import JSONText
package import SchedulerCore

/// What an application of files would do, or did, to one schedule.
package struct PlannedChange: Sendable, Equatable {
    package enum Action: String, Sendable, CaseIterable {
        case create
        case update
        case unchanged
        case delete
    }

    /// One field that changes, as JSON; nil where there is none.
    package struct Field: Sendable, Equatable {
        package let name: String
        package let from: String?
        package let to: String?

        package init(name: String, from: String?, to: String?) {
            self.name = name
            self.from = from
            self.to = to
        }
    }

    package let action: Action
    package let namespace: Namespace
    package let name: String
    package let fields: [Field]

    package init(_ action: Action, namespace: Namespace, name: String, fields: [Field] = []) {
        self.action = action
        self.namespace = namespace
        self.name = name
        self.fields = fields
    }

    /// What `schedule.put` answered; nil where it is no such answer.
    package init?(reply: JSONValue, namespace: Namespace, name: String) {
        let actions: [String: Action] = ["created": .create, "updated": .update, "unchanged": .unchanged]
        guard let outcome = reply["outcome"]?.string, let action = actions[outcome] else { return nil }
        let fields = reply["changes"].map { Array($0.elements) } ?? []
        self.init(
            action, namespace: namespace, name: name,
            fields: action != .update
                ? []
                : fields.map { field in
                    Field(
                        name: String((field["pointer"]?.string ?? "?").drop { $0 == "/" }),
                        from: Self.text(field["from"]), to: Self.text(field["to"]))
                })
    }

    /// The same for a definition that follows others too, where it was answered for one without `after`.
    package func following(_ after: JSONValue?) -> PlannedChange {
        guard action == .update || action == .unchanged else { return self }
        let from = fields.first { $0.name == "after" }?.from
        return PlannedChange(
            .update, namespace: namespace, name: name,
            fields: fields.filter { $0.name != "after" } + [Field(name: "after", from: from, to: Self.text(after))])
    }

    private static func text(_ value: JSONValue?) -> String? {
        value.flatMap { $0.isNull ? nil : String(decoding: $0.bytes, as: UTF8.self) }
    }

    /// Longer values are cut.
    private static let mostCharacters = 160

    /// `~ update billing/nightly: cron_expression "0 2 * * *" → "0 3 * * *"`
    package var line: String {
        let mark =
            switch action {
            case .create: "+ create"
            case .update: "~ update"
            case .unchanged: "= unchanged"
            case .delete: "- delete"
            }
        let changes = fields.map { "\($0.name) \(Self.shown($0.from)) → \(Self.shown($0.to))" }
        let list = changes.isEmpty ? "" : ": " + changes.joined(separator: ", ")
        return "\(mark) \(namespace)/\(name)\(list)"
    }

    private static func shown(_ text: String?) -> String {
        guard let text else { return "nothing" }
        return text.count > mostCharacters ? text.prefix(mostCharacters) + "…" : text
    }
}

extension [PlannedChange] {
    /// Whether anything would change.
    package var isEmptyPlan: Bool { allSatisfy { $0.action == .unchanged } }

    /// `2 to create, 1 to update, 5 unchanged, 0 to delete`
    package var summary: String {
        func count(_ action: PlannedChange.Action) -> Int { self.count { $0.action == action } }
        return "\(count(.create)) to create, \(count(.update)) to update, \(count(.unchanged)) unchanged, "
            + "\(count(.delete)) to delete"
    }
}

/// A schedule that a list showed, as far as a prune looks at it.
package struct ListedSchedule: Sendable, Equatable {
    package let id: String
    package let name: String
    package let version: Int64

    /// The schedules of a list's page that carry an owner's label and are not in the files.
    ///
    /// - Parameter names: those of the files in that namespace.
    package static func orphans(in page: JSONValue, of owner: String, notIn names: Set<String>) -> [ListedSchedule] {
        (page["schedules"].map { Array($0.elements) } ?? []).compactMap { schedule in
            guard schedule["metadata"]?[DefinitionFile.ownerKey]?.string == owner,
                let id = schedule["id"]?.string, let name = schedule["name"]?.string,
                let version = schedule["version"]?.int64, !names.contains(name)
            else { return nil }
            return ListedSchedule(id: id, name: name, version: version)
        }
    }
}
