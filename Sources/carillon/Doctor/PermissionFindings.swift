import JSONText
import SchedulerEngine

/// A subject that the service must be able to publish or subscribe to.
struct PermissionNeed: Hashable, Sendable {
    enum Operation: String, Sendable {
        case publish = "publish on"
        case subscribe = "subscribe to"
    }

    let operation: Operation
    /// With wildcards where it is many.
    let subject: String
    let purpose: String
    /// A subject of those where trying does nothing; nil where somebody would take the message for a real one.
    var trial: String?
    /// Whether the service goes on without.
    var isOptional = false
}

/// What became of one need.
struct PermissionTrial: Hashable, Sendable {
    enum Outcome: Sendable {
        case permitted, denied, unknown
    }

    let need: PermissionNeed
    let outcome: Outcome
}

/// What a user may, as the server tells it (`$SYS.REQ.USER.INFO`, nats-server 2.10 and later).
struct UserPermissions: Hashable, Sendable {
    struct List: Hashable, Sendable {
        /// Nil: everything.
        var allow: [String]?
        var deny: [String] = []

        func permits(_ subject: String) -> Bool {
            !deny.contains { Self.meet($0, subject) } && (allow?.contains { Self.covers($0, subject) } ?? true)
        }

        /// Whether `pattern` takes every subject that `subject`, perhaps a pattern too, stands for.
        static func covers(_ pattern: String, _ subject: String) -> Bool {
            var rest = subject.split(separator: ".")[...]
            for token in pattern.split(separator: " ", maxSplits: 1)[0].split(separator: ".") {
                guard let next = rest.popFirst() else { return false }
                if token == ">" { return true }
                guard token == next || (token == "*" && next != ">") else { return false }
            }
            return rest.isEmpty
        }

        /// Whether some subject is taken by both.
        static func meet(_ first: String, _ second: String) -> Bool {
            let (one, other) = (first.split(separator: "."), second.split(separator: "."))
            for (left, right) in zip(one, other) {
                if left == ">" || right == ">" { return true }
                guard left == right || left == "*" || right == "*" else { return false }
            }
            return one.count == other.count
        }
    }

    var publish = List()
    var subscribe = List()

    /// - Parameter reply: what the server answered; nil where it is no such answer.
    init?(_ reply: [UInt8]) {
        guard let data = (try? JSONValue.parse(reply))?["data"], data["user"] != nil || data["account"] != nil else {
            return nil
        }
        func list(_ value: JSONValue?) -> List {
            func subjects(_ name: String) -> [String]? {
                value?[name].map { $0.elements.compactMap(\.string) }
            }
            return List(allow: subjects("allow").flatMap { $0.isEmpty ? nil : $0 }, deny: subjects("deny") ?? [])
        }
        publish = list(data["permissions"]?["publish"])
        subscribe = list(data["permissions"]?["subscribe"])
    }

    init(publish: List = List(), subscribe: List = List()) { (self.publish, self.subscribe) = (publish, subscribe) }

    func permits(_ need: PermissionNeed) -> Bool {
        (need.operation == .publish ? publish : subscribe).permits(need.subject)
    }
}

