import JSONSchema
import JSONText
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import SchedulerWire

/// `admin.target.allow`, `revoke`, `list`: the part of the allow-list that commands keep.
struct TargetCommands: Sendable {
    let session: Session

    /// Entries that commands may make: every check of a target may look at all of them.
    static let most: Int64 = 1000

    private var runner: ChangeRunner { ChangeRunner(session: session) }

    func allow(_ request: CommandRequest) async throws -> [UInt8] {
        var body = BodyReader(request.body)
        let options = ChangeOptions(&body)
        body.refuseVersion(options)
        let now = session.clock.now()
        let prefix = session.compiler.targetRules.ownPrefix
        let wanted = try body.finish(with: body.targetEntry(options, ownPrefix: prefix, now: now))
        let session = session
        let reply = try await runner.run(request, options) { transaction in
            let before = try await TargetTable.find(wanted.namespace, wanted.subject, in: transaction)
            var change = Change()
            if let before, before.says(wanted) {
                change.reply = { $0.target(before) }
                change.outlook = outlook(nil, wanted.scope, before: before, after: before)
                return change
            }
            if before == nil {
                let count = try await TargetTable.count(on: transaction)
                guard count < Self.most else {
                    throw WireError(.tooManyItems, "commands have allowed \(count) targets, the most is \(Self.most)")
                }
            }
            let note = Self.entry("target_allowed", wanted, before: before, options, at: now)
            change.write(TargetTable.put(wanted, before: before))
            change.write(AuditTable.note(note))
            change.outlook = outlook(note, wanted.scope, before: before, after: wanted)
            change.reply = { $0.target(wanted) }
            // It may allow less than it did.
            if before != nil { change.settle = { await RevocationRecall(session: session, scope: wanted.scope).run() } }
            return change
        }
        session.hintRules()
        return reply
    }

    func revoke(_ request: CommandRequest) async throws -> [UInt8] {
        var body = BodyReader(request.body)
        let options = ChangeOptions(&body)
        body.refuseVersion(options)
        let scope = try body.finish(with: body.targetScope())
        let now = session.clock.now()
        let session = session
        let recall: @Sendable () async -> [ExecutionID] = {
            await RevocationRecall(session: session, scope: scope).run()
        }
        let reply = try await runner.run(request, options, again: recall) { transaction in
            let isInFile = session.compiler.targets.snapshot.file.rules.contains {
                $0.namespace == scope.namespace && $0.subject == scope.subject
            }
            guard let before = try await TargetTable.find(scope.namespace, scope.subject, in: transaction) else {
                throw isInFile ? Self.inFile(scope) : Self.unknown(scope)
            }
            var change = Change()
            let note = Self.entry("target_revoked", nil, before: before, options, at: now)
            change.write(TargetTable.remove(before))
            change.write(AuditTable.note(note))
            change.outlook = outlook(note, scope, before: before, after: nil)
            let warnings =
                isInFile ? [Warning(pointer: "/subject", message: "TARGETS_FILE allows it all the same")] : []
            change.reply = {
                $0.target(before)
                $0.warnings(warnings)
            }
            change.settle = recall
            return change
        }
        session.hintRules()
        return reply
    }

    func list(_ request: CommandRequest) async throws -> ReplyMembers {
        var body = BodyReader(request.body)
        let place = TargetPlace(&body)
        try body.finish()
        let board = session.compiler.targets
        try await session.pool.withConnection { try await board.catchUp(on: $0) }
        let snapshot = board.snapshot
        return { $0.targets(snapshot, for: nil, place) }
    }

    /// - Parameter note: nil where nothing changes.
    private func outlook(
        _ note: AuditEntry?, _ scope: TargetScope, before: TargetEntry?, after: TargetEntry?
    ) -> Outlook {
        Outlook(note) { [session] in
            // What allows more leaves nobody without a target.
            guard note != nil, before != nil else { return TargetOutlook.none.members }
            let board = session.compiler.targets
            try await session.list { try await board.catchUp(on: $0) }
            let rules = board.snapshot.rules(replacing: scope, by: after)
            return try await TargetOutlook(scope, under: rules, in: session).members
        }
    }

    private static func inFile(_ scope: TargetScope) -> WireError {
        WireError(
            .targetInFile,
            "TARGETS_FILE allows '\(scope.subject)' for '\(TargetTable.text(scope.namespace))', no command did: take it "
                + "out of the instances' files, they notice")
    }

    private static func unknown(_ scope: TargetScope) -> WireError {
        WireError(
            .targetNotFound,
            "no command allowed '\(scope.subject)' for '\(TargetTable.text(scope.namespace))'; admin.target.list has them"
        )
    }

