/// What there is to say about one command: to people (`<p>.help`), to programs (its schemas), to the micro protocol.
package struct CommandPage: Sendable, Hashable {
    package enum Kind: String, Sendable, CaseIterable {
        /// `<p>.cmd.<namespace>.<noun>.<verb>`
        case command = "cmd"
        /// `<p>.admin.<noun>.<verb>`
        case administration = "admin"
    }

    package let kind: Kind
    package let noun: String
    package let verb: String
    /// It takes `request_id`, `actor`, `reason` and `dry_run`, and where there is a version `if_version` too.
    package let isChanging: Bool
    /// One sentence.
    package let summary: String
    /// Bodies that work when they are pasted, in their order, against `carillon dev`; empty for no body. See
    /// ``ExampleText`` for what stands in for values that nobody can know beforehand.
    package let examples: [String]

    /// - Parameter name: `<noun>.<verb>`, of an administrative command `admin.<noun>.<verb>`.
    init(_ name: String, changes: Bool = false, _ summary: String, examples: [String]) {
        var tokens = name.split(separator: ".").map(String.init)
        kind = tokens.first == Kind.administration.rawValue ? .administration : .command
        if kind == .administration { tokens.removeFirst() }
        noun = tokens.first ?? ""
        verb = tokens.dropFirst().joined(separator: ".")
        isChanging = changes
        self.summary = summary
        self.examples = examples
    }

    /// `schedule.create`, `admin.system.status`: what `<p>.help` takes.
    package var name: String {
        switch kind {
        case .command: "\(noun).\(verb)"
        case .administration: "admin.\(noun).\(verb)"
        }
    }

    /// Whether `<p>.submit.<namespace>.<noun>.<verb>` takes it: a creator's command that changes something.
    package var mayBeSubmitted: Bool { isChanging && kind == .command }

    /// Where it is sent to.
    /// - Parameter namespace: the creator's token, or `*`.
    package func subject(prefix: String, namespace: String) -> String {
        switch kind {
        case .command: "\(prefix).cmd.\(namespace).\(noun).\(verb)"
        case .administration: "\(prefix).admin.\(noun).\(verb)"
        }
    }

    /// The `$id` of the schema of its request, whose path is a file of `schemas/`.
    package var requestSchema: String { "carillon:schemas/commands/\(name).request.v1.json" }
    package var replySchema: String { "carillon:schemas/commands/\(name).reply.v1.json" }
}
