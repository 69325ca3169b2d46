import JSONText
import NATSClient
import Recurrence
import SchedulerAPI
import SchedulerCore
import SchedulerEngine
import Synchronization

/// What the doctor could learn of NATS.
struct NATSStanding: Sendable {
    /// Where it is, without secrets.
    var place = "NATS"
    /// Why nothing is known of it.
    var fault: String?
    var isConnected = false
    /// Why JetStream does not answer.
    var jetStreamFault: String?
    /// Bytes in use, and what the account may use.
    var storage: (used: UInt64, limit: UInt64?)?
    /// Of the cluster; empty where the service's user may not ask.
    var nodes: [NATSNode] = []
    var clock: ClockOffset?
    var streams: [String: StreamLook] = [:]
    var foreign: [String] = []
    var targets: [TargetLook] = []
    var trials: [PermissionTrial] = []
}

/// Asks NATS, each question for a second at most.
struct NATSLook: Sendable {
    let settings: Settings
    let rules: TargetRules
    /// Subjects at which schedules fire and which a stream must take.
    let firedAt: [String]

    static let connectTime = Duration.milliseconds(1500)
    private static let patience = Duration.seconds(1)
    /// Servers of a cluster answer in this time.
    private static let muster = Duration.milliseconds(300)
    private static let mostTargets = 100

    private var names: SubjectNames { SubjectNames(prefix: settings.subjectPrefix) }

    func look() async -> NATSStanding {
        var configuration = settings.nats(name: "doctor")
        configuration.sendAsap = true
        var standing = NATSStanding(place: Redaction.urls(settings.natsURL))
        let connection: NATSConnection
        do {
            connection = try await NATSConnection.connect(configuration, within: Self.connectTime)
        } catch {
            standing.fault = error.message
            return standing
        }
        standing.isConnected = true
        await ask(connection, &standing)
        await connection.close()
        return standing
    }

    private func ask(_ connection: NATSConnection, _ standing: inout NATSStanding) async {
        let api = JetStreamAPI(connection, timeout: Self.patience)
        (standing.nodes, standing.clock) = await muster(connection)
        do {
            let account = try await api.accountInfo()
            standing.storage = (account.storageBytes, account.storageLimitBytes)
        } catch {
            standing.jetStreamFault = error.message
        }
        // Where JetStream is silent each of these would be waited for in vain.
        if standing.jetStreamFault == nil {
            for need in StreamNeed.all(names, leaseSeconds: settings.leaseSeconds) {
                standing.streams[need.name] = await look(api, at: need.name)
            }
            standing.foreign = await ForeignStreams(connection, prefix: settings.subjectPrefix).find()
            standing.targets = await targets(api)
        }
        standing.trials = await trials(connection, standing)
    }

    private func look(_ api: JetStreamAPI, at name: String) async -> StreamLook {
        do {
            guard let info = try await api.streamInfo(name) else { return .missing }
            return .there(StreamFacts(info))
        } catch {
            return .unknown(error.message)
        }
    }
}

// MARK: - Servers