    private static func entry(
        _ action: String, _ after: TargetEntry?, before: TargetEntry?, _ options: ChangeOptions, at now: Instant
    ) -> AuditEntry {
        func text(_ entry: TargetEntry) -> [UInt8] {
            var writer = JSONWriter(capacity: 512)
            writer.value(entry)
            return writer.bytes
        }
        let namespace = (after ?? before)?.namespace?.description ?? Namespace.administration.description
        var entry = AuditEntry(at: now, namespace: namespace, action: action, fence: 0)
        entry.name = (after ?? before)?.subject.description
        entry.actor = options.actor
        entry.reason = options.reason
        entry.requestID = options.requestID
        entry.before = before.map(text)
        entry.after = after.map(text)
        return entry
    }
}

extension TargetEntry {
    var scope: TargetScope { TargetScope(namespace: namespace, subject: subject) }
}

// MARK: - Bodies

extension BodyReader {
    /// Every instance holds every schema.
    private static let mostSchemaBytes = 65_536
    private static let deliveries = Delivery.allCases.map(\.rawValue)

    /// `namespace` and `subject`: whom an entry concerns; nil with the problems reported.
    fileprivate mutating func targetScope() -> TargetScope? {
        let (namespace, subject) = (scopeNamespace(), scopeSubject())
        guard let namespace, let subject else { return nil }
        return TargetScope(namespace: namespace, subject: subject)
    }

    /// Nil inside for `"*"`.
    private mutating func scopeNamespace() -> Namespace?? {
        guard case .value(let value) = member("namespace") else {
            report("namespace", "is required: a namespace, or \"*\"", as: .missingField)
            return nil
        }
        guard let text = string(value, "namespace", most: 256) else { return nil }
        if text == "*" { return .some(nil) }
        do { return try Namespace(text) } catch {
            report("namespace", "\(error), or \"*\"; got '\(text)'")
            return nil
        }
    }

    private mutating func scopeSubject() -> SubjectPattern? {
        guard case .value(let value) = member("subject") else {
            report("subject", "is required: a subject, with * and > as wildcards", as: .missingField)
            return nil
        }
        guard let text = string(value, "subject", most: 255) else { return nil }
        do { return try SubjectPattern(text) } catch {
            report("subject", "\(error)")
            return nil
        }
    }

    /// The fields of an entry; nil with the problems reported.
    fileprivate mutating func targetEntry(
        _ options: ChangeOptions, ownPrefix: String, now: Instant
    ) -> TargetEntry? {
        let before = problems.count
        let scope = targetScope()
        if let subject = scope?.subject.description, Self.isReserved(subject, ownPrefix) {
            report("subject", "'\(subject)' can be no target: it is NATS's or the scheduler's own", as: .targetReserved)
        }
        let delivery = targetDelivery()
        let most = integer("max_payload_bytes", in: 1...Int64(Int32.max))
        let mostInFlight = integer("max_in_flight", in: ConcurrencyLimits.range)
        var schema: [UInt8]?
        if let value = value("payload_schema") {
            schema = Array(value.bytes)
            if value.kind != .object {
                report(
                    "payload_schema", "expected a JSON Schema, an object, got \(Self.name(of: value))", as: .wrongType)
            } else if value.bytes.count > Self.mostSchemaBytes {
                report("payload_schema", "expected at most \(Self.mostSchemaBytes) bytes, got \(value.bytes.count)")
            } else {
                do { _ = try CompiledSchema(value) } catch {
                    report("payload_schema", "expected a JSON Schema of draft-07: \(error)")
                }
            }
        }
        guard problems.count == before, let scope else { return nil }
        return TargetEntry(
            namespace: scope.namespace, subject: scope.subject, delivery: delivery, maxPayloadBytes: most.map(Int.init),
            payloadSchema: schema, maxInFlight: mostInFlight.map(Int.init), createdAt: now, createdBy: options.actor)
    }

    private static func isReserved(_ subject: String, _ ownPrefix: String) -> Bool {
        let first = subject.prefix { $0 != "." }
        return subject.hasPrefix("$") || first == "_INBOX" || first == ownPrefix
    }

    /// `jetstream` alone where it is left out.
    private mutating func targetDelivery() -> [String] {
        guard let value = value("delivery") else { return [Delivery.jetstream.rawValue] }
        guard value.kind == .array, value.count > 0 else {
            report("delivery", "expected a list of \(Self.deliveries.joined(separator: ", "))", as: .wrongType)
            return []
        }
        var names: Set<String> = []
        for item in value.elements {
            if let name = item.string, Self.deliveries.contains(name) {
                names.insert(name)
            } else {
                report("delivery", "expected \(Self.deliveries.joined(separator: ", ")), got '\(item.string ?? "?")'")
            }
        }
        return names.sorted()
    }
}

