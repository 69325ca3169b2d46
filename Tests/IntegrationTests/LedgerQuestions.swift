import PostgresClient
import ServiceFixture

/// What tests ask the database, in one place.
extension Integration {
    /// How many executions of a schedule meet a condition.
    static func rows(_ id: String, _ condition: String) -> String {
        "SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(id)' AND (\(condition))"
    }

    /// The condition of an execution that ended in shadow.
    static let shadowed = "state = 'skipped' AND reason = 'shadow'"
}

extension ServiceFixture {
    /// How many executions of a schedule are open and how many wait for a place: `1+2`.
    func places(of id: String) async -> String {
        let open = try? await count("SELECT count(*) FROM scheduler.runs WHERE schedule_id = '\(id)'")
        let waiting = try? await count("SELECT count(*) FROM scheduler.buffered WHERE schedule_id = '\(id)'")
        return "\(open ?? -1)+\(waiting ?? -1)"
    }

    /// An instant of the database's clock, so long from now (`1 hour`, `-30 s`), to the microsecond.
    func instant(in interval: String) async throws -> String {
        try await rows(
            "SELECT to_char((now() + interval '\(interval)') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
        )[0][0] ?? ""
    }
}
