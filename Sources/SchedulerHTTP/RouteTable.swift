import SchedulerWire

/// The REST face (contract.md §6): which method and path stand for which command. `schemas/openapi.json` says the same, and
/// a test holds the two together.
package enum RouteTable {
    /// What a request's method and path come to.
    package enum Match: Sendable {
        /// - Parameter value: of the path; `""` where it has none.
        case found(Route, value: String)
        case wrongMethod(allowed: [Route.Method])
        case unknown
    }

    package static let base = "/api/v1"

    package static let all: [Route] = schedules + executions + others + administration

    /// A path without a value goes before one with: `/schedules/validate` is no schedule's name.
    package static func match(_ method: String, _ segments: [String]) -> Match {
        var candidates = all.compactMap { route in route.value(in: segments).map { (route: route, value: $0) } }
        if candidates.contains(where: { !$0.route.hasValue }) { candidates.removeAll { $0.route.hasValue } }
        guard !candidates.isEmpty else { return .unknown }
        let wanted = method == "HEAD" ? Route.Method.get : Route.Method(rawValue: method)
        if let found = candidates.first(where: { $0.route.method == wanted }) {
            return .found(found.route, value: found.value)
        }
        return .wrongMethod(allowed: candidates.map(\.route.method))
    }

    private static let schedules: [Route] = [
        Route(.post, "\(base)/schedules", .command("schedule.create"), success: 201),
        Route(.get, "\(base)/schedules", .command("schedule.list")),
        Route(.post, "\(base)/schedules/bulk/create", .command("schedule.bulk_create")),
        Route(.post, "\(base)/schedules/bulk/operation", .command("schedule.bulk")),
        Route(.post, "\(base)/schedules/validate", .command("schedule.validate")),
        Route(.post, "\(base)/schedules/preview", .command("schedule.preview")),
        schedule(.get, "", "schedule.get"),
        Route(.put, "\(base)/schedules/{id}", .command("schedule.put"), at: .member("name")),
        schedule(.patch, "", "schedule.update"),
        schedule(.delete, "", "schedule.delete"),
        schedule(.post, "/pause", "schedule.pause"),
        schedule(.post, "/resume", "schedule.resume"),
        schedule(.post, "/trigger", "schedule.trigger"),
        schedule(.post, "/backfill", "schedule.backfill"),
        schedule(.get, "/preview", "schedule.preview"),
        schedule(.get, "/explain", "schedule.explain"),
        schedule(.get, "/stats", "schedule.stats"),
        schedule(.get, "/timeline", "schedule.timeline"),
        Route(
            .get, "\(base)/schedules/{id}/executions", .command("execution.list"),
            at: .reference(prefix: "schedule_")),
    ]

    private static func schedule(_ method: Route.Method, _ tail: String, _ command: String) -> Route {
        Route(method, "\(base)/schedules/{id}\(tail)", .command(command), at: .reference(prefix: ""))
    }

    private static let executions: [Route] = [
        Route(.get, "\(base)/executions", .command("execution.list")),
        Route(.get, "\(base)/executions/running", .command("execution.list"), fixed: ("status", "running")),
        Route(.get, "\(base)/executions/stats", .command("execution.stats")),
        Route(
            .get, "\(base)/executions/stats/{schedule_id}", .command("execution.stats"),
            at: .reference(prefix: "schedule_")),
        Route(.get, "\(base)/executions/{id}", .command("execution.get")),
        Route(.post, "\(base)/executions/{id}/cancel", .command("execution.cancel")),
        Route(.post, "\(base)/executions/{id}/retry", .command("execution.retry")),
    ]

    private static let others: [Route] = [
        // Beside the schedules, not below: one may be called "forecast".
        Route(.get, "\(base)/forecast", .command("schedule.forecast")),
        Route(.get, "\(base)/targets", .command("target.list")),
        Route(.get, "\(base)/audit", .command("audit.list")),
        Route(.get, "\(base)/calendars", .command("calendar.list")),
        Route(.get, "\(base)/calendars/{name}", .command("calendar.get"), at: .member("name")),
        Route(.put, "\(base)/calendars/{name}", .command("calendar.put"), at: .member("name")),
        Route(.delete, "\(base)/calendars/{name}", .command("calendar.delete"), at: .member("name")),
        Route(.get, "\(base)/events", .events),
        Route(.get, "\(base)/openapi.json", .document),
    ]

    /// Administrative commands as they are named: what only looks is a GET, but for `system.verify`, whose questions are
    /// long and whose answers take work.
    private static let administration: [Route] = CommandCatalogue.all.compactMap { page in
        guard page.kind == .administration else { return nil }
        let isPost = page.isChanging || page.name == "admin.system.verify"
        return Route(isPost ? .post : .get, "\(base)/admin/\(page.noun)/\(page.verb)", .command(page.name))
    }
}
