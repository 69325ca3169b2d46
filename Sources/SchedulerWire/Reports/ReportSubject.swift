package import SchedulerCore

/// What a worker says of an attempt (contract.md §1).
package enum ReportKind: String, Sendable, CaseIterable {
    case started
    case heartbeat
    case succeeded
    case failed
}

/// The subject of a report: `<prefix>.run.<namespace>.<execution id>.<kind>`. The namespace is pinned by the server's
/// permissions, so nobody reports on another's executions.
package struct ReportSubject: Hashable, Sendable {
    package let namespace: Namespace
    package let execution: ExecutionID
    package let kind: ReportKind

    /// - Throws: `badSubject`, naming the token.
    package init(_ subject: String, prefix: String) throws(WireError) {
        let tokens = subject.split(separator: ".", omittingEmptySubsequences: false)
        guard tokens.count == 5, tokens[0] == prefix, tokens[1] == "run" else {
            throw WireError(
                .badSubject, "expected \(prefix).run.<namespace>.<execution id>.<report>, got '\(subject.prefix(256))'")
        }
        do { namespace = try Namespace(String(tokens[2])) } catch {
            throw WireError(.badSubject, "\(error), got '\(tokens[2].prefix(128))'")
        }
        guard let execution = ExecutionID(text: tokens[3]) else {
            throw WireError(.badSubject, "expected an execution's id, got '\(tokens[3].prefix(128))'")
        }
        guard let kind = ReportKind(rawValue: String(tokens[4])) else {
            let known = ReportKind.allCases.map(\.rawValue).joined(separator: ", ")
            throw WireError(.badSubject, "expected one of \(known), got '\(tokens[4].prefix(128))'")
        }
        self.execution = execution
        self.kind = kind
    }

    /// What stands before the kind: `Scheduler-Status-Subject` of a fired message. `cancel` goes there too.
    package static func base(of execution: ExecutionID, in namespace: String, prefix: String) -> String {
        "\(prefix).run.\(namespace).\(execution)"
    }
}
