import JSONSchema
package import Recurrence

/// An entry of the allow-list that a command made.
package struct TargetEntry: Hashable, Sendable {
    /// Nil stands for every namespace.
    package let namespace: Namespace?
    package let subject: SubjectPattern
    /// As they were said: one that this version does not know is kept, and of no use.
    package let delivery: [String]
    package let maxPayloadBytes: Int?
    /// A JSON Schema's text.
    package let payloadSchema: [UInt8]?
    /// Tracked executions that are open at once.
    package let maxInFlight: Int?
    package let createdAt: Instant
    package let createdBy: String?

    package init(
        namespace: Namespace?, subject: SubjectPattern, delivery: [String], maxPayloadBytes: Int?,
        payloadSchema: [UInt8]?, maxInFlight: Int? = nil, createdAt: Instant, createdBy: String?
    ) {
        self.namespace = namespace
        self.subject = subject
        self.delivery = delivery
        self.maxPayloadBytes = maxPayloadBytes
        self.payloadSchema = payloadSchema
        self.maxInFlight = maxInFlight
        self.createdAt = createdAt
        self.createdBy = createdBy
    }

    /// What the entry allows: the one place where an entry becomes a rule. Nil where its schema is none to this version:
    /// then it allows nothing.
    package var rule: TargetRule? {
        var rule = TargetRule(
            namespace: namespace, subject: subject, delivery: Set(delivery.compactMap(Delivery.init(rawValue:))),
            maxPayloadBytes: maxPayloadBytes)
        rule.maxInFlight = maxInFlight
        guard let payloadSchema else { return rule }
        guard let schema = try? CompiledSchema(payloadSchema) else { return nil }
        rule.payloadSchema = schema
        return rule
    }

    /// Whether it says the same as another one, whoever made it and when.
    package func says(_ other: TargetEntry) -> Bool {
        namespace == other.namespace && subject == other.subject && delivery == other.delivery
            && maxPayloadBytes == other.maxPayloadBytes && payloadSchema == other.payloadSchema
            && maxInFlight == other.maxInFlight
    }
}

extension TargetRules {
    /// The file's rules and those of the entries: any of them is enough.
    package func joined(with entries: [TargetEntry]) -> TargetRules {
        entries.isEmpty
            ? self
            : TargetRules(
                rules: rules + entries.compactMap(\.rule), sources: sources, ownPrefix: ownPrefix)
    }

    /// The rules of this list that another one does not have: what they allowed may be allowed no longer.
    package func missing(in other: TargetRules) -> [TargetRule] {
        let kept = Set(other.rules)
        return rules.filter { !kept.contains($0) }
    }
}

extension SubjectPattern {
    /// What all subjects that match begin with: all of a pattern without wildcards.
    package var literalPrefix: String {
        var tokens: [Substring] = []
        for token in description.split(separator: ".") {
            if token == "*" || token == ">" { return tokens.map { $0 + "." }.joined() }
            tokens.append(token)
        }
        return description
    }
}
