/// One line of the list of sources: whose schedules may listen to what.
package struct SourceRule: Hashable, Sendable {
    /// Nil stands for every namespace.
    package let namespace: Namespace?
    package let subject: SubjectPattern

    package init(namespace: Namespace?, subject: SubjectPattern) {
        self.namespace = namespace
        self.subject = subject
    }
}

extension TargetRules {
    /// Checks what a schedule listens to, at create, at update and again whenever it is compiled: a namespace must not
    /// read by a template what it may not subscribe to.
    /// - Parameter target: what the schedule fires at; nil where it fires no command.
    package func check(
        source: SubjectPattern, target: TargetSubject?, for namespace: Namespace
    ) throws(Refusal) {
        let first = source.firstToken
        guard first != "*", first != ">" else {
            throw Refusal(
                code: .sourceReserved,
                description: "expected a first token without wildcards, got '\(source)': it would hear what is "
                    + "NATS's own and the scheduler's")
        }
        guard !first.hasPrefix("$"), first != "_INBOX", first != ownPrefix else {
            throw Refusal(
                code: .sourceReserved, description: "nobody may listen to '\(source)': it is NATS's or the scheduler's")
        }
        let allowing = sources.contains {
            ($0.namespace == nil || $0.namespace == namespace) && $0.subject.covers(source)
        }
        guard allowing else {
            throw Refusal(
                code: .sourceNotAllowed,
                description: "namespace '\(namespace)' may not listen to '\(source)': no entry of 'sources' allows it")
        }
        if let target, source.matches(target.description) {
            throw Refusal(
                code: .sourceLoop,
                description:
                    "'\(source)' hears the schedule's own command, '\(target)': each fire would be the next one")
        }
    }
}

extension SubjectPattern {
    var firstToken: Substring { description.prefix { $0 != "." } }

    /// Whether it matches every subject that the other one matches.
    package func covers(_ other: SubjectPattern) -> Bool {
        var rest = other.description.split(separator: ".")[...]
        for token in description.split(separator: ".") {
            guard let next = rest.popFirst() else { return false }
            if token == ">" { return true }
            guard next != ">", token == "*" || token == next else { return false }
        }
        return rest.isEmpty
    }
}