// MARK: - Replies

extension JSONWriter {
    fileprivate mutating func target(_ entry: TargetEntry) {
        name("target")
        value(entry)
    }

    mutating func value(_ entry: TargetEntry) {
        object { writer in
            writer.rule(
                entry.namespace, entry.subject, delivery: entry.delivery, maxPayloadBytes: entry.maxPayloadBytes)
            writer.member("max_in_flight", ifPresent: entry.maxInFlight)
            if let schema = entry.payloadSchema { writer.member("payload_schema", raw: schema) }
            writer.member("source", "command")
            writer.member("created_at", entry.createdAt.rfc3339)
            writer.member("created_by", ifPresent: entry.createdBy)
        }
    }

    private mutating func rule(
        _ namespace: Namespace?, _ subject: SubjectPattern, delivery: [String], maxPayloadBytes: Int?
    ) {
        member("namespace", namespace?.description ?? "*")
        member("subject", subject.description)
        strings("delivery", delivery)
        member("max_payload_bytes", ifPresent: maxPayloadBytes)
    }

    /// A page of the allow-list with where each entry comes from. - Parameter namespace: nil for all.
    mutating func targets(_ board: TargetBoard.Snapshot, for namespace: Namespace?, _ place: TargetPlace) {
        let page = TargetPage(board, for: namespace, place)
        name("targets")
        array { writer in
            for line in page.lines {
                switch line.origin {
                case .command(let entry): writer.value(entry)
                case .file(let rule):
                    writer.object { writer in
                        writer.rule(
                            rule.namespace, rule.subject, delivery: rule.delivery.map(\.rawValue).sorted(),
                            maxPayloadBytes: rule.maxPayloadBytes)
                        writer.member("max_in_flight", ifPresent: rule.maxInFlight)
                        if let schema = rule.payloadSchema { writer.member("payload_schema", raw: schema.text) }
                        writer.member("source", "file")
                    }
                }
            }
        }
        member("next_cursor", ifPresent: page.next)
    }
}

/// Which page of the allow-list is asked for.
struct TargetPlace: Sendable {
    fileprivate let limit: Int
    fileprivate let cursor: String?

    init(_ body: inout BodyReader) {
        limit = body.limit()
        cursor = body.string("cursor", most: 400)
        if let cursor, cursor.split(separator: " ", omittingEmptySubsequences: false).count != 3 {
            body.report("cursor", "is none that a list returned", as: .badCursor)
        }
    }
}

/// A page of the allow-list, in the order of namespaces and subjects.
struct TargetPage {
    enum Origin {
        case file(TargetRule)
        case command(TargetEntry)
    }

    /// Schemas may be long: a page that has this much of them ends.
    private static let mostSchemaBytes = 262_144

    private(set) var lines: [(key: String, origin: Origin)] = []
    private(set) var next: String?

    fileprivate init(_ board: TargetBoard.Snapshot, for namespace: Namespace?, _ place: TargetPlace) {
        func isVisible(_ other: Namespace?) -> Bool { namespace == nil || other == nil || other == namespace }
        func key(_ scope: TargetScope, _ source: String) -> String {
            "\(TargetTable.text(scope.namespace)) \(scope.subject) \(source)"
        }
        // A file may name the same twice.
        let file = board.file.rules.enumerated().map { index, rule in
            let scope = TargetScope(namespace: rule.namespace, subject: rule.subject)
            return (key: key(scope, "file\(1_000_000 + index)"), origin: Origin.file(rule), namespace: rule.namespace)
        }
        let entries = board.entries.map {
            (key: key($0.scope, "command"), origin: Origin.command($0), namespace: $0.namespace)
        }
        let after = place.cursor
        let all = (file + entries).filter { line in isVisible(line.namespace) && (after.map { line.key > $0 } ?? true) }
            .sorted { $0.key < $1.key }
        var schemaBytes = 0
        for line in all {
            if lines.count == place.limit || schemaBytes > Self.mostSchemaBytes {
                next = lines.last?.key
                return
            }
            switch line.origin {
            case .command(let entry): schemaBytes += entry.payloadSchema?.count ?? 0
            case .file(let rule): schemaBytes += rule.payloadSchema?.text.count ?? 0
            }
            lines.append((line.key, line.origin))
        }
    }
}
