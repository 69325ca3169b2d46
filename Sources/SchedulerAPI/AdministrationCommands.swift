import JSONText
import PostgresClient
import SchedulerCore
import SchedulerEngine
import SchedulerWire

/// `<p>.admin.<noun>.<verb>`: what admins ask.
struct AdministrationCommands: Sendable {
    private typealias Handler =
        @Sendable (AdministrationCommands, CommandRequest) async throws -> CommandHandlers.Answer
    private typealias Name = CommandHandlers.Name

    let engine: Engine
    /// Schedules a namespace may have, where its own row says nothing.
    let mostSchedules: Int64
    /// The server's `max_payload`.
    let mostMessageBytes: Int

    private static let commands: [Name: Handler] = [
        Name(noun: "audit", verb: "list"): { .members(try await $0.audit.listAll($1)) },
        Name(noun: "data", verb: "export"): { .members(try await $0.data.export($1)) },
        Name(noun: "data", verb: "import"): { .whole(try await $0.data.restore($1)) },
        Name(noun: "dlq", verb: "list"): { .members(try await $0.letters.list($1)) },
        Name(noun: "dlq", verb: "redrive"): { .whole(try await $0.letters.redrive($1)) },
        Name(noun: "freeze", verb: "clear"): { .whole(try await $0.freezes.clear($1)) },
        Name(noun: "freeze", verb: "list"): { .members(try await $0.freezes.list($1)) },
        Name(noun: "freeze", verb: "set"): { .whole(try await $0.freezes.set($1)) },
        Name(noun: "namespace", verb: "limits"): { .whole(try await $0.namespaces.limits($1)) },
        Name(noun: "namespace", verb: "list"): { .members(try await $0.namespaces.list($1)) },
        Name(noun: "system", verb: "drain"): { .whole(try await SystemCommands(engine: $0.engine).drain($1)) },
        Name(noun: "system", verb: "forecast"): { .members(try await $0.forecast.ofAll($1)) },
        Name(noun: "system", verb: "members"): { .members(try await SystemCommands(engine: $0.engine).members($1)) },
        Name(noun: "system", verb: "status"): { .members(try await StatusCommand(engine: $0.engine).status($1)) },
        Name(noun: "system", verb: "verify"): { .members(try await SystemCommands(engine: $0.engine).verify($1)) },
        Name(noun: "target", verb: "allow"): { .whole(try await $0.targets.allow($1)) },
        Name(noun: "target", verb: "list"): { .members(try await $0.targets.list($1)) },
        Name(noun: "target", verb: "revoke"): { .whole(try await $0.targets.revoke($1)) },
    ]

    static let names: [CommandHandlers.Name] = commands.keys.sorted { ($0.noun, $0.verb) < ($1.noun, $1.verb) }

    /// Carries a command out. - Returns: the reply's body.
    func answer(noun: String, verb: String, body bytes: [UInt8]) async throws -> [UInt8] {
        let name = Name(noun: noun, verb: verb)
        guard let handler = Self.commands[name] else { throw CommandCatalogue.unknown("admin.\(noun).\(verb)") }
        // Administration belongs to no namespace; its request_ids are kept under a name that nobody can have.
        let request = try CommandRequest(
            namespace: .administration, noun: noun, verb: verb, bytes: bytes, limits: limits(of: name))
        return try await CommandHandlers.answer(
            request, by: engine.session.map { ChangeRunner(session: $0) }, page: .administration
        ) { try await handler(self, request) }
    }

    /// What a request could bring, it can bring in a record: deeper by the list and the record.
    private func limits(of name: CommandHandlers.Name) -> JSONLimits? {
        guard name.noun == "data" else { return nil }
        return JSONLimits(
            maxDepth: CommandRequest.mostDepth + 2, maxBytes: max(CommandRequest.mostBytes, mostMessageBytes))
    }

    private var audit: AuditCommands {
        get throws { AuditCommands(session: try engine.requireSession(), mostMessageBytes: mostMessageBytes) }
    }
    private var data: DataCommands {
        get throws { DataCommands(session: try engine.requireSession(), mostMessageBytes: mostMessageBytes) }
    }
    private var letters: DeadLetterCommands {
        get throws {
            DeadLetterCommands(session: try engine.requireSession(), mostMessageBytes: mostMessageBytes)
        }
    }
    private var forecast: ForecastCommand { get throws { ForecastCommand(session: try engine.requireSession()) } }
    private var freezes: FreezeCommands { get throws { FreezeCommands(session: try engine.requireSession()) } }
    private var namespaces: NamespaceCommands {
        get throws { NamespaceCommands(session: try engine.requireSession(), mostSchedules: mostSchedules) }
    }
    private var targets: TargetCommands { get throws { TargetCommands(session: try engine.requireSession()) } }
}
