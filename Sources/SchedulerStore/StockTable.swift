import PostgresClient
package import Recurrence

/// What metrics tell of the whole database: counts of what there is. Asked seldom, and each by an index or of a table that
/// holds only what is open.
package enum StockTable {
    /// Schedules of one kind.
    package struct Kind: Hashable, Sendable {
        package let type: String
        package let state: String
        package let count: Int64
    }

    /// Index `schedules_kinds` alone.
    static let kindsStatement = Statement(
        "stock_kinds",
        """
        SELECT s.schedule_type, s.state, count(*) FROM scheduler.schedules s
        WHERE s.state <> 'deleted' GROUP BY s.schedule_type, s.state
        """, isReadOnly: true)

    /// How many schedules there are of each type in each state.
    package static func kinds(on runner: some StatementRunner) async throws -> [Kind] {
        try await runner.query(kindsStatement, []).map {
            Kind(type: try $0.text(0), state: try $0.text(1), count: try $0.int64(2))
        }
    }

    static let runsStatement = Statement(
        "stock_runs",
        """
        SELECT count(*), min(coalesce(r.started_at, r.delivered_at)) FILTER (WHERE r.state IN ('delivered', 'running'))
        FROM scheduler.runs r
        """, isReadOnly: true)

    /// How many executions workers are at, or wait for a retry, and since when a worker has the oldest.
    package static func runs(on runner: some StatementRunner) async throws -> (open: Int64, oldest: Instant?) {
        guard let row = try await runner.query(runsStatement, []).first else { return (0, nil) }
        return (try row.int64(0), try row.instantOrNil(1))
    }
}
