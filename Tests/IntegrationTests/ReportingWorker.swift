import NATSClient
import ServiceFixture

/// A worker that got one message, and says of it what a test wants it to say.
struct ReportingWorker {
    let fixture: ServiceFixture
    let message: NATSMessage

    /// Makes a schedule that fires at once, and waits for its message.
    /// - Parameter fields: of the schedule, each behind a comma.
    static func start(
        _ name: String, _ fixture: ServiceFixture, _ fields: String = "", target: String? = nil
    ) async throws -> ReportingWorker {
        let target = target ?? "demo.js.\(name)"
        let messages = try fixture.client.subscribe(try SubjectFilter(target))
        try await fixture.client.flush()
        try await fixture.done(
            "schedule.create",
            """
            {"name":"\(name)","schedule_type":"immediate","target_command":"\(target)",\
            "completion":"report","max_retries":0\(fields)}
            """)
        for await message in messages {
            messages.cancel()
            return ReportingWorker(fixture: fixture, message: message)
        }
        throw FixtureError(description: "no message came for \(name)")
    }

    var execution: String { message.header("Scheduler-Execution-Id") ?? "none" }

    func subject(_ kind: String) throws -> Subject {
        try Subject("\(message.header("Scheduler-Status-Subject") ?? "none").\(kind)")
    }

    func headers() throws -> NATSHeaders {
        var headers = NATSHeaders()
        try headers.append("Scheduler-Fence", message.header("Scheduler-Fence") ?? "0")
        return headers
    }

    /// Says it through the stream, and returns once that has it.
    func report(_ kind: String, _ body: String = "") async throws {
        _ = try await fixture.client.request(
            try subject(kind), headers: try headers(), payload: Array(body.utf8), timeout: .seconds(5))
    }

    /// Says it without a word back.
    func say(_ kind: String, _ body: String = "") throws {
        try fixture.client.publish(try subject(kind), headers: try headers(), payload: Array(body.utf8))
    }

    /// Waits until the execution has come to an end, which is this one.
    func ends(_ state: String, within limit: Duration = .seconds(10)) async -> Bool {
        await fixture.waits(
            limit,
            until: """
                SELECT count(*) FROM scheduler.executions
                WHERE id = '\(execution)' AND state = '\(state)' AND finished_at IS NOT NULL
                """, is: 1)
    }

    /// Waits until it stands there, open.
    func reaches(_ state: String) async -> Bool {
        await fixture.waits(
            until: "SELECT count(*) FROM scheduler.runs WHERE execution_id = '\(execution)' AND state = '\(state)'",
            is: 1)
    }
}
