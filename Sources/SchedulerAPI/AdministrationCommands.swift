import JSONText
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import SchedulerWire

/// `<p>.admin.<noun>.<verb>`: what admins ask.
struct AdministrationCommands: Sendable {
    let engine: Engine

    static let names = [
        CommandHandlers.Name(noun: "freeze", verb: "clear"), CommandHandlers.Name(noun: "freeze", verb: "list"),
        CommandHandlers.Name(noun: "freeze", verb: "set"), CommandHandlers.Name(noun: "system", verb: "status"),
    ]

    func answer(noun: String, verb: String, body bytes: [UInt8]) async throws -> [UInt8] {
        if noun == "freeze" { return try await freeze(verb, bytes) }
        guard noun == "system", verb == "status" else {
            throw WireError(.unknownCommand, "there is no command 'admin.\(noun).\(verb)'")
        }
        let text = bytes.isEmpty ? nil : try Self.parse(bytes)
        var body = BodyReader(text)
        try body.finish()
        let members = try await status()
        var writer = JSONWriter(capacity: 2048)
        Envelope(noun: noun, verb: verb).success(into: &writer) { members(&$0) }
        return writer.bytes
    }

    private func freeze(_ verb: String, _ bytes: [UInt8]) async throws -> [UInt8] {
        // Administration belongs to no namespace; its request_ids are kept under a name that nobody can have.
        let request = try CommandRequest(
            namespace: .administration, noun: "freeze", verb: verb, bytes: bytes)
        let commands = FreezeCommands(session: try engine.requireSession())
        switch verb {
        case "set": return try await commands.set(request)
        case "clear": return try await commands.clear(request)
        case "list":
            let members = try await commands.list(request)
            var writer = JSONWriter(capacity: 2048)
            Envelope(noun: "freeze", verb: verb).success(into: &writer) { members(&$0) }
            return writer.bytes
        default: throw WireError(.unknownCommand, "there is no command 'admin.freeze.\(verb)'")
        }
    }

    private static func parse(_ bytes: [UInt8]) throws(WireError) -> JSONValue {
        do { return try JSONValue.parse(bytes) } catch { throw WireError(error) }
    }

    /// Members, shares, backlog, readiness and why not.
    private func status() async throws -> ReplyMembers {
        let faults = engine.faults()
        guard let session = engine.session else {
            return { writer in
                writer.object("system") { writer in
                    writer.member("ready", false)
                    writer.strings("reasons", faults)
                }
            }
        }
        let now = session.clock.now()
        // PostgreSQL may be what is wrong: the rest is told all the same.
        let stored = try? await session.lists.withConnection { connection in
            (
                overdue: try await TimerTable.countOverdue(at: now, on: connection),
                held: try await ClaimTable.held(on: connection),
                outbox: try await AuditTable.pending(on: connection),
                states: try await ScheduleTable.counts(on: connection),
                freezes: try await FreezeTable.current(endingAfter: now, on: connection)
            )
        }
        let view = session.membership.view
        return { writer in
            writer.object("system") { writer in
                writer.member("ready", faults.isEmpty)
                writer.strings("reasons", faults)
                writer.member("instance", session.instance.description)
                writer.member("instance_name", session.configuration.instanceName)
                writer.member("time", now.rfc3339)
                writer.member("clock_skew_ms", session.clock.skewMilliseconds())
                writer.name("members")
                writer.array { writer in
                    for member in view.members.sorted() {
                        writer.object { writer in
                            writer.member("instance", member.description)
                            writer.member("partitions", Share.partitions(of: member, among: view.members).count)
                        }
                    }
                }
                writer.member("in_flight", session.publisher.held)
                writer.member("unanswered", session.publisher.unanswered)
                writer.member("due_waiting", session.publisher.dueBacklog)
                writer.member("events_owed", session.teller.owedCount)
                writer.member("lookahead_ms", session.claimer.lookaheadMilliseconds)
                guard let stored else { return }
                writer.member("overdue", stored.overdue)
                writer.member("claims", stored.held.claims)
                writer.member("outbox_pending", stored.outbox)
                writer.name("freezes")
                writer.array { writer in
                    for freeze in stored.freezes where freeze.holds(at: now) { writer.value(freeze, at: now) }
                }
                writer.object("schedules") { writer in
                    for (state, count) in stored.states {
                        writer.name(dynamic: state)
                        writer.value(count)
                    }
                }
            }
        }
    }
}

extension JSONWriter {
    mutating func strings(_ name: StaticString, _ strings: [String]) {
        self.name(name)
        array { writer in
            for string in strings { writer.value(string) }
        }
    }
}
