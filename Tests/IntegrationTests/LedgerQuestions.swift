import PostgresClient
import ServiceFixture

/// What tests ask the ledger, in one place.
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
}
