package import JSONSchema

/// How a fired message leaves (contract.md §3).
package enum Delivery: String, Sendable, CaseIterable {
    /// Waits for the stream's acknowledgement.
    case jetstream
    /// Flushed to the server; nobody says who took it.
    case core
    /// Waits for a reply.
    case request
}

/// One line of the allow-list: who may send where, how, and how much.
package struct TargetRule: Hashable, Sendable {
    /// Nil stands for every namespace (`"*"` in the file).
    package let namespace: Namespace?
    package let subject: SubjectPattern
    package let delivery: Set<Delivery>
    /// Nil where only the server's `max_payload` bounds it.
    package let maxPayloadBytes: Int?
    /// What a payload must satisfy; nil where any JSON does.
    package var payloadSchema: CompiledSchema?
    /// Tracked executions that are open on its subject at once, of all schedules; nil for no bound.
    package var maxInFlight: Int?

    package init(namespace: Namespace?, subject: SubjectPattern, delivery: Set<Delivery>, maxPayloadBytes: Int?) {
        self.namespace = namespace
        self.subject = subject
        self.delivery = delivery
        self.maxPayloadBytes = maxPayloadBytes
    }
}

/// The allow-list: what is not named here is never published.
package struct TargetRules: Hashable, Sendable {
    /// Why a target is refused; the words are for the requester.
    package struct Refusal: Error, Hashable, Sendable, CustomStringConvertible {
        package enum Code: Hashable, Sendable {
            /// One of the scheduler's own subjects: no rule can allow it.
            case reserved
            case notAllowed
            case delivery
            case payloadTooLarge
            /// It breaks the schema of each rule that allows the target.
            case payloadInvalid
            /// Nobody may listen to it.
            case sourceReserved
            /// The namespace may not listen to it.
            case sourceNotAllowed
            /// The schedule would hear its own command.
            case sourceLoop
        }

        package let code: Code
        package let description: String
    }

    package let rules: [TargetRule]
    /// What schedules may listen to.
    package let sources: [SourceRule]
    /// The scheduler's own first token: publishing there would be talking to itself.
    package let ownPrefix: String

    package init(rules: [TargetRule], sources: [SourceRule] = [], ownPrefix: String) {
        self.sources = sources
        self.rules = rules
        self.ownPrefix = ownPrefix
    }

    /// The rules that a namespace may see.
    package func visible(to namespace: Namespace) -> [TargetRule] {
        rules.filter { $0.namespace == nil || $0.namespace == namespace }
    }

    /// Checks a target at create, at update and again when it fires. One rule that allows it is enough.
    /// - Returns: the rules that allow it, at least one: the payload is for ``payloadProblems(_:)`` of them to judge.
    @discardableResult
    package func check(
        _ target: TargetSubject, delivery: Delivery, payloadBytes: Int, for namespace: Namespace
    ) throws(Refusal) -> [TargetRule] {
        let subject = target.description
        guard subject != ownPrefix, !subject.hasPrefix(ownPrefix + ".") else {
            throw Refusal(code: .reserved, description: "'\(subject)' is one of the scheduler's own subjects")
        }
        let named = visible(to: namespace).filter { $0.subject.matches(subject) }
        guard !named.isEmpty else {
            throw Refusal(
                code: .notAllowed, description: "'\(subject)' is not allowed for namespace '\(namespace)'")
        }
        let delivering = named.filter { $0.delivery.contains(delivery) }
        guard !delivering.isEmpty else {
            let allowed = Set(named.flatMap { $0.delivery.map(\.rawValue) }).sorted().joined(separator: ", ")
            throw Refusal(
                code: .delivery,
                description: "'\(subject)' allows delivery by \(allowed), not by \(delivery.rawValue)")
        }
        let allowing = delivering.filter { $0.maxPayloadBytes.map { payloadBytes <= $0 } ?? true }
        guard !allowing.isEmpty else {
            let most = delivering.compactMap(\.maxPayloadBytes).max() ?? 0
            throw Refusal(
                code: .payloadTooLarge,
                description: "'\(subject)' takes payloads of at most \(most) bytes, got \(payloadBytes)")
        }
        return allowing
    }
}

extension [TargetRule] {
    /// What is wrong with a payload by the schemas of rules that allow its target: nothing where one of them takes it,
    /// else what the first one says.
    package func payloadProblems(_ payload: [UInt8]) -> [SchemaProblem] {
        var problems: [SchemaProblem]?
        let schemas = compactMap(\.payloadSchema)
        guard schemas.count == count else { return [] }
        for schema in schemas {
            let found = schema.validate(payload)
            if found.isEmpty { return [] }
            if problems == nil { problems = found }
        }
        return problems ?? []
    }
}
