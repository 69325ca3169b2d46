import PostgresClient
import Recurrence
import SchedulerCore
import ServiceFixture
import Testing

@testable import SchedulerStore

extension Integration.QueryPlanTests {
    /// Two hundred thousand entries, of which ten are a quiet namespace's, all sealed but the last hundred.
    private func log(on fixture: ServiceFixture) async throws {
        try await fixture.database.execute(
            script: """
                SET statement_timeout = '60s';
                INSERT INTO scheduler.audit_log (at, schedule_id, fence, namespace, action, sealed_seq, sealed_at, hash)
                SELECT '2026-01-01'::timestamptz + n * interval '1 second',
                    ('00000000-0000-7000-8000-' || lpad((n % 1000)::text, 12, '0'))::uuid, 1,
                    CASE WHEN n % 20000 = 0 THEN 'quiet' ELSE 'crowd' END, 'created',
                    CASE WHEN n <= 199900 THEN n END, CASE WHEN n <= 199900 THEN now() END,
                    CASE WHEN n <= 199900 THEN sha256(n::text::bytea) END
                FROM generate_series(1, 200000) n;
                UPDATE scheduler.audit_chain SET head_seq = 199900;
                ANALYZE scheduler.audit_log
                """, deadline: .now + .seconds(60))
    }

    @Test("What asks the audit log reads what it looks at, however long it is")
    func auditPlans() async throws {
        let fixture = try await ServiceFixture.start()
        try await log(on: fixture)
        let (end, start) = ("'2027-01-01', 9000000000000000000", "'2020-01-01', 0")
        let schedule = "00000000-0000-7000-8000-000000000007"
        let filters = "NULL, NULL, NULL, 100"
        for (statement, arguments, most) in [
            (AuditChainTable.unsealedStatement, "1000", 100),
            (AuditChainTable.outsideStatement, "0, 199900", 20),
            (AuditChainTable.sealedStatement, "150000, 199900, 2000", 500),
            (AuditChainTable.hashStatement, "150000", 10),
            (AuditList.namespaceFloor, "'crowd', \(end), 9999", 1500),
            (AuditList.ofNamespace, "'crowd', \(end), \(start), 'crowd', \(filters)", 150),
            (AuditList.ofNamespace, "'quiet', \(end), \(start), 'quiet', \(filters)", 60),
            (AuditList.ofSchedule, "'\(schedule)', \(end), \(start), 'crowd', \(filters)", 300),
            (AuditList.allFloor, "9000000000000000000, 9999", 400),
            (AuditList.ofAll, "9000000000000000000, '2020-01-01', '2027-01-01', \(filters)", 20),
            (AuditList.ofAll, "9000000000000000000, '2020-01-01', '2027-01-01', 'deleted', NULL, NULL, 100", 400),
            (ExplanationTable.stateStatement, "'\(schedule)', '2026-01-02'", 20),
        ] {
            let plan = try await plan(statement, arguments, on: fixture)
            #expect(pages(plan) <= most && !plan.contains("Seq Scan on audit_log"), "\(plan)")
            print("\(statement.name): \(pages(plan)) pages")
            try await fixture.database.execute(script: "DEALLOCATE \(statement.name)")
        }
        await fixture.stop()
    }
}