extension NATSLook {
    /// The account's own servers tell their versions and their time.
    private func muster(_ connection: NATSConnection) async -> ([NATSNode], ClockOffset?) {
        let inbox = "\(settings.inboxPrefix).\(Self.token())"
        guard let subject = try? Subject("$SYS.REQ.ACCOUNT.PING.CONNZ"), let reply = try? Subject(inbox),
            let filter = try? SubjectFilter(inbox)
        else { return ([], nil) }
        let answers = Heard<(payload: [UInt8], at: Int64)>()
        guard
            let subscription = try? connection.subscribe(
                filter,
                onMessage: { message in
                    let now = PostgresClock.machineNow().milliseconds
                    answers.add((Array(message.payload), now))
                })
        else { return ([], nil) }
        defer { subscription.cancel() }
        let asked = PostgresClock.machineNow().milliseconds
        _ = try? connection.publish(subject, reply: reply, payload: Array(#"{"limit":1}"#.utf8))
        try? await Task.sleep(for: Self.muster)
        var nodes: [NATSNode] = []
        var clock: ClockOffset?
        for (payload, answered) in answers.all {
            guard let server = (try? JSONValue.parse(payload))?["server"], let version = server["ver"]?.string else {
                continue
            }
            nodes.append(
                NATSNode(name: server["name"]?.string ?? "?", version: version, cluster: server["cluster"]?.string))
            guard let time = server["time"]?.string.flatMap({ Instant(rfc3339: $0) }) else { continue }
            let half = (answered - asked) / 2
            let offset = ClockOffset(milliseconds: asked + half - time.milliseconds, uncertainty: half + 1)
            if abs(offset.milliseconds) >= abs(clock?.milliseconds ?? 0) { clock = offset }
        }
        return (nodes, clock)
    }

    static func token() -> String { "doctor-" + String(UInt64.random(in: 0...UInt64.max), radix: 36) }
}

// MARK: - Targets

extension NATSLook {
    private func targets(_ api: JetStreamAPI) async -> [TargetLook] {
        let allowed = Set(rules.rules.filter { $0.delivery.contains(.jetstream) }.map(\.subject.description))
        var known: [String: StreamFacts] = [:]
        var looks: [TargetLook] = []
        for (subject, isFiredAt) in (firedAt.map { ($0, true) } + allowed.sorted().map { ($0, false) })
            .prefix(Self.mostTargets)
        {
            looks.append(
                TargetLook(subject: subject, isFiredAt: isFiredAt, streams: await streams(api, taking: subject, &known))
            )
        }
        return looks
    }

    private func streams(
        _ api: JetStreamAPI, taking subject: String, _ known: inout [String: StreamFacts]
    ) async -> [StreamFacts]? {
        guard let filter = try? SubjectFilter(subject), let names = try? await api.streamNames(taking: filter) else {
            return nil
        }
        var streams: [StreamFacts] = []
        for name in names {
            if known[name] == nil, let info = try? await api.streamInfo(name) { known[name] = StreamFacts(info) }
            if let stream = known[name] { streams.append(stream) }
        }
        // Where their settings are nobody's to read, that there is one is known all the same.
        return streams.count == names.count ? streams : nil
    }
}

// MARK: - Permissions

extension NATSLook {
    /// What is denied is told by the server; what is not, in this time, is permitted.
    private static let objection = Duration.milliseconds(200)

    private func trials(_ connection: NATSConnection, _ standing: NATSStanding) async -> [PermissionTrial] {
        let missing = standing.streams.filter { if case .missing = $0.value { true } else { false } }.keys.sorted()
        let needs = PermissionFindings.needs(
            names, targets: rules.rules.map(\.subject.description), sources: rules.sources.map(\.subject.description),
            missing: missing, servesHTTP: settings.httpPort != nil, token: Self.token())
        if let subject = try? Subject("$SYS.REQ.USER.INFO"),
            let reply = try? await connection.request(subject, timeout: Self.patience),
            let permissions = UserPermissions(reply.payload)
        {
            return needs.map { PermissionTrial(need: $0, outcome: permissions.permits($0) ? .permitted : .denied) }
        }
        return await tried(needs, connection)
    }

    /// Tries what nobody takes for a real message: subjects of nobody's, without a reply to answer to, and for streams
    /// with a condition that refuses them.
    private func tried(_ needs: [PermissionNeed], _ connection: NATSConnection) async -> [PermissionTrial] {
        let objections = Heard<String>()
        let events = connection.eventStream()
        let listening = Task {
            for await event in events {
                guard case .permissionViolation(let violation) = event else { continue }
                objections.add("\(violation.operation) \(violation.subject)")
            }
        }
        defer { listening.cancel() }
        var subscriptions: [NATSCallbackSubscription] = []
        for need in needs {
            guard let trial = need.trial else { continue }
            if need.operation == .subscribe {
                guard let filter = try? SubjectFilter(trial) else { continue }
                if let one = try? connection.subscribe(filter, onMessage: { _ in }) { subscriptions.append(one) }
            } else if let subject = try? Subject(trial) {
                var headers = NATSHeaders()
                try? headers.append(.expectedStream, "none")
                _ = try? connection.publish(subject, headers: headers, payload: Array("?".utf8))
            }
        }
        let hasAnswered = (try? await connection.flush(timeout: Self.patience)) != nil
        try? await Task.sleep(for: Self.objection)
        for subscription in subscriptions { subscription.cancel() }
        let denied = Set(objections.all)
        return needs.map { need in
            guard let trial = need.trial, hasAnswered else { return PermissionTrial(need: need, outcome: .unknown) }
            let operation: PermissionViolation.Operation = need.operation == .publish ? .publish : .subscribe
            return PermissionTrial(need: need, outcome: denied.contains("\(operation) \(trial)") ? .denied : .permitted)
        }
    }
}

/// What came from elsewhere, in its order.
private final class Heard<Element: Sendable>: Sendable {
    private let elements = Mutex<[Element]>([])

    var all: [Element] { elements.withLock { $0 } }

    func add(_ element: Element) { elements.withLock { $0.append(element) } }
}
