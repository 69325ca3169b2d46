package import PostgresClient
package import Recurrence
package import SchedulerCore

/// The journal of what is in flight: one row a claiming transaction.
package enum ClaimTable {
    /// Names one claiming transaction.
    package struct ClaimID: Hashable, Sendable {
        package let uuid: UUIDValue

        package init(_ uuid: UUIDValue) { self.uuid = uuid }

        /// Names a second row of the same transaction.
        package var beside: ClaimID { ClaimID(UUIDValue(high: uuid.high, low: uuid.low ^ 1)) }
    }

    static let insertStatement = Statement(
        "claims_insert",
        """
        INSERT INTO scheduler.claims (id, instance, claimed_at, oldest, executions, commanded)
        VALUES ($1, $2, $3, $4, $5, $6)
        """, types: [.uuid, .uuid, .timestamptz, .uuid, .uuidArray, .bool])

    /// - Parameter isCommanded: they are of times that may be long past: of a backfill, of a further attempt, or of what
    ///   waited for long (``Occurrence/liesFarBack(at:)``).
    package static func insert(
        _ id: ClaimID, by instance: InstanceID, at now: Instant, executions: [ExecutionID], isCommanded: Bool = false
    ) -> Call {
        insertStatement(
            .uuid(id.uuid), .id(instance), .instant(now),
            .uuid(executions.min()?.uuid ?? .lowest(at: now)), .ids(executions), .bool(isCommanded))
    }

    /// Nothing that is open lies before this id, but what ``commandedOpen`` finds: an expression for the statements that
    /// look for open executions of a schedule, in the days' partitions from there on. The journal is as small as what is
    /// in flight. Index `claims_own`.
    static let openFrom = """
        coalesce((SELECT c.oldest FROM scheduler.claims c WHERE NOT c.commanded ORDER BY c.oldest LIMIT 1),
            'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
        """

    /// Nothing at all that is open lies before this id. Index `claims_oldest`.
    static let allOpenFrom = """
        coalesce((SELECT c.oldest FROM scheduler.claims c ORDER BY c.oldest LIMIT 1),
            'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
        """

    /// The open executions `e` of times that may be long past, found from the journal. Index `claims_commanded`.
    static let commandedOpen = """
        scheduler.claims c CROSS JOIN LATERAL unnest(c.executions) AS x (id)
            JOIN scheduler.executions e ON e.id = x.id AND e.state = 'claimed' AND c.commanded
        """

    /// Of those the ones that a schedule has still to do: not what somebody asked for.
    static let isOwn = "e.origin NOT IN ('backfill', 'retry')"

    static let deleteStatement = Statement(
        "claims_delete", "DELETE FROM scheduler.claims WHERE id = ANY ($1::uuid[])", types: [.uuidArray])

    /// Every execution of these is terminal and its event acknowledged.
    package static func delete(_ ids: [ClaimID]) -> Call { deleteStatement(.uuids(ids, \.uuid)) }

    /// One look at the index `claims_instance` for each fenced member, until one has something left: members stay known
    /// for a week, their claims are gone within seconds. The journal is never read as a whole.
    package static let abandonedStatement = Statement(
        "claims_abandoned",
        """
        SELECT c.id, c.executions, i.id, i.fenced_at
        FROM (SELECT id, fenced_at FROM scheduler.instances WHERE fenced_at IS NOT NULL ORDER BY fenced_at) i
        CROSS JOIN LATERAL (
            SELECT c.id, c.executions FROM scheduler.claims c WHERE c.instance = i.id
            ORDER BY c.claimed_at LIMIT 1 FOR UPDATE SKIP LOCKED) c
        LIMIT 1
        """)

    /// A claim of a fenced member.
    package struct AbandonedClaim: Sendable {
        package let id: ClaimID
        package let executions: [ExecutionID]
        package let owner: InstanceID
        /// Its owner publishes nothing that is due later.
        package let fencedAt: Instant
    }

    /// Takes one claim of a fenced member over, whole. Two rescuers never take the same: they pass over each other's.
    package static func takeAbandoned(
        in transaction: PostgresTransaction
    ) async throws -> AbandonedClaim? {
        guard let row = try await transaction.query(abandonedStatement).first else { return nil }
        return AbandonedClaim(
            id: ClaimID(try row.uuidValue(0)),
            executions: try row.uuidArray(1).map { ExecutionID(UUIDValue(high: $0.high, low: $0.low)) },
            owner: try row.instanceID(2), fencedAt: try row.instant(3))
    }

    static let adoptClaimStatement = Statement(
        "claims_adopt", "UPDATE scheduler.claims SET instance = $2 WHERE id = $1", types: [.uuid, .uuid])
    static let adoptExecutionsStatement = Statement(
        "executions_adopt",
        """
        UPDATE scheduler.executions e SET claimed_by = $2
        WHERE e.id = ANY ($1::uuid[]) AND e.state = 'claimed' AND e.claimed_by = $3
            AND NOT EXISTS (SELECT FROM scheduler.runs r WHERE r.execution_id = e.id AND r.cancelling)
        RETURNING e.id
        """, types: [.uuidArray, .uuid, .uuid])

    /// Puts a claim under another instance.
    package static func adopt(_ id: ClaimID, by instance: InstanceID) -> Call {
        adoptClaimStatement(.uuid(id.uuid), .id(instance))
    }

    /// Puts what is claimed by one instance under another. An execution that was opened again is named by two claims: it
    /// goes with the first that is taken over, and what a living instance holds goes with none. What is being cancelled is
    /// left to its deadline: nobody sends it again.
    /// - Returns: what went over.
    package static func adopt(
        _ executions: [ExecutionID], from owner: InstanceID, by instance: InstanceID,
        in transaction: PostgresTransaction
    ) async throws -> Set<ExecutionID> {
        var adopted: Set<ExecutionID> = []
        let rows = try await transaction.query(
            adoptExecutionsStatement, [.ids(executions), .id(instance), .id(owner)])
        for row in rows { adopted.insert(try row.executionID(0)) }
        return adopted
    }

    static let rowsStatement = Statement(
        "claims_rows",
        """
        SELECT \(ExecutionTable.columns), e.payload
        FROM scheduler.executions e WHERE e.id = ANY ($1::uuid[])
        """, types: [.uuidArray], isReadOnly: true)

    /// The executions that a claim names, as they stand, with a trigger's payload where there is one.
    package static func rows(
        of executions: [ExecutionID], on runner: some StatementRunner
    ) async throws -> [(execution: Execution, payload: [UInt8]?)] {
        var found: [(Execution, [UInt8]?)] = []
        for row in try await runner.query(rowsStatement, [.ids(executions)]) {
            found.append((try ExecutionTable.execution(of: row), try row.jsonOrNil(ExecutionTable.columnCount)))
        }
        return found
    }

    static let heldStatement = Statement(
        "claims_held",
        "SELECT count(*), coalesce(sum(cardinality(executions)), 0)::bigint FROM scheduler.claims", isReadOnly: true)

    /// How many claims are open, and how many executions they name.
    package static func held(on runner: some StatementRunner) async throws -> (claims: Int64, executions: Int64) {
        guard let row = try await runner.query(heldStatement, []).first else { return (0, 0) }
        return (try row.int64(0), try row.int64(1))
    }
}
