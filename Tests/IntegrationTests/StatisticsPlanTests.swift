import PostgresClient
import Recurrence
import SchedulerCore
import ServiceFixture
import Testing

@testable import SchedulerStore

extension Integration.QueryPlanTests {
    /// Counts over a ledger that is too long to count, by either way of looking at it.
    func statistics(on fixture: ServiceFixture) async throws {
        let all = 300_000
        let begin = Instant(milliseconds: 1_800_000_000_000)
        var question = ExecutionStatistics.Question(
            namespace: try Namespace("crowd"), from: begin, through: begin.adding(milliseconds: 300_001))
        question.stepSeconds = 3600
        for few in [500, 0] {
            let whole = try await ExecutionStatistics.of(question, most: all, few: few, on: fixture.database)
            #expect(whole.total == 200_000 && whole.from == begin)
            #expect(whole.outcomes[.delivered] == 100_000 && whole.outcomes[.skipped] == 100_000)
            #expect(whole.steps.reduce(0) { $0 + $1.total } == 200_000 && whole.steps.count <= 2)
            let part = try await ExecutionStatistics.of(question, most: 1000, few: few, on: fixture.database)
            #expect(part.total > 0 && part.total <= 1000 && part.from > begin, "\(part.total)")
            // What is counted is all from there on.
            var later = question
            later.from = part.from
            #expect(
                try await ExecutionStatistics.of(later, most: all, few: few, on: fixture.database).total == part.total)
            var other = question
            other.target = try TargetSubject("demo.js.other")
            #expect(try await ExecutionStatistics.of(other, most: all, few: few, on: fixture.database).total == 0)
            other.target = try TargetSubject("demo.js.model")
            #expect(try await ExecutionStatistics.of(other, most: all, few: few, on: fixture.database).total == 200_000)
        }
        // One that ran for 1.5 s, one that died after 0.5 s, and one that runs.
        let states = [("succeeded", "1500"), ("dead", "500"), ("running", "NULL")]
        for (number, (state, lasted)) in states.enumerated() {
            try await fixture.database.execute(
                script: """
                    INSERT INTO scheduler.executions (id, schedule_id, claimed_by, scheduled_for, due_at, claimed_at,
                        fired_at, finished_at, fence, schedule_version, missed_count, attempt, generation, state, origin,
                        trigger, tracked)
                    SELECT (lpad(to_hex(1800000000000 + \(number)), 12, '0') || repeat('0', 20))::uuid, s.id, s.id, t, t, t,
                        t + interval '7 ms', t + interval '7 ms' + \(lasted) * interval '1 ms', 1, 1, 0, 1, 1, '\(state)',
                        'time', 'cron', true
                    FROM scheduler.schedules s, (SELECT now() AS t) n WHERE s.name = 'many9'
                    """)
        }
        question.namespace = try Namespace("many")
        question.stepSeconds = nil
        let lives = try await ExecutionStatistics.of(question, most: all, on: fixture.database)
        #expect(lives.outcomes[.open] == 1 && lives.outcomes[.succeeded] == 1 && lives.outcomes[.dead] == 1)
        #expect(lives.duration?.median == 500 && lives.duration?.most == 1500)
        #expect(lives.lateness?.most == 7 && lives.steps.isEmpty)
        #expect(lives.successRate == 0.75, "two of the others were delivered")
    }
}
