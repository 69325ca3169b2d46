import JSONText
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerStore
import SchedulerWire

extension QueryCommands {
    func listSchedules(_ request: CommandRequest) async throws -> ReplyMembers {
        var body = BodyReader(request.body)
        var filter = ScheduleFilter()
        body.conditions(&filter)
        filter.sort = body.choice("sort") ?? .createdAt
        filter.limit = body.limit()
        body.position(in: &filter)
        try body.finish()
        let found = filter
        let (views, next) = try await context.list { connection in
            let page = try await ScheduleTable.page(found, in: request.namespace, on: connection)
            return (try await self.views(of: page.schedules, on: connection), page.next)
        }
        return { writer in
            writer.name("schedules")
            writer.array { writer in
                for view in views { writer.value(view) }
            }
            writer.member("next_cursor", ifPresent: next.map { found.cursor($0) })
        }
    }
}

extension BodyReader {
    private static let mostChoices = 32

    /// The conditions of a list of schedules; also those of a `filter`.
    mutating func conditions(_ filter: inout ScheduleFilter) {
        filter.states = texts("state", most: 64).flatMap { states($0) } ?? []
        filter.tags = texts("tag", most: 64) ?? []
        filter.allTags = texts("tags_all", most: 64) ?? []
        filter.target = pattern("target_command")
        filter.namePrefix = prefix("name_prefix")
        filter.dueBefore = instant("due_before")
    }

    /// `cursor`: where the last page of the same list ended. What else the filter says is read before.
    mutating func position(in filter: inout ScheduleFilter) {
        guard let text = string("cursor", most: 512) else { return }
        filter.after = filter.key(ofCursor: text)
        guard filter.after == nil else { return }
        report("cursor", "is none that a list with this filter and this sort returned", as: .badCursor)
    }

    /// One string, or a list of 1 to 32; nil where it is absent, or with the problem reported.
    private mutating func texts(_ name: String, most characters: Int) -> [String]? {
        guard let value = value(name) else { return nil }
        guard value.kind == .array else { return string(value, name, most: characters).map { [$0] } }
        guard (1...Self.mostChoices).contains(value.count) else {
            report(name, "expected 1 to \(Self.mostChoices) of them, got \(value.count)", as: .tooManyItems)
            return nil
        }
        let texts = value.elements.enumerated().compactMap { string($1, "\(name)/\($0)", most: characters) }
        return texts.count == value.count ? texts : nil
    }

    private mutating func states(_ texts: [String]) -> [ScheduleState]? {
        // What is deleted nobody sees.
        let known = ScheduleState.allCases.filter { $0 != .deleted }
        let states = texts.compactMap { text in known.first { $0.rawValue == text } }
        if states.count == texts.count { return states }
        let wrong = texts.first { text in !known.contains { $0.rawValue == text } } ?? ""
        let names = known.map { "'\($0.rawValue)'" }.joined(separator: ", ")
        report("state", "expected one of \(names), got '\(wrong)'")
        return nil
    }

    private mutating func pattern(_ name: String) -> SubjectPattern? {
        guard let text = string(name, most: 255) else { return nil }
        do { return try SubjectPattern(text) } catch {
            report(name, error.description)
            return nil
        }
    }

    private mutating func prefix(_ name: String) -> String? {
        guard let text = string(name, most: 128) else { return nil }
        // The beginning of a name is a name, and so is all that may stand in a cursor.
        guard (try? ScheduleName(text)) != nil else {
            report(name, "expected the beginning of a name: letters, digits, '.', '_' or '-', got '\(text)'")
            return nil
        }
        return text
    }
}
