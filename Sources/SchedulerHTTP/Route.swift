package import SchedulerWire

/// One line of the REST face: a method and a path, and what they stand for.
package struct Route: Sendable {
    package enum Method: String, Sendable, CaseIterable {
        case get = "GET"
        case post = "POST"
        case put = "PUT"
        case patch = "PATCH"
        case delete = "DELETE"
    }

    /// What answers.
    package enum Target: Hashable, Sendable {
        /// A command, as the catalogue names it: `schedule.create`, `admin.system.status`.
        case command(String)
        /// The stream of events, as server-sent events.
        case events
        /// The OpenAPI document.
        case document
    }

    /// Where the path's value goes in the command's body.
    package enum Place: Hashable, Sendable {
        case member(StaticMember)
        /// As an id or a name, by its form: `id` or `name`, or these with `schedule_` before.
        case reference(prefix: String)

        package struct StaticMember: Hashable, Sendable, ExpressibleByStringLiteral {
            package let name: String
            package init(stringLiteral name: String) { self.name = name }
        }
    }

    package let method: Method
    /// As OpenAPI writes it: `/api/v1/schedules/{id}`. At most one part is a value.
    package let path: String
    package let target: Target
    let place: Place
    /// A member that the path itself says.
    let fixed: (name: String, value: String)?
    /// The status of a success that changed something.
    package let success: Int

    private let pattern: [Substring]

    init(
        _ method: Method, _ path: String, _ target: Target, at place: Place = .member("id"),
        fixed: (name: String, value: String)? = nil, success: Int = 200
    ) {
        self.method = method
        self.path = path
        self.target = target
        self.place = place
        self.fixed = fixed
        self.success = success
        pattern = path.split(separator: "/")
    }

    /// The catalogue's page of its command.
    package var page: CommandPage? {
        guard case .command(let name) = target else { return nil }
        return CommandCatalogue.page(name)
    }

    /// The path's value; nil where the path is another. `""` where the path has no value.
    func value(in segments: [String]) -> String? {
        guard segments.count == pattern.count else { return nil }
        var value = ""
        for (part, segment) in zip(pattern, segments) {
            if part.hasPrefix("{") {
                guard !segment.isEmpty else { return nil }
                value = segment
            } else if part != segment {
                return nil
            }
        }
        return value
    }

    /// Whether a part of the path is a value.
    package var hasValue: Bool { path.contains("{") }
}
