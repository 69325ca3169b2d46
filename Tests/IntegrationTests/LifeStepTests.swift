import PostgresClient
import SchedulerCore
import ServiceFixture
import TestSupport
import Testing

extension Integration {
    /// The database refuses what the core's machine does not know, whoever asks it.
    @Suite("The steps that the database takes", .serialized, .timeLimit(.minutes(1))) struct LifeStepTests {
        /// Tries each pair of states on a row of its own: `ok`, or the SQLSTATE of the refusal.
        private static let script = """
            CREATE OR REPLACE FUNCTION pg_temp.step(one text, other text, is_tracked boolean) RETURNS text
            LANGUAGE plpgsql AS $$
            DECLARE
                key uuid := gen_random_uuid();
                open text[] := ARRAY['claimed', 'running', 'retry_wait', CASE WHEN is_tracked THEN 'delivered' ELSE '' END];
            BEGIN
                INSERT INTO scheduler.executions (id, schedule_id, claimed_by, scheduled_for, due_at, claimed_at,
                    finished_at, fence, schedule_version, missed_count, attempt, generation, state, origin, trigger,
                    tracked)
                VALUES (key, key, key, now(), now(), now(), CASE WHEN NOT one = ANY (open) THEN now() END, 1, 1, 0, 1, 1,
                    one, 'time', 'interval', is_tracked);
                UPDATE scheduler.executions SET state = other,
                    finished_at = CASE WHEN NOT other = ANY (open) THEN now() END
                WHERE id = key;
                DELETE FROM scheduler.executions WHERE id = key;
                RETURN 'ok';
            EXCEPTION WHEN OTHERS THEN
                RETURN SQLSTATE;
            END $$;
            """

        private struct Undo: Error {}

        private func steps(tracked: Bool) async throws -> [[String]] {
            let fixture = try await SharedSystem.running.fixture
            let states = ExecutionState.allCases.map { "'\($0.rawValue)'" }.joined(separator: ", ")
            var steps: [[String]] = []
            do {
                try await fixture.database.transaction { transaction in
                    try await transaction.execute(script: Self.script)
                    let rows = try await transaction.query(
                        Statement(
                            "life_steps \(tracked)",
                            """
                            SELECT one, other, pg_temp.step(one, other, \(tracked))
                            FROM unnest(ARRAY[\(states)]) AS one CROSS JOIN unnest(ARRAY[\(states)]) AS other
                            """))
                    steps = try rows.map { row in try (0..<3).map { try row.text($0) } }
                    throw Undo()
                }
            } catch is Undo {}
            return steps
        }

        @Test("Every pair of states that is documented is taken, and every other refused")
        func pairs() async throws {
            let known = DocumentedSteps(states: ExecutionState.allCases.map(\.rawValue)).all
            let documented = Set(known.map { "\($0.from) \($0.to)" })
            #expect(documented.count > 15)
            let steps = try await steps(tracked: true)
            #expect(steps.count == ExecutionState.allCases.count * ExecutionState.allCases.count)
            for step in steps {
                let from = try #require(ExecutionState(rawValue: step[0]))
                let isTaken =
                    !from.isTerminal(tracked: true)
                    && (step[0] == step[1] || documented.contains("\(step[0]) \(step[1])"))
                #expect(step[2] == (isTaken ? "ok" : "CR002"), "\(step[0]) to \(step[1])")
            }
        }

        @Test("What is delivered and untracked is over")
        func untracked() async throws {
            for step in try await steps(tracked: false) where step[0] == "delivered" {
                #expect(step[2] == "CR002", "\(step[0]) to \(step[1])")
            }
        }
    }
}
