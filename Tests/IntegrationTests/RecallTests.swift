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
    /// docs/recall.md on real servers: targets that nobody takes keep everything waiting in the publisher.
    @Suite("Taking back what waits for its target", .serialized, .timeLimit(.minutes(1))) struct RecallTests {
        private static let namespace = "recall"

        /// Schedules of one silent target, each with one execution that waits for it.
        private struct Waiting {
            let fixture: ServiceFixture
            let name: String
            let event: String
            let follower: String
            let retry: String
            var namespace = RecallTests.namespace

            var subject: String { "demo.silent.\(name)" }
            var all: [(kind: String, id: String)] { [("event", event), ("follower", follower), ("retry", retry)] }

            func waits(_ id: String, _ condition: String, is count: Int64 = 1) async -> Bool {
                await fixture.waits(
                    until: "SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(id)' AND \(condition)",
                    is: count)
            }

            func command(_ command: String, _ kind: String, _ rest: String = "") async throws -> [String] {
                let reply = try await fixture.done(
                    command, #"{"name":"\#(name)-\#(kind)"\#(rest)}"#, in: namespace)
                return reply.items("in_flight").compactMap(\.string)
            }

            func each(_ command: String, _ rest: String = "") async throws {
                for (kind, _) in all { #expect(try await self.command(command, kind, rest).isEmpty, "\(kind)") }
            }

            /// A stream for the target: what waits is delivered.
            func listen() async throws { try await fixture.makeStream("RECALL", subjects: subject) }

            /// What the stream took, as the schedule's kind and the attempt.
            func delivered() async throws -> [String] {
                try await fixture.messages(of: "RECALL").map { message in
                    let kind = message.header("Scheduler-Schedule-Name")?.dropFirst(name.count + 1) ?? "?"
                    return "\(kind) \(message.header("Scheduler-Attempt") ?? "?")"
                }.sorted()
            }

            func end() async throws {
                for (kind, _) in all { _ = try await command("schedule.delete", kind) }
                _ = try await command("schedule.delete", "up")
                try await JetStreamAPI(fixture.client).deleteStream("RECALL")
            }
        }

        /// Makes an event schedule, a follower, and one whose first attempt is refused: all three wait for the target,
        /// the last with its second attempt.
        private func waiting(
            _ name: String, namespace: String = namespace, subject: String? = nil
        ) async throws -> Waiting {
            let fixture = try await SharedSystem.running.fixture
            let target = #""target_command":"\#(subject ?? "demo.silent.\(name)")""#
            func make(_ kind: String, _ fields: String) async throws -> String {
                try await fixture.done(
                    "schedule.create", #"{"name":"\#(name)-\#(kind)",\#(fields)}"#, in: namespace
                ).id
            }
            let far = #""schedule_type":"interval","interval_seconds":3000000"#
            _ = try await make("up", far + #","target_command":"demo.js.up""#)
            let event = try await make(
                "event",
                #""schedule_type":"event","event_subject":"demo.said.\#(name)",\#(target),"payload_template":true,"command_payload":"{{event.body}}""#
            )
            let follower = try await make("follower", far + #","after":{"schedule":"\#(name)-up"},"# + target)
            // Its first attempt is refused by a stream that takes nothing.
            _ = try await JetStreamAPI(fixture.client).createStream(
                "REFUSES",
                configuration: """
                    {"name":"REFUSES","subjects":["\(subject ?? "demo.silent.\(name)")"],"retention":"limits",\
                    "storage":"file","max_msg_size":100,"num_replicas":1}
                    """)
            let retry = try await make("retry", far + #","max_retries":1,"retry_delay_seconds":1,"# + target)
            let made = Waiting(
                fixture: fixture, name: name, event: event, follower: follower, retry: retry, namespace: namespace)
            _ = try await made.command("schedule.trigger", "retry")
            #expect(await made.waits(retry, "state = 'retry_wait'"))
            try await JetStreamAPI(fixture.client).deleteStream("REFUSES")
            _ = try await made.command("schedule.trigger", "up")
            try await fixture.say("demo.said.\(name)", Array("7".utf8))
            for (kind, id) in made.all {
                #expect(await made.waits(id, "state = 'claimed' AND due_at < now()"), "\(kind)")
            }
            #expect(await made.waits(retry, "attempt = 2"))
            return made
        }

        private let nothing = "SELECT count(*) FROM scheduler.claims"

        @Test("A pause holds the message and the attempt until it is over, and skips the follower")
        func pause() async throws {
            let made = try await waiting("pause")
            try await made.each("schedule.pause")
            let fixture = made.fixture
            #expect(try await fixture.ledger(of: made.event).isEmpty)
            let inbox = "SELECT count(*) FROM scheduler.event_inbox WHERE schedule_id = '\(made.event)'"
            #expect(try await fixture.count(inbox) == 1)
            #expect(try await fixture.ledger(of: made.follower) == ["skipped paused after 1"])
            #expect(await made.waits(made.retry, "state = 'retry_wait' AND attempt = 1"))
            let held =
                "SELECT count(*) FROM scheduler.runs WHERE schedule_id = '\(made.retry)' AND deadline_at = held_until"
            #expect(await fixture.waits(until: held, is: 1))
            #expect(await fixture.waits(until: nothing, is: 0))
            try await made.listen()
            try await made.each("schedule.resume")
            #expect(await made.waits(made.event, "state = 'delivered'"))
            #expect(await made.waits(made.retry, "state = 'delivered' AND attempt = 2"))
            #expect(try await made.delivered() == ["event 1", "retry 2"])
            let bodies = try await fixture.messages(of: "RECALL").map { String(decoding: $0.payload, as: UTF8.self) }
            #expect(bodies.sorted() == [#""7""#, "{}"])
            try await made.end()
        }

        @Test("A deletion ends them all, each with its row")
        func deletion() async throws {
            let made = try await waiting("deletion")
            try await made.each("schedule.delete")
            let fixture = made.fixture
            #expect(try await fixture.ledger(of: made.event) == ["skipped deleted event 1"])
            #expect(try await fixture.ledger(of: made.follower) == ["skipped deleted after 1"])
            #expect(await made.waits(made.retry, "state = 'cancelled' AND reason = 'deleted'"))
            #expect(await fixture.waits(until: nothing, is: 0))
            #expect(
                try await fixture.count("SELECT count(*) FROM scheduler.runs WHERE schedule_id = '\(made.retry)'") == 0)
            _ = try await made.command("schedule.delete", "up")
        }

        @Test("An edit lets them wait on, and they go out as their schedules are by then; another timing ends messages")
        func edit() async throws {
            let made = try await waiting("edit")
            try await made.each("schedule.update", #","command_payload":{"new":true},"payload_template":false"#)
            for (kind, id) in made.all {
                #expect(await made.waits(id, "state = 'claimed' AND schedule_version = 2 AND NOT recalled"), "\(kind)")
            }
            for (kind, rest) in [
                ("event", #","delay_seconds":1"#), ("follower", #","interval_seconds":4000000"#),
                ("retry", #","interval_seconds":4000000"#),
            ] {
                #expect(try await made.command("schedule.update", kind, rest).isEmpty)
            }
            let fixture = made.fixture
            #expect(try await fixture.ledger(of: made.event) == ["skipped superseded event 1"])
            try await made.listen()
            for id in [made.follower, made.retry] { #expect(await made.waits(id, "state = 'delivered'")) }
            #expect(try await made.delivered() == ["follower 1", "retry 2"])
            let bodies = try await fixture.messages(of: "RECALL").map { String(decoding: $0.payload, as: UTF8.self) }
            #expect(bodies == [#"{"new":true}"#, #"{"new":true}"#])
            try await made.end()
        }

        @Test("A freeze holds what waits for its target, and lets it go when it is over")
        func freeze() async throws {
            let made = try await waiting("freeze", namespace: "recallfrz")
            let fixture = made.fixture
            let own = try await fixture.done(
                "schedule.create",
                #"{"name":"freeze-own","schedule_type":"immediate","target_command":"\#(made.subject)"}"#,
                in: "recallfrz"
            ).id
            #expect(await made.waits(own, "state = 'claimed' AND due_at < now()"))
            let until = try await fixture.instant(in: "600 seconds")
            let set = try await fixture.administer("freeze.set", #"{"namespace":"recallfrz","until":"\#(until)"}"#)
            try await made.listen()
            #expect(await fixture.waits(until: nothing, is: 0))
            #expect(await made.waits(made.retry, "state = 'retry_wait' AND attempt = 1"))
            for id in [made.event, made.follower, own] { #expect(try await fixture.ledger(of: id).isEmpty) }
            let waiting = "SELECT count(*) FROM scheduler.buffered WHERE schedule_id IN ('\(made.follower)', '\(own)')"
            #expect(try await fixture.count(waiting) == 2)
            #expect(try await fixture.messages(of: "RECALL").isEmpty)
            try await fixture.administer("freeze.clear", #"{"id":"\#(set["freeze"]?["id"]?.string ?? "?")"}"#)
            // A retry that a freeze held is looked at again within a minute.
            try await fixture.database.execute(
                script: "UPDATE scheduler.runs SET deadline_at = now() WHERE schedule_id = '\(made.retry)'")
            for (kind, id) in made.all + [("own", own)] {
                #expect(await made.waits(id, "state = 'delivered'"), "\(kind)")
            }
            #expect(try await made.delivered() == ["event 1", "follower 1", "own 1", "retry 2"])
            #expect(await made.waits(made.follower, "caused_by IS NOT NULL"))
            try await made.end()
        }

        @Test("A target that is lost ends the follower, and keeps the others until it is back")
        func revocation() async throws {
            let fixture = try await SharedSystem.running.fixture
            let entry = #"{"namespace":"recallrev","subject":"lost.>","delivery":["jetstream"]}"#
            try await fixture.administer("target.allow", entry)
            let made = try await waiting("revoked", namespace: "recallrev", subject: "lost.revoked")
            let revoked = try await fixture.administer(
                "target.revoke", #"{"namespace":"recallrev","subject":"lost.>"}"#)
            #expect(revoked.items("in_flight").isEmpty)
            #expect(try await fixture.ledger(of: made.event).isEmpty)
            #expect(try await fixture.ledger(of: made.follower) == ["skipped target_revoked after 1"])
            #expect(await made.waits(made.retry, "state = 'retry_wait' AND attempt = 1"))
            try await fixture.makeStream("RECALL", subjects: "lost.revoked")
            for (_, id) in made.all {
                let state = "SELECT count(*) FROM scheduler.schedules WHERE id = '\(id)' AND state = 'invalid'"
                #expect(await fixture.waits(until: state, is: 1))
            }
            try await fixture.administer("target.allow", entry)
            #expect(await made.waits(made.event, "state = 'delivered'"))
            #expect(await made.waits(made.retry, "state = 'delivered'"))
            #expect(try await made.delivered() == ["event 1", "retry 2"])
            try await made.end()
            try await fixture.administer("target.revoke", #"{"namespace":"recallrev","subject":"lost.>"}"#)
        }

        @Test(
            "The last of max_runs that a pause skips lets the schedule go on; another time lets one go on that had one")
        func lastOfRuns() async throws {
            let fixture = try await SharedSystem.running.fixture
            func make(_ name: String, _ fields: String) async throws -> String {
                try await fixture.done(
                    "schedule.create", #"{"name":"\#(name)","target_command":"demo.silent.runs",\#(fields)}"#,
                    in: Self.namespace
                ).id
            }
            func waits(_ id: String) async -> Bool {
                await fixture.waits(
                    until: """
                        SELECT count(*) FROM scheduler.executions
                        WHERE schedule_id = '\(id)' AND state = 'claimed' AND due_at < now()
                        """, is: 1)
            }
            let id = try await make(
                "last", #""schedule_type":"interval","interval_seconds":1,"max_runs":1,"completion":"report""#)
            #expect(await waits(id))
            try await fixture.done("schedule.pause", #"{"name":"last"}"#, in: Self.namespace)
            #expect(try await fixture.ledger(of: id) == ["skipped paused interval 1"])
            let resumed = try await fixture.done("schedule.resume", #"{"name":"last"}"#, in: Self.namespace).schedule
            #expect(resumed["state"]?.string == "active" && resumed["run_count"]?.int64 == 0)
            #expect(await waits(id))
            try await fixture.done("schedule.delete", #"{"name":"last"}"#, in: Self.namespace)

            let once = try await make("once", #""schedule_type":"immediate""#)
            #expect(await waits(once))
            let edited = try await fixture.done(
                "schedule.update", #"{"name":"once","schedule_type":"once","run_at":"2026-12-31T00:00:00Z"}"#,
                in: Self.namespace
            ).schedule
            #expect(edited["state"]?.string == "active")
            #expect(try await fixture.ledger(of: once) == ["skipped superseded immediate 1"])
            let timer = "SELECT count(*) FROM scheduler.timers WHERE schedule_id = '\(once)' AND run_count = 0"
            #expect(try await fixture.count(timer + " AND next_fire_at IS NOT NULL") == 1)
            try await fixture.done("schedule.delete", #"{"name":"once"}"#, in: Self.namespace)
            #expect(await fixture.waits(until: nothing, is: 0))
        }

        @Test(
            "A message of weeks ago is claimed apart: found by a pause, in nobody's way, and it keeps its schedule open"
        )
        func oldMessages() async throws {
            let fixture = try await SharedSystem.running.fixture
            let id = try await fixture.done(
                "schedule.create",
                #"{"name":"old","schedule_type":"event","event_subject":"demo.said.old","max_runs":1,"target_command":"demo.silent.old"}"#,
                in: Self.namespace
            ).id
            let schedule = try #require(ScheduleID(text: id))
            let ago = "SELECT (extract(epoch FROM now() - interval '20 days') * 1000)::bigint"
            let said = Instant(milliseconds: try await fixture.count(ago))
            let occurrence = Occurrence(
                schedule: schedule, generation: 1, origin: .event, scheduledFor: said, ordinal: 5)
            try await fixture.database.execute(
                script: """
                    INSERT INTO scheduler.event_inbox (schedule_id, generation, execution_id, scheduled_for, due_at,
                        ordinal, messages) VALUES ('\(id)', 1, '\(occurrence.executionID)', '\(said.rfc3339)', now(), 5, 1);
                    UPDATE scheduler.timers SET next_fire_at = now() WHERE schedule_id = '\(id)'
                    """)
            let claimed = "SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(id)' AND state = 'claimed'"
            #expect(await fixture.waits(until: claimed, is: 1))
            let apart = "SELECT count(*) FROM scheduler.claims WHERE '\(occurrence.executionID)' = ANY (executions)"
            #expect(try await fixture.count(apart + " AND commanded") == 1)
            #expect(try await fixture.count(apart + " AND NOT commanded") == 0)
            let over = try await ExhaustionTable.over(among: [schedule], on: fixture.database)
            #expect(over.busy == [schedule] && over.idle.isEmpty)
            let paused = try await fixture.done("schedule.pause", #"{"name":"old"}"#, in: Self.namespace)
            #expect(paused.items("in_flight").isEmpty)
            #expect(try await fixture.count(claimed) == 0)
            try await fixture.done("schedule.resume", #"{"name":"old"}"#, in: Self.namespace)
            #expect(await fixture.waits(until: claimed, is: 1))
            try await fixture.done("schedule.delete", #"{"name":"old"}"#, in: Self.namespace)
            #expect(await fixture.waits(until: nothing, is: 0))
        }

        @Test("An edit that comes before the pause for failures goes over it")
        func editBeforePause() async throws {
            let fixture = try await SharedSystem.running.fixture
            let id = try await fixture.done(
                "schedule.create",
                #"{"name":"edited","schedule_type":"interval","interval_seconds":3600,"target_command":"demo.js.edited","pause_after_failures":1}"#,
                in: Self.namespace
            ).id
            let waiting =
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%scheduler.timers%'"
            let schedule = try #require(ScheduleID(text: id))
            let holder = try PostgresConnection(
                PostgresConfiguration(await fixture.postgres.url(database: "carillon")))
            let edited = try await holder.transaction { transaction in
                _ = try await TimerTable.lock(schedule, in: transaction)
                let reply = Task {
                    try await fixture.done(
                        "schedule.update", #"{"name":"edited","command_payload":{"n":2}}"#, in: Self.namespace)
                }
                #expect(await fixture.waits(until: waiting, is: 1))
                try await fixture.database.execute(
                    script: "INSERT INTO scheduler.failing_schedules VALUES ('\(id)', now(), 1)")
                // The keeper waits behind the edit.
                #expect(await fixture.waits(until: waiting, is: 2))
                return reply
            }
            _ = try await edited.value
            await holder.close()
            #expect(await fixture.waits(until: "SELECT count(*) FROM scheduler.failing_schedules", is: 0))
            #expect(await fixture.waits(until: waiting, is: 0))
            let now = try await fixture.done("schedule.get", #"{"name":"edited"}"#, in: Self.namespace).schedule
            #expect(now["state"]?.string == "active" && now["version"]?.int64 == 2)
            try await fixture.done("schedule.delete", #"{"name":"edited"}"#, in: Self.namespace)
        }
    }
}
