import JSONText
import SchedulerCore
import SchedulerEngine
import SchedulerWire

/// The commands that there are, and who carries each out.
package struct CommandHandlers: Sendable {
    /// What a handler answers: the members of a reply, or the whole of one that may have been given before.
    private enum Answer {
        case members(ReplyMembers)
        case whole([UInt8])
    }

    private typealias Handler = @Sendable (CommandContext, CommandRequest) async throws -> Answer

    /// One command: `<noun>.<verb>`.
    package struct Name: Hashable, Sendable {
        package let noun: String
        package let verb: String
    }

    private static let commands: [Name: Handler] = [
        Name(noun: "schedule", verb: "create"): { .whole(try await ScheduleDefinitions(context: $0).create($1)) },
        Name(noun: "schedule", verb: "update"): { .whole(try await ScheduleDefinitions(context: $0).update($1)) },
        Name(noun: "schedule", verb: "delete"): { .whole(try await StateCommands(context: $0).delete($1)) },
        Name(noun: "schedule", verb: "pause"): { .whole(try await StateCommands(context: $0).pause($1)) },
        Name(noun: "schedule", verb: "resume"): { .whole(try await StateCommands(context: $0).resume($1)) },
        Name(noun: "schedule", verb: "trigger"): { .whole(try await TriggerCommand(context: $0).trigger($1)) },
        Name(noun: "schedule", verb: "get"): { .members(try await QueryCommands(context: $0).getSchedule($1)) },
        Name(noun: "schedule", verb: "list"): { .members(try await QueryCommands(context: $0).listSchedules($1)) },
        Name(noun: "schedule", verb: "preview"): { .members(try await QueryCommands(context: $0).preview($1)) },
        Name(noun: "calendar", verb: "put"): { .whole(try await CalendarCommands(context: $0).put($1)) },
        Name(noun: "calendar", verb: "delete"): { .whole(try await CalendarCommands(context: $0).delete($1)) },
        Name(noun: "calendar", verb: "get"): { .members(try await CalendarCommands(context: $0).get($1)) },
        Name(noun: "calendar", verb: "list"): { .members(try await CalendarCommands(context: $0).list($1)) },
        Name(noun: "execution", verb: "get"): { .members(try await QueryCommands(context: $0).getExecution($1)) },
        Name(noun: "execution", verb: "list"): { .members(try await QueryCommands(context: $0).listExecutions($1)) },
        Name(noun: "target", verb: "list"): { .members(try QueryCommands(context: $0).listTargets($1)) },
    ]

    /// The commands of `<p>.cmd.<namespace>`, in the order of their names.
    package static let names: [Name] = commands.keys.sorted { ($0.noun, $0.verb) < ($1.noun, $1.verb) }

    /// Carries a command out. - Returns: the reply's body.
    package static func answer(_ request: CommandRequest, in context: CommandContext) async throws -> [UInt8] {
        let name = Name(noun: request.noun, verb: request.verb)
        guard let handler = commands[name] else {
            throw WireError(.unknownCommand, "there is no command '\(request.noun).\(request.verb)'")
        }
        switch try await handler(context, request) {
        case .whole(let bytes): return bytes
        case .members(let members):
            var writer = JSONWriter(capacity: 4096)
            Envelope(noun: request.noun, verb: request.verb).success(into: &writer) { members(&$0) }
            return writer.bytes
        }
    }
}
