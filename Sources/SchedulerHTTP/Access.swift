package import SchedulerCore
package import SchedulerWire

/// What somebody may do over HTTP.
package struct Access: Hashable, Sendable {
    /// What the audit calls who came with the token; nil for whoever asks from this machine.
    package let name: String?
    /// Nil for every namespace.
    package let namespaces: Set<Namespace>?
    package let isReadOnly: Bool
    package let isAdministrator: Bool

    package init(name: String?, namespaces: Set<Namespace>?, isReadOnly: Bool = false, isAdministrator: Bool = false) {
        self.name = name
        self.namespaces = namespaces
        self.isReadOnly = isReadOnly
        self.isAdministrator = isAdministrator
    }

    /// Where no tokens are configured: who reaches this machine's own address may do everything.
    static let everything = Access(name: nil, namespaces: nil, isAdministrator: true)

    /// The header that names the namespace of a request.
    package static let namespaceHeader = "Scheduler-Namespace"

    /// The namespace of a request.
    /// - Parameter named: what its header says.
    /// - Throws: `namespaceForbidden`; `badSubject` where it is not said, or is none.
    package func namespace(named: String?) throws(WireError) -> Namespace {
        guard let named else {
            if let namespaces, namespaces.count == 1, let only = namespaces.first { return only }
            throw WireError(.badSubject, "expected the header \(Self.namespaceHeader) to name the namespace")
        }
        let namespace: Namespace
        do { namespace = try Namespace(named) } catch {
            throw WireError(.badSubject, "\(Self.namespaceHeader): \(error), got '\(named.prefix(80))'")
        }
        guard namespaces?.contains(namespace) ?? true else {
            throw WireError(.namespaceForbidden, "the token is not for the namespace '\(namespace)'")
        }
        return namespace
    }

    /// - Throws: `notPermitted`.
    package func expect(_ page: CommandPage) throws(WireError) {
        if page.kind == .administration, !isAdministrator {
            throw WireError(.notPermitted, "'\(page.name)' is for administrators' tokens")
        }
        if page.isChanging, isReadOnly {
            throw WireError(.notPermitted, "'\(page.name)' changes something, and the token may only read")
        }
    }
}
