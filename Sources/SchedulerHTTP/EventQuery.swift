import JSONText
package import SchedulerCore
package import SchedulerWire

/// Which events somebody wants.
package struct EventQuery: Hashable, Sendable {
    /// Nil for all, those of the service itself included.
    package var namespaces: Set<Namespace>?
    /// `schedule`, `execution` or `system`, and what happened: `execution.dead`.
    package var family: String?
    package var event: String?
    package var schedule: ScheduleID?
    /// The stream's sequence of the last event that is known already; nil: from now on.
    package var after: UInt64?

    package init(namespaces: Set<Namespace>? = nil) { self.namespaces = namespaces }

    private static let known = ["event", "namespace", "schedule_id", "last_event_id"]

    /// - Parameters:
    ///   - namespace: what the request's header says.
    ///   - last: the request's `Last-Event-ID`; a browser sends it when it comes back.
    /// - Throws: what is wrong with the request, all at once; `namespaceForbidden`.
    package init(_ target: RequestTarget, access: Access, namespace: String?, last: String?) throws(WireError) {
        var problems: [WireError.Problem] = []
        func report(_ name: String, _ message: String, as code: ErrorCode = .invalidValue) {
            problems.append(WireError.Problem(code, .root.appending(String(name.prefix(128))), message))
        }
        for name in Set(target.query.map(\.name)).subtracting(Self.known).sorted() {
            report(name, "is not a parameter of this request", as: .unknownField)
        }
        namespaces = access.namespaces
        if let named = target["namespace"] ?? namespace { namespaces = [try access.namespace(named: named)] }
        if let text = target["event"] {
            let tokens = text.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
            let isKnown = EventType.all.contains { $0.family.rawValue == tokens[0] && $0.event == tokens.last }
            if tokens.count == 2, isKnown {
                (family, event) = (tokens[0], tokens[1])
            } else {
                report("event", "expected an event such as execution.dead, got '\(text.prefix(80))'")
            }
        }
        if let text = target["schedule_id"] {
            schedule = ScheduleID(text: text)
            if schedule == nil { report("schedule_id", "expected a schedule's id, got '\(text.prefix(80))'") }
        }
        if let text = last ?? target["last_event_id"], !text.isEmpty {
            after = UInt64(text)
            if after == nil {
                report("last_event_id", "expected the id of an event, a number, got '\(text.prefix(80))'")
            }
        }
        if let error = WireError(problems) { throw error }
    }

    /// The subjects of such events. Of several namespaces the server can filter by none.
    /// - Parameter prefix: the first token of all subjects.
    func filter(prefix: String) -> String {
        let namespace = namespaces?.count == 1 ? namespaces?.first?.description ?? "*" : "*"
        return "\(prefix).evt.\(namespace).\(family ?? "*").\(event ?? "*").\(schedule?.description ?? "*")"
    }

    /// Whether somebody may see an event of this subject.
    func admits(_ subject: String) -> Bool {
        guard let namespaces else { return true }
        let tokens = subject.split(separator: ".", maxSplits: 3)
        return tokens.count > 2 && namespaces.contains { $0.description.utf8.elementsEqual(tokens[2].utf8) }
    }
}

/// What somebody who follows the events is told.
package enum EventItem: Sendable {
    /// - Parameters:
    ///   - sequence: where it stands in the stream.
    ///   - body: a CloudEvent, JSON.
    case event(sequence: UInt64, body: [UInt8])
    /// Events that the client does not have are in the stream no more; what follows begins at `next`.
    case gap(next: UInt64)
    /// Time passes; comes about every quarter of a second.
    case tick
}

/// Server-sent events as text (the HTML standard, "9.2 Server-sent events").
enum ServerSentEvents {
    static let beginning = Array("retry: 1000\n\n".utf8)
    static let keepAlive = Array(": keep-alive\n\n".utf8)

    static func event(sequence: UInt64, body: [UInt8]) -> [UInt8] {
        var text = Array("id: \(sequence)\n".utf8)
        // One line as a rule; whatever else ends a line for a reader begins another of the same event.
        for line in body.split(omittingEmptySubsequences: false, whereSeparator: { $0 == 0x0A || $0 == 0x0D }) {
            text += Array("data: ".utf8)
            text += line
            text.append(0x0A)
        }
        text.append(0x0A)
        return text
    }

    /// - Parameter next: where the stream goes on.
    static func gap(next: UInt64) -> [UInt8] { Array("event: gap\ndata: {\"next\":\(next)}\n\n".utf8) }

    /// - Parameter reason: a sentence of ours, without quotes.
    static func end(_ reason: String) -> [UInt8] { Array("event: end\ndata: {\"reason\":\"\(reason)\"}\n\n".utf8) }
}
