import PostgresClient
package import SchedulerCore

/// What was in shadow when: asked of the audit log by a rescue alone, of what was claimed by another version of its
/// schedule. The fire path has no column for it.
package enum ShadowTable {
    /// Index `audit_log_schedule`: the entries of a schedule since the claim. A minute, as the clocks of those who write
    /// both are not quite one.
    static let switchesStatement = Statement(
        "shadow_switches",
        """
        SELECT e.id, f.entered, f.at
        FROM scheduler.executions e CROSS JOIN LATERAL (
            SELECT (a.after ->> 'shadow')::boolean AS entered, a.at FROM scheduler.audit_log a
            WHERE a.schedule_id = e.schedule_id AND a.at > e.claimed_at - interval '1 minute'
                AND a.version > e.schedule_version AND a.before ->> 'shadow' <> a.after ->> 'shadow'
            ORDER BY a.version LIMIT 1) f
        WHERE e.id = ANY ($1::uuid[])
        """, types: [.uuidArray], isReadOnly: true)

    /// The first switch into the shadow or out of it since each was claimed, or last kept by an edit; those without one
    /// are missing.
    package static func switches(
        since executions: [ExecutionID], on runner: some StatementRunner
    ) async throws -> [ExecutionID: ShadowSwitch] {
        guard !executions.isEmpty else { return [:] }
        var found: [ExecutionID: ShadowSwitch] = [:]
        for row in try await runner.query(switchesStatement, [.ids(executions)]) {
            found[try row.executionID(0)] = ShadowSwitch(isInto: try row.bool(1), at: try row.instant(2))
        }
        return found
    }
}
