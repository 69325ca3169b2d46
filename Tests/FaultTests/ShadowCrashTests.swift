import LocalServers
import NATSClient
import SchedulerEngine
import ServiceFixture
import TestSupport
import Testing

/// `kill -9` of an instance that holds executions of schedules in shadow: who takes them over publishes none of them.
@Suite(.serialized) struct ShadowCrashTests {
    @Test(
        "A rescue of what was claimed in shadow sends nothing, and each has its one end",
        .timeLimit(.minutes(1)),
        arguments: TestForm.isLong ? FailPoint.ofFires : [.publishing, .published])
    func rescued(_ point: FailPoint) async throws {
        let system = try await SharedSystem.shared.started()
        let name = "shadow\(FailPoint.ofFires.firstIndex(of: point) ?? 0)"
        let fired = try FiredMessages("demo.>", on: system.client)
        let victim = try await system.startInstance(
            "victim", environment: ["CARILLON_FAIL_AT": "\(point.rawValue)@6"])
        // At most once to a core target is what a rescue would otherwise give up as uncertain.
        let loads = [
            try await Load.start(system, named: name + "js", rate: 8, seconds: 3, fields: #","shadow":true"#),
            try await Load.start(
                system, named: name + "core", delivery: .core, rate: 8, seconds: 3,
                fields: #","shadow":true,"guarantee":"at_most_once""#),
        ]
        #expect(await victim.process.waitForEnd(.seconds(10)), "the victim did not reach \(point.rawValue)")
        for load in loads {
            try await Ledger.settled(system, load)
            let ends = try await system.rows(
                """
                SELECT e.state || ' ' || coalesce(e.reason, ''), count(*)::text, count(DISTINCT (e.schedule_id, e.scheduled_for))::text
                FROM scheduler.executions e JOIN scheduler.schedules s ON s.id = e.schedule_id
                WHERE s.namespace = '\(load.namespace)' GROUP BY 1
                """)
            #expect(ends == [["skipped shadow", "\(load.total)", "\(load.total)"]])
            #expect(!fired.all.contains { $0.subject == load.subject })
            let ledger = try await Ledger.read(system, load)
            #expect(ledger.stored.isEmpty && ledger.unended == 0)
            for row in ledger.rows { #expect(Set(ledger.events[row.id] ?? []).count == 1, "\(row)") }
        }
        fired.cancel()
    }
}
