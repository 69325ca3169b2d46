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
    /// Executions whose dispatch is refused for good: they are tried again, and give up in the end.
    @Suite("Retries", .serialized, .timeLimit(.minutes(1))) struct RetryTests {
        /// A stream that refuses every message: its headers alone are larger than it takes.
        private func refuse(_ subjects: String, named stream: String, on fixture: ServiceFixture) async throws {
            _ = try await JetStreamAPI(fixture.client).createStream(
                stream,
                configuration: """
                    {"name":"\(stream)","subjects":["\(subjects)"],"retention":"limits","storage":"file",\
                    "max_msg_size":100,"num_replicas":1}
                    """)
        }

        private func executions(_ id: String, _ condition: String) -> String {
            "SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(id)' AND \(condition)"
        }

        private let lives = "SELECT count(*) FROM scheduler.runs"

        @Test("It is tried again at its time and gives up, with its events in order; its letter is sent again once")
        func givesUp() async throws {
            let fixture = try await SharedSystem.running.fixture
            try await refuse("demo.small.>", named: "SMALL", on: fixture)
            let id = try await fixture.done(
                "schedule.create",
                """
                {"name":"small","schedule_type":"immediate","target_command":"demo.small.a","max_retries":1,
                 "retry_delay_seconds":0.3,"command_payload":{"n":1},"command_headers":{"Shade":"blue"}}
                """, in: "retries"
            ).id
            #expect(await fixture.waits(until: executions(id, "state = 'dead'"), is: 1))
            let row = try await fixture.rows(
                """
                SELECT concat_ws(' ', state, attempt, last_outcome), reason, (fired_at >= due_at
                    AND finished_at >= fired_at AND due_at > scheduled_for + interval '270 ms')::text, id::text
                FROM scheduler.executions WHERE schedule_id = '\(id)'
                """)[0]
            #expect(
                row.prefix(3) == ["dead 2 failed", "the message is larger than the stream takes", "true"], "\(row)")
            #expect(await fixture.waits(until: "SELECT count(*) FROM scheduler.owed_messages", is: 0))
            #expect(
                try await fixture.events(of: id) == [
                    "schedule created", "execution failed", "execution retrying", "execution failed", "execution dead",
                    "schedule exhausted",
                ])
            #expect(try await fixture.count(lives + " WHERE schedule_id = '\(id)'") == 0)

            let execution = try #require(row[3])
            let letters = try await fixture.administer("dlq.list", #"{"schedule_id":"\#(id)"}"#).items("letters")
            #expect(letters.count == 1 && letters[0]["execution"]?["id"]?.string == execution)
            let letter = try await JetStreamAPI(fixture.client).lastMessage(
                in: "SCHEDULER_DLQ", on: Subject("scheduler.dlq.retries.\(id)"))
            let text = try JSONValue.parse(letter.payload)
            #expect(text["payload"].map { String(decoding: $0.bytes, as: UTF8.self) } == #"{"n":1}"#)
            #expect(text["command_headers"]?["Shade"]?.string == "blue")
            #expect(text["target_command"]?.string == "demo.small.a" && text["execution"]?["attempt"]?.int64 == 2)

            try await JetStreamAPI(fixture.client).deleteStream("SMALL")
            try await fixture.makeStream("SMALL", subjects: "demo.small.>")
            let body = #"{"id":"\#(execution)","reason":"the stream takes it now"}"#
            let sent = try await fixture.administer("dlq.redrive", body)
            #expect(sent["execution"]?["retry_of"]?.string == execution)
            #expect(await fixture.waits(until: executions(id, "state = 'delivered'"), is: 1))
            #expect(
                try await fixture.refused("dlq.redrive", Array(body.utf8), subject: "scheduler.admin.dlq.redrive")
                    == "20412")
            #expect(
                try await fixture.administer("dlq.list", #"{"schedule_id":"\#(id)"}"#).items("letters").isEmpty)
            try await JetStreamAPI(fixture.client).deleteStream("SMALL")
        }

        @Test("What is no dead letter, and what a list refuses")
        func refusals() async throws {
            let fixture = try await SharedSystem.running.fixture
            let redrive = "scheduler.admin.dlq.redrive"
            let unknown = #"{"id":"00000000-0000-8000-8000-000000000000"}"#
            #expect(try await fixture.refused("dlq.redrive", Array(unknown.utf8), subject: redrive) == "20408")
            let list = Array(#"{"namespace":"a b","schedule_id":"x","cursor":"y","limit":0}"#.utf8)
            #expect(
                try await fixture.refused("dlq.list", list, subject: "scheduler.admin.dlq.list")
                    == "10422 /namespace /schedule_id /limit /cursor")
        }

        @Test("A crash between two attempts, and one in the midst of the second, lose no attempt and make none more")
        func crash() async throws {
            let fixture = try await ServiceFixture.start()
            try await refuse("demo.small.>", named: "SMALL", on: fixture)
            // The second publish is the second attempt of the first schedule.
            let first = try await fixture.startInstance(
                "first", environment: ["CARILLON_FAIL_AT": "publish.sent@3"])
            var ids: [String] = []
            for (name, delay) in [("waits", 4.0), ("sent", 0.3)] {
                ids.append(
                    try await fixture.done(
                        "schedule.create",
                        """
                        {"name":"\(name)","schedule_type":"immediate","target_command":"demo.small.a","max_retries":1,
                         "retry_delay_seconds":\(delay)}
                        """
                    ).id)
                let waiting = executions(ids[ids.count - 1], "(state = 'retry_wait' OR attempt = 2)")
                #expect(await fixture.waits(until: waiting, is: 1))
            }
            #expect(await first.process.waitForEnd(.seconds(10)))
            let second = try await fixture.startInstance("second")
            #expect(
                await fixture.waits(
                    .seconds(20), until: "SELECT count(*) FROM scheduler.executions WHERE state = 'dead'", is: 2))
            #expect(await fixture.waits(until: "SELECT count(*) FROM scheduler.owed_messages", is: 0))
            for id in ids {
                #expect(
                    try await fixture.events(of: id) == [
                        "schedule created", "execution failed", "execution retrying", "execution failed",
                        "execution dead", "schedule exhausted",
                    ])
            }
            #expect(try await fixture.rows("SELECT attempt::text FROM scheduler.executions") == [["2"], ["2"]])
            #expect(try await fixture.count(lives) == 0)
            #expect(await fixture.waits(until: "SELECT count(*) FROM scheduler.claims", is: 0))
            #expect(await second.stop())
            await fixture.stop()
        }

        @Test("Of what two claims name, a rescue takes what their dead owner holds, and takes it once")
        func adoption() async throws {
            struct RollBack: Error {}
            let fixture = try await SharedSystem.running.fixture
            var random = SystemRandomNumberGenerator()
            var ids: [UUIDValue] = []
            for _ in 0..<6 { ids.append(.version7(at: Instant(milliseconds: 1_795_219_200_000), random: &random)) }
            let (dead, living, rescuer) = (InstanceID(ids[0]), InstanceID(ids[1]), InstanceID(ids[2]))
            let executions = ids[4...].map { ExecutionID($0) }
            let insert = Statement(
                "fixture claimed",
                """
                INSERT INTO scheduler.executions (id, schedule_id, claimed_by, scheduled_for, due_at, claimed_at, fence,
                    schedule_version, missed_count, attempt, generation, state, origin, trigger)
                VALUES ($1, $2, $3, now(), now(), now(), 1, 1, 0, 2, 1, 'claimed', 'time', 'cron')
                """, types: [.uuid, .uuid, .uuid])
            await #expect(throws: RollBack.self) {
                try await fixture.database.transaction { transaction in
                    for (execution, owner) in zip(executions, [dead, living]) {
                        let values = [execution.uuid, ids[3], owner.uuid].map {
                            PostgresValue.uuid(high: $0.high, low: $0.low)
                        }
                        _ = try await transaction.query(insert, values)
                    }
                    func adopted() async throws -> Set<ExecutionID> {
                        try await ClaimTable.adopt(executions, from: dead, by: rescuer, in: transaction)
                    }
                    #expect(try await adopted() == [executions[0]])
                    #expect(try await adopted().isEmpty)
                    throw RollBack()
                }
            }
        }

        @Test("The retries of a paused schedule wait until it goes on; those of a deleted one are cancelled")
        func pausedAndDeleted() async throws {
            let fixture = try await SharedSystem.running.fixture
            try await refuse("demo.tiny.>", named: "TINY", on: fixture)
            func triggered(_ name: String, delay: Double) async throws -> String {
                let id = try await fixture.done(
                    "schedule.create",
                    """
                    {"name":"\(name)","schedule_type":"interval","interval_seconds":3600,
                     "target_command":"demo.tiny.a","max_retries":1,"retry_delay_seconds":\(delay)}
                    """, in: "retries"
                ).id
                try await fixture.done("schedule.trigger", #"{"name":"\#(name)"}"#, in: "retries")
                #expect(await fixture.waits(until: executions(id, "state = 'retry_wait'"), is: 1))
                return id
            }
            let paused = try await triggered("paused", delay: 1)
            try await fixture.done("schedule.pause", #"{"name":"paused"}"#, in: "retries")
            let held = "\(lives) WHERE schedule_id = '\(paused)' AND deadline_at = held_until"
            #expect(await fixture.waits(until: held, is: 1))
            #expect(try await fixture.count(executions(paused, "attempt = 1 AND state = 'retry_wait'")) == 1)
            try await fixture.done("schedule.resume", #"{"name":"paused"}"#, in: "retries")
            #expect(await fixture.waits(until: executions(paused, "attempt = 2 AND state = 'dead'"), is: 1))

            let deleted = try await triggered("deleted", delay: 300)
            try await fixture.done("schedule.delete", #"{"name":"deleted"}"#, in: "retries")
            #expect(
                await fixture.waits(until: executions(deleted, "state = 'cancelled' AND reason = 'deleted'"), is: 1))
            #expect(await fixture.waits(until: "SELECT count(*) FROM scheduler.owed_messages", is: 0))
            #expect(
                try await fixture.events(of: deleted).filter { $0.hasPrefix("execution") } == [
                    "execution failed", "execution retrying", "execution cancelled",
                ])
            try await JetStreamAPI(fixture.client).deleteStream("TINY")
        }

        @Test("So many failures in a row pause the schedule; a resume counts anew")
        func pauseAfterFailures() async throws {
            let fixture = try await SharedSystem.running.fixture
            try await refuse("demo.never.>", named: "NEVER", on: fixture)
            let id = try await fixture.done(
                "schedule.create",
                """
                {"name":"failing","schedule_type":"interval","interval_seconds":0.2,"target_command":"demo.never.a",
                 "max_retries":0,"pause_after_failures":3}
                """, in: "retries"
            ).id
            let isPaused =
                "SELECT count(*) FROM scheduler.schedules WHERE id = '\(id)' AND state = 'paused' AND pause_reason = '3 executions in a row gave up (pause_after_failures)' AND updated_by = 'carillon'"
            #expect(await fixture.waits(until: isPaused, is: 1))
            #expect(await fixture.waits(until: executions(id, "state = 'claimed'"), is: 0))
            let dead = try await fixture.count(executions(id, "state = 'dead'"))
            #expect(dead >= 3)
            try await fixture.done("schedule.resume", #"{"name":"failing"}"#, in: "retries")
            #expect(await fixture.waits(until: isPaused, is: 1))
            #expect(try await fixture.count(executions(id, "state = 'dead'")) >= dead + 3)
            #expect(try await fixture.count("SELECT count(*) FROM scheduler.failing_schedules") == 0)
            #expect(await fixture.waits(until: executions(id, "state = 'claimed'"), is: 0))
            try await JetStreamAPI(fixture.client).deleteStream("NEVER")
        }
    }
}