enum PermissionFindings {
    /// - Parameters:
    ///   - missing: names of own streams that are not there: only those must be made.
    ///   - servesHTTP: whether events are told over HTTP.
    ///   - token: of nobody's subjects; for trials.
    static func needs(
        _ names: SubjectNames, targets: [String], sources: [String], missing: [String], servesHTTP: Bool, token: String
    ) -> [PermissionNeed] {
        let (prefix, commands, letters, locks) =
            (names.prefix, names.commandsStream, names.deadLetterStream, "KV_\(names.lockBucket)")
        func publish(_ subject: String, _ purpose: String, _ trial: String? = nil) -> PermissionNeed {
            PermissionNeed(operation: .publish, subject: subject, purpose: purpose, trial: trial)
        }
        func api(_ operation: String, _ purpose: String) -> PermissionNeed {
            publish("$JS.API.\(operation)", purpose, "$JS.API.\(operation.replacing("*", with: token))")
        }
        func listen(_ subject: String, _ purpose: String) -> PermissionNeed {
            PermissionNeed(
                operation: .subscribe, subject: subject, purpose: purpose,
                trial: subject.replacing("*", with: token).replacing(">", with: "\(token).\(token)"))
        }
        var needs = [
            publish(names.events, "events"), publish(names.deadLetters, "dead letters"),
            publish("\(prefix).run.*.*.cancel", "asking workers to stop"),
            publish("\(prefix).sys.>", "what instances say to each other", "\(prefix).sys.\(token)"),
            publish("_INBOX.>", "replies", "_INBOX.\(token).\(token)"),
            publish("$KV.\(names.lockBucket).>", "leases", "$KV.\(names.lockBucket).\(token)"),
            publish("$JS.ACK.\(commands).>", "submitted commands", "$JS.ACK.\(commands).\(token).1.1.1.1.0"),
            api("STREAM.NAMES", "looking for streams"), api("STREAM.INFO.*", "looking at streams"),
            api("STREAM.MSG.GET.\(locks)", "leases"), api("CONSUMER.CREATE.\(locks)", "leases"),
            api("CONSUMER.NAMES.\(commands)", "submitted commands"),
            api("CONSUMER.DURABLE.CREATE.\(commands).*", "submitted commands"),
            api("CONSUMER.DELETE.\(commands).*", "submitted commands"),
            api("CONSUMER.MSG.NEXT.\(commands).*", "submitted commands"),
            api("STREAM.MSG.GET.\(letters)", "admin.dlq.list"),
            api("STREAM.MSG.DELETE.\(letters)", "admin.dlq.redrive"),
            listen(names.commands, "commands"), listen(names.administration, "commands"),
            listen("\(prefix).help", "help"), listen("\(prefix).sys.>", "what instances say to each other"),
            listen(names.heartbeats, "workers' heartbeats"), listen("$SRV.PING", "discovery"),
        ]
        needs.append(api("STREAM.MSG.GET.\(commands)", "workers' reports"))
        if servesHTTP {
            needs += [
                "CREATE.\(names.eventsStream)", "DELETE.\(names.eventsStream).*", "MSG.NEXT.\(names.eventsStream).*",
            ]
            .map { api("CONSUMER.\($0)", "events over HTTP") }
        }
        needs += missing.map { api("STREAM.CREATE.\($0)", "making what is missing") }
        needs += Set(targets).sorted().map { publish($0, "a target of the allow-list") }
        needs += Set(sources).sorted().map { listen($0, "a source of the allow-list") }
        for index in needs.indices where needs[index].subject == "$SRV.PING" { needs[index].isOptional = true }
        return needs
    }

    static func all(_ trials: [PermissionTrial]) -> [Finding] {
        let check = "nats.permissions"
        var findings = trials.filter { $0.outcome == .denied }.map { trial in
            let (found, expected) = (
                "the server denies '\(trial.need.subject)'",
                "to \(trial.need.operation.rawValue) it, for \(trial.need.purpose)"
            )
            let advice = "add it to the user's permissions (docker/nats/permissions.conf)"
            return trial.need.isOptional
                ? Finding.warn(check, found, expected: expected, advice)
                : Finding.fail(check, found, expected: expected, advice)
        }
        let unknown = trials.filter { $0.outcome == .unknown }.map(\.need.subject)
        if !unknown.isEmpty {
            findings.append(
                .warn(
                    check, "not tried: " + unknown.joined(separator: ", "),
                    expected: "the server to tell: a trial would be a message that somebody takes for a real one",
                    "from nats-server 2.10 on it tells who may publish on $SYS.REQ.USER.INFO; else look at them yourself"
                ))
        }
        let permitted = trials.count { $0.outcome == .permitted }
        if permitted > 0 {
            findings.insert(.ok(check, "\(permitted) of \(trials.count) subjects are permitted"), at: 0)
        }
        return findings
    }
}
