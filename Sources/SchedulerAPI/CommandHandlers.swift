import JSONText
import PostgresClient
import SchedulerCore
import SchedulerEngine
import SchedulerWire

/// The commands that there are, and who carries each out.
package struct CommandHandlers: Sendable {
    /// What a handler answers: the members of a reply, or the whole of one that may have been given before.
    enum Answer {
        case members(ReplyMembers)
        case whole([UInt8])
    }

    private typealias Handler = @Sendable (CommandContext, CommandRequest) async throws -> Answer

    /// One command: `<noun>.<verb>`.
    package struct Name: Hashable, Sendable {
        package let noun: String
        package let verb: String

        package init(noun: String, verb: String) {
            self.noun = noun
            self.verb = verb
        }
    }

    private static let commands: [Name: Handler] = [
        Name(noun: "schedule", verb: "create"): { .whole(try await ScheduleDefinitions(context: $0).create($1)) },
        Name(noun: "schedule", verb: "put"): { .whole(try await ScheduleDefinitions(context: $0).put($1)) },
        Name(noun: "schedule", verb: "update"): { .whole(try await ScheduleDefinitions(context: $0).update($1)) },
        Name(noun: "schedule", verb: "delete"): { .whole(try await StateCommands(context: $0).delete($1)) },
        Name(noun: "schedule", verb: "pause"): { .whole(try await StateCommands(context: $0).pause($1)) },
        Name(noun: "schedule", verb: "resume"): { .whole(try await StateCommands(context: $0).resume($1)) },
        Name(noun: "schedule", verb: "trigger"): { .whole(try await TriggerCommand(context: $0).trigger($1)) },
        Name(noun: "schedule", verb: "get"): { .members(try await QueryCommands(context: $0).getSchedule($1)) },
        Name(noun: "schedule", verb: "list"): { .members(try await QueryCommands(context: $0).listSchedules($1)) },
        Name(noun: "schedule", verb: "validate"): { .members(try await ScheduleDefinitions(context: $0).validate($1)) },
        Name(noun: "schedule", verb: "bulk_create"): {
            .whole(try await ScheduleDefinitions(context: $0).bulkCreate($1))
        },
        Name(noun: "schedule", verb: "bulk"): { .whole(try await BulkCommand(context: $0).bulk($1)) },
        Name(noun: "schedule", verb: "preview"): { .members(try await QueryCommands(context: $0).preview($1)) },
        Name(noun: "schedule", verb: "backfill"): { .whole(try await BackfillCommand(context: $0).backfill($1)) },
        Name(noun: "schedule", verb: "explain"): { .members(try await ExplainCommand(context: $0).explain($1)) },
        Name(noun: "schedule", verb: "timeline"): { .members(try await TimelineCommand(context: $0).timeline($1)) },
        Name(noun: "schedule", verb: "forecast"): {
            .members(try await ForecastCommand(session: $0.session).ofNamespace($1))
        },
        Name(noun: "schedule", verb: "stats"): { .members(try await StatisticsCommands(context: $0).schedule($1)) },
        Name(noun: "execution", verb: "stats"): { .members(try await StatisticsCommands(context: $0).executions($1)) },
        Name(noun: "execution", verb: "cancel"): { .whole(try await ExecutionCommands(context: $0).cancel($1)) },
        Name(noun: "execution", verb: "retry"): { .whole(try await ExecutionCommands(context: $0).retry($1)) },
        Name(noun: "audit", verb: "list"): { .members(try await $0.audit.list($1)) },
        Name(noun: "calendar", verb: "put"): { .whole(try await CalendarCommands(context: $0).put($1)) },
        Name(noun: "calendar", verb: "delete"): { .whole(try await CalendarCommands(context: $0).delete($1)) },
        Name(noun: "calendar", verb: "get"): { .members(try await CalendarCommands(context: $0).get($1)) },
        Name(noun: "calendar", verb: "list"): { .members(try await CalendarCommands(context: $0).list($1)) },
        Name(noun: "execution", verb: "get"): { .members(try await QueryCommands(context: $0).getExecution($1)) },
        Name(noun: "execution", verb: "list"): { .members(try await QueryCommands(context: $0).listExecutions($1)) },
        Name(noun: "target", verb: "list"): { .members(try await QueryCommands(context: $0).listTargets($1)) },
    ]

    /// The commands of `<p>.cmd.<namespace>`, in the order of their names.
    package static let names: [Name] = commands.keys.sorted { ($0.noun, $0.verb) < ($1.noun, $1.verb) }

    /// Commands of several transactions, each remembered by a key of its own. Submitted, they are settled when all are
    /// done; what a crash leaves of one is done by the next holder.
    private static let inParts: Set<Name> = [Name(noun: "schedule", verb: "bulk")]

    /// Whether a command of this name makes its changes in several transactions.
    package static func isInParts(_ name: Name) -> Bool { inParts.contains(name) }

    /// Whether there is a command of this name that changes something.
    package static func isChanging(_ name: Name) -> Bool {
        CommandCatalogue.page(.command, noun: name.noun, verb: name.verb)?.isChanging ?? false
    }

    /// Carries a command out. - Returns: the reply's body.
    package static func answer(_ request: CommandRequest, in context: CommandContext) async throws -> [UInt8] {
        let name = Name(noun: request.noun, verb: request.verb)
        guard let handler = commands[name] else {
            throw CommandCatalogue.unknown("\(request.noun).\(request.verb)")
        }
        return try await answer(request, by: context.runner, page: .command) { try await handler(context, request) }
    }

    /// Answers a request. One that changes something, and came before, gets its first reply, even where it would be
    /// refused by now.
    /// - Parameters:
    ///   - runner: nil where there is no session that could remember.
    ///   - kind: of the command.
    static func answer(
        _ request: CommandRequest, by runner: ChangeRunner?, page kind: CommandPage.Kind,
        _ handler: () async throws -> Answer
    ) async throws -> [UInt8] {
        let requestID = request.body?["request_id"]?.string.map { String($0.prefix(128)) }
        return try await Correlation.$current.withValue(Correlation.current.named(requestID)) {
            try await answerOnce(request, by: runner, page: kind, handler)
        }
    }

    private static func answerOnce(
        _ request: CommandRequest, by runner: ChangeRunner?, page kind: CommandPage.Kind,
        _ handler: () async throws -> Answer
    ) async throws -> [UInt8] {
        func remembered() async throws -> [UInt8]? {
            let page = CommandCatalogue.page(kind, noun: request.noun, verb: request.verb)
            guard let runner, page?.isChanging ?? false else { return nil }
            return try await runner.remembered(request)
        }
        let answer: Answer
        do { answer = try await handler() } catch let refusal as WireError {
            guard let reply = try await remembered() else { throw refusal }
            return reply
        } catch let error as PostgresError where error.code == .uniqueViolation {
            // A twin of the request may have made what is in the way.
            guard let reply = try await remembered() else { throw error }
            return reply
        }
        switch answer {
        case .whole(let bytes): return bytes
        case .members(let members):
            var writer = JSONWriter(capacity: 4096)
            Envelope(noun: request.noun, verb: request.verb).success(into: &writer) { members(&$0) }
            return writer.bytes
        }
    }
}
