import JSONText
import LocalServers
import NATSClient
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerStore
import ServiceFixture
import Testing

extension Integration {
    /// What open executions are owed, whatever their schedule says by now, whatever their workers do.
    @Suite("What open executions are owed", .serialized, .timeLimit(.minutes(1))) struct GuaranteeTests {
        private static let space = "owed"

        /// Makes a schedule. - Returns: its id.
        private func make(
            _ name: String, on target: String, _ fields: String, type: String = #""interval","interval_seconds":86400"#,
            _ fixture: ServiceFixture
        ) async throws -> String {
            try await fixture.done(
                "schedule.create",
                #"{"name":"\#(name)","schedule_type":\#(type),"target_command":"\#(target)",\#(fields)}"#,
                in: Self.space
            ).id
        }

        @discardableResult
        private func trigger(_ name: String, _ fixture: ServiceFixture) async throws -> JSONValue {
            try await fixture.done("schedule.trigger", #"{"name":"\#(name)"}"#, in: Self.space)
        }

        /// State, attempt, reason and last outcome of each execution, in the order of their fences.
        private func rows(_ id: String, _ fixture: ServiceFixture) async -> [String] {
            let rows = try? await fixture.rows(
                """
                SELECT concat_ws(' ', state, attempt, split_part(reason, ':', 1), last_outcome)
                FROM scheduler.executions WHERE schedule_id = '\(id)' ORDER BY fence
                """)
            return (rows ?? []).map { $0[0] ?? "" }
        }

        private func become(_ rows: [String], _ id: String, _ fixture: ServiceFixture) async -> Bool {
            await waitUntil(.seconds(10)) { await self.rows(id, fixture) == rows }
        }

        /// Brings the deadlines of a schedule's open executions about.
        private func hasten(_ id: String, _ fixture: ServiceFixture) async throws {
            try await fixture.database.execute(
                script: "UPDATE scheduler.runs SET deadline_at = now() WHERE schedule_id = '\(id)'")
        }

        /// Nothing is open in the journal: every reply that was awaited has been taken, whatever it meant.
        private func settles(_ id: String, _ fixture: ServiceFixture) async -> Bool {
            await fixture.waits(
                until: """
                    SELECT count(*) FROM scheduler.claims c WHERE EXISTS (
                        SELECT FROM scheduler.executions e WHERE e.id = ANY (c.executions) AND e.schedule_id = '\(id)')
                    """, is: 0)
        }

        @Test("A worker's time-out is the end where once is the most: nobody knows whether it ran")
        func timeOuts() async throws {
            let fixture = try await SharedSystem.running.fixture
            let fired = try FiredMessages("demo.hand.once.>", on: fixture.client)
            try await fixture.client.flush()
            let retries = #""completion":"report","max_retries":1,"retry_delay_seconds":0.05"#
            var ids: [String: String] = [:]
            for (name, fields) in [
                ("run", #""delivery":"core","guarantee":"at_most_once","run_timeout_seconds":0.3"#),
                ("start", #""delivery":"core","guarantee":"at_most_once","start_timeout_seconds":0.3"#),
                ("again", #""delivery":"core","run_timeout_seconds":0.3"#),
            ] {
                ids[name] = try await make(
                    name, on: "demo.hand.once.\(name)", "\(retries),\(fields)", type: #""immediate""#, fixture)
            }
            for (name, row) in [
                ("run", "dead 1 uncertain timed_out"), ("start", "dead 1 uncertain timed_out"),
                ("again", "dead 2 the worker did not end within its run time-out timed_out"),
            ] {
                #expect(await become([row], ids[name] ?? "none", fixture), "\(name)")
            }
            let counts = Dictionary(grouping: fired.all, by: \.subject).mapValues(\.count)
            #expect(counts == ["demo.hand.once.run": 1, "demo.hand.once.start": 1, "demo.hand.once.again": 2])
            #expect(await fixture.waits(until: "SELECT count(*) FROM scheduler.owed_messages", is: 0))
            #expect(
                try await fixture.events(of: ids["run"] ?? "none").filter { $0.hasPrefix("execution") }
                    == ["execution delivered", "execution timed_out", "execution dead"])
            fired.cancel()
        }

        @Test("A service that answers a publish has taken the message: no attempt follows", arguments: [true, false])
        func services(isAtMostOnce: Bool) async throws {
            let fixture = try await SharedSystem.running.fixture
            let name = "service-\(isAtMostOnce)"
            let worker = try await HandWorker("demo.hand.\(name)", on: fixture.client)
            let id = try await make(
                name, on: "demo.hand.\(name)",
                #""max_retries":3,"retry_delay_seconds":0.05,"guarantee":"\#(isAtMostOnce ? "at_most_once" : "at_least_once")""#,
                type: #""immediate""#, fixture)
            try await worker.answer(try await worker.message(0), "hello")
            #expect(await become(["dead 1 target_is_a_service failed"], id, fixture))
            #expect(worker.all.count == 1)
        }

        @Test(
            "One that was opened for a reply is done with its delivery once the schedule says so; none waits for words")
        func repliesNoMore() async throws {
            let fixture = try await SharedSystem.running.fixture
            let worker = try await HandWorker("demo.hand.turned", on: fixture.client)
            let id = try await make(
                "turned", on: "demo.hand.turned",
                #""delivery":"request","completion":"reply","retry_delay_seconds":600"#, fixture)
            try await trigger("turned", fixture)
            let first = try await worker.message(0)
            #expect(first.header("Scheduler-Status-Subject") != nil)
            try await worker.answer(first, error: "busy")
            #expect(await become(["retry_wait 1 busy failed"], id, fixture))
            try await fixture.done("schedule.update", #"{"name":"turned","completion":"none"}"#, in: Self.space)
            try await hasten(id, fixture)
            let second = try await worker.message(1)
            #expect(second.header("Scheduler-Status-Subject") == nil)
            try await worker.answer(second, error: "busy again")
            #expect(await become(["succeeded 2 failed"], id, fixture))
            #expect(await settles(id, fixture))
            #expect(await fixture.waits(until: "SELECT count(*) FROM scheduler.owed_messages", is: 0))
            #expect(
                try await fixture.events(of: id).filter { $0.hasPrefix("execution") } == [
                    "execution delivered", "execution failed", "execution retrying", "execution delivered",
                    "execution succeeded",
                ])
        }

        @Test(
            "A worker that has it reports though its schedule is tracked no longer; what was opened untracked stays so")
        func asTheyWereOpened() async throws {
            let fixture = try await SharedSystem.running.fixture
            let worker = try await HandWorker("demo.hand.reports", on: fixture.client)
            let id = try await make(
                "reports", on: "demo.hand.reports", #""delivery":"core","completion":"report""#, fixture)
            try await trigger("reports", fixture)
            let message = try await worker.message(0)
            #expect(await become(["delivered 1"], id, fixture))
            try await fixture.done("schedule.update", #"{"name":"reports","completion":"none"}"#, in: Self.space)
            try await worker.report(message, "succeeded")
            #expect(await become(["succeeded 1"], id, fixture))

            let plain = try await make(
                "plain", on: "demo.hand.plain", #""delivery":"request","retry_delay_seconds":600"#, fixture)
            try await trigger("plain", fixture)
            #expect(await become(["retry_wait 1 no_responders failed"], plain, fixture))
            try await fixture.done("schedule.update", #"{"name":"plain","completion":"reply"}"#, in: Self.space)
            let late = try await HandWorker("demo.hand.plain", on: fixture.client)
            try await hasten(plain, fixture)
            try await late.answer(try await late.message(0), error: "no")
            #expect(await become(["delivered 2 no_responders failed"], plain, fixture))
        }

        @Test("cancel_previous goes on after the grace though a reply is awaited; what comes later is ignored")
        func previousRequests() async throws {
            let fixture = try await SharedSystem.running.fixture
            let worker = try await HandWorker("demo.hand.over", on: fixture.client)
            let stops = try await HandWorker("scheduler.run.\(Self.space).*.cancel", on: fixture.client)
            let id = try await make(
                "over", on: "demo.hand.over",
                #""delivery":"request","completion":"reply","overlap_policy":"cancel_previous","run_timeout_seconds":20"#,
                fixture)
            try await trigger("over", fixture)
            let first = try await worker.message(0)
            #expect(try await trigger("over", fixture)["waiting"] != nil)
            let stop = try await stops.message(0)
            #expect(stop.subject.contains(first.header("Scheduler-Execution-Id") ?? "none"))
            let graced = "SELECT count(*) FROM scheduler.runs WHERE schedule_id = '\(id)' AND deadline = 'cancel'"
            #expect(await fixture.waits(until: graced + " AND state = 'claimed' AND cancelling", is: 1))
            try await hasten(id, fixture)
            let second = try await worker.message(1)
            #expect(
                await become(
                    ["cancelled 1 the next one is due, and overlap_policy is cancel_previous", "claimed 1"], id, fixture
                ))
            let fences = [first, second].compactMap { Int64($0.header("Scheduler-Fence") ?? "") }
            #expect(fences.count == 2 && fences[0] < fences[1])
            // A third one: the second says in its grace that it is done.
            try await trigger("over", fixture)
            #expect(await fixture.waits(until: graced, is: 1))
            try await worker.answer(second, "done")
            let third = try await worker.message(2)
            try await worker.answer(third, "done")
            try await worker.answer(first, "at last")
            #expect(await settles(id, fixture))
            #expect(await rows(id, fixture).map { $0.prefix(11) } == ["cancelled 1", "succeeded 1", "succeeded 1"])
            #expect(try await fixture.count("SELECT count(*) FROM scheduler.runs WHERE schedule_id = '\(id)'") == 0)
        }

        @Test("A request that is out is cancelled: its worker is asked, may still succeed, and is not asked anew")
        func cancelsRequests() async throws {
            let fixture = try await SharedSystem.running.fixture
            let worker = try await HandWorker("demo.hand.given", on: fixture.client)
            let id = try await make(
                "given", on: "demo.hand.given",
                #""delivery":"request","completion":"reply","run_timeout_seconds":20,"overlap_policy":"allow""#, fixture
            )
            for number in 0..<2 {
                try await trigger("given", fixture)
                let message = try await worker.message(number)
                let execution = message.header("Scheduler-Execution-Id") ?? "none"
                for _ in 0..<2 {
                    let reply = try await fixture.done(
                        "execution.cancel", #"{"id":"\#(execution)","reason":"tea"}"#, in: Self.space)
                    #expect(reply["execution"]?["status"]?.string == "claimed")
                    #expect(reply["execution"]?["deadline"]?["kind"]?.string == "cancel")
                }
                try await worker.answer(message, number == 0 ? "" : "done", error: number == 0 ? "stopped" : nil)
                let ends = ["cancelled 1 tea", "succeeded 1"].prefix(number + 1)
                #expect(await become(Array(ends), id, fixture))
            }
            #expect(worker.all.count == 2)
            #expect(await settles(id, fixture))
        }

        @Test("What a dead instance had out and is being cancelled is sent by nobody else")
        func rescues() async throws {
            struct RollBack: Error {}
            let fixture = try await SharedSystem.running.fixture
            var random = SystemRandomNumberGenerator()
            let ids = (0..<5).map { _ in
                UUIDValue.version7(at: Instant(milliseconds: 1_795_219_200_000), random: &random)
            }
            let insert = Statement(
                "fixture cancelling",
                """
                WITH e AS (
                    INSERT INTO scheduler.executions (id, schedule_id, claimed_by, scheduled_for, due_at, claimed_at, fence,
                        schedule_version, missed_count, attempt, generation, state, origin, trigger, tracked)
                    VALUES ($1, $2, $3, now(), now(), now(), 1, 1, 0, 1, 1, 'claimed', 'time', 'cron', true))
                INSERT INTO scheduler.runs (execution_id, schedule_id, opened_at, fence, attempt, tracked, state, cancelling)
                VALUES ($1, $2, now(), 1, 1, true, 'claimed', $4)
                """, types: [.uuid, .uuid, .uuid, .bool])
            await #expect(throws: RollBack.self) {
                try await fixture.database.transaction { transaction in
                    for (execution, isCancelling) in [(ids[0], true), (ids[1], false)] {
                        let values = [execution, ids[2], ids[3]].map { PostgresValue.uuid(high: $0.high, low: $0.low) }
                        _ = try await transaction.query(insert, values + [.bool(isCancelling)])
                    }
                    let adopted = try await ClaimTable.adopt(
                        [ExecutionID(ids[0]), ExecutionID(ids[1])], from: InstanceID(ids[3]), by: InstanceID(ids[4]),
                        in: transaction)
                    #expect(adopted == [ExecutionID(ids[1])])
                    throw RollBack()
                }
            }
        }
    }
}
