import JSONText
import LocalServers
import NATSClient
import PostgresClient
import ServiceFixture
import Testing

extension Integration {
    /// semantics.md §3: an invalid schedule harms no other, and heals when the cause does.
    @Suite("Invalid schedules", .serialized, .timeLimit(.minutes(2))) struct InvalidScheduleTests {
        private static let revoked = """
            targets:
              - namespace: "*"
                subject: demo.js.>
                delivery: [jetstream]
                max_payload_bytes: 100
            """

        private func create(
            _ name: String, _ fixture: ServiceFixture, type: String = #""interval","interval_seconds":3600"#,
            target: String? = nil
        ) async throws -> String {
            let target = target ?? "demo.js.\(name)"
            let body = #"{"name":"\#(name)","schedule_type":\#(type),"target_command":"\#(target)"}"#
            return try await fixture.done("schedule.create", body).id
        }

        private func state(_ id: String, _ fixture: ServiceFixture) async throws -> String {
            let rows = try await fixture.rows("SELECT state FROM scheduler.schedules WHERE id = '\(id)'")
            return rows.first?[0] ?? "gone"
        }

        private func becomes(_ state: String, _ id: String, _ fixture: ServiceFixture, _ limit: Duration = .seconds(10))
            async -> Bool
        {
            await fixture.waits(
                limit,
                until: "SELECT count(*) FROM scheduler.schedules WHERE id = '\(id)' AND state = '\(state)'", is: 1)
        }

        /// The ledger of a schedule that is due once a second: how many instants it holds, and how many are missing.
        private func seconds(of id: String, _ fixture: ServiceFixture) async throws -> (total: Int64, missing: Int64) {
            let row = try await fixture.rows(
                """
                SELECT coalesce(sum(range_count), 0)::text,
                    (coalesce(extract(epoch FROM max(scheduled_for) - min(coalesce(range_from, scheduled_for)))::bigint + 1, 0)
                        - coalesce(sum(range_count), 0))::text
                FROM scheduler.executions WHERE schedule_id = '\(id)'
                """)[0]
            return (Int64(row[0] ?? "") ?? -1, Int64(row[1] ?? "") ?? -1)
        }

        /// What breaks a schedule's row, and whether an event can still name it.
        private static let breaks: [(name: String, type: String?, sql: String, isNamed: Bool)] = [
            ("delivery", nil, "delivery = 'pigeon'", true), ("target", nil, "target_command = 'a..b'", true),
            ("type", nil, "dst_policy = 'sundial'", true),
            ("header", nil, #"command_headers = '{"bad name":"x"}'"#, true),
            ("policy", nil, "misfire_policy = 'never'", true), ("zone", nil, "timezone = 'Mars/Base'", true),
            ("expression", #""cron","cron_expression":"0 3 * * *""#, "cron_expression = 'whenever'", true),
            ("name", nil, "name = 'two words'", false),
        ]

        /// The latest 03:00 in Vienna, in SQL.
        private static let latest = """
            (date_trunc('day', (now() AT TIME ZONE 'Europe/Vienna') - interval '3 h') + interval '3 h')
                AT TIME ZONE 'Europe/Vienna'
            """

        @Test("A row that cannot be read is its schedule's fault alone; repaired, it fires again")
        func unreadableRows() async throws {
            let fixture = try await ServiceFixture.start()
            try await fixture.makeStream()
            let instance = try await fixture.startInstance()
            var ids: [String: String] = [:]
            for row in Self.breaks {
                let type = row.type ?? #""cron","cron_expression":"0 3 * * *","timezone":"Europe/Vienna""#
                ids[row.name] = try await create(row.name, fixture, type: type)
            }
            let good = [try await create("good", fixture), try await create("fine", fixture)]
            let orphan = try await create("orphan", fixture)
            try await fixture.database.execute(
                script: Self.breaks.map {
                    "UPDATE scheduler.schedules SET \($0.sql) WHERE id = '\(ids[$0.name] ?? "")';"
                }.joined(separator: "\n") + """
                    DELETE FROM scheduler.schedules WHERE id = '\(orphan)';
                    UPDATE scheduler.timers SET next_fire_at = now();
                    UPDATE scheduler.timers SET next_fire_at = \(Self.latest) WHERE schedule_id = '\(ids["delivery"] ?? "")'
                    """)
            for id in good {
                let delivered =
                    "SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(id)' AND state = 'delivered'"
                #expect(await fixture.waits(until: delivered, is: 1))
            }
            for row in Self.breaks {
                let id = try #require(ids[row.name])
                #expect(await becomes("invalid", id, fixture), "\(row.name)")
                #expect(try await fixture.ledger(of: id).isEmpty)
            }
            #expect(await fixture.waits(until: "SELECT count(*) FROM scheduler.outbox", is: 0))
            for row in Self.breaks where row.isNamed {
                let events = try await fixture.events(of: try #require(ids[row.name]))
                #expect(events == ["schedule created", "schedule invalidated"], "\(row.name)")
            }
            #expect(
                try await fixture.count(
                    "SELECT count(*) FROM scheduler.timers WHERE next_fire_at IS NULL AND schedule_id = '\(orphan)'")
                    == 1)
            // What no event can tell is told by the log, once for each.
            let errors = Filesystem.tail(instance.logPath, bytes: 1 << 20).split(separator: "\n").filter {
                $0.contains("cannot be fired") && $0.contains("\"error\"")
            }
            #expect(errors.count == 2, "\(errors)")
            // The cause goes, and a look at the invalid ones, within the minute that is promised, finds it.
            let broken = try #require(ids["delivery"])
            try await fixture.database.execute(
                script: "UPDATE scheduler.schedules SET delivery = 'jetstream' WHERE id = '\(broken)'")
            #expect(await becomes("active", broken, fixture, .seconds(60)))
            #expect(
                try await fixture.count(
                    "SELECT count(*) FROM scheduler.timers WHERE next_fire_at > now() AND schedule_id = '\(broken)'")
                    == 1)
            let owed = "SELECT (SELECT count(*) FROM scheduler.claims) + (SELECT count(*) FROM scheduler.outbox)"
            #expect(await fixture.waits(until: owed, is: 0))
            #expect(try await fixture.ledger(of: broken) == ["skipped target_revoked cron 1"])
            #expect(
                try await fixture.events(of: broken)
                    == ["schedule created", "schedule invalidated", "execution skipped", "schedule updated"])
            #expect(await instance.stop())
            await fixture.stop()
        }

        @Test("A revoked target: invalid, refused to whoever asks, healed by its return or by an update; no gap")
        func revocation() async throws {
            var options = ServiceFixture.Options()
            options.targets = """
                targets:
                  - namespace: "*"
                    subject: demo.>
                    delivery: [jetstream, core]
                """
            let fixture = try await ServiceFixture.start(options)
            try await fixture.makeStream()
            try await fixture.makeStream("OTHER", subjects: "demo.other.>")
            let first = try await fixture.startInstance("first")
            let second = #""interval","interval_seconds":1"#
            let returns = try await create("returns", fixture, type: second, target: "demo.other.a")
            let corrected = try await create("corrected", fixture, type: second, target: "demo.other.b")
            let retimed = try await create("retimed", fixture, type: second, target: "demo.other.c")
            let deleted = try await create("deleted", fixture, type: second, target: "demo.other.d")
            let stays = try await create("stays", fixture, type: second)
            let paused = try await create("paused", fixture, target: "demo.other.e")
            _ = try await fixture.done("schedule.pause", #"{"name":"paused"}"#)
            let delivered =
                "SELECT least(2, count(*)) FROM scheduler.executions WHERE schedule_id = '\(returns)' AND state = 'delivered'"
            #expect(await fixture.waits(until: delivered, is: 2))
            #expect(await first.stop())

            let file = fixture.folder + "/revoked.yaml"
            try Filesystem.write(Self.revoked, to: file)
            let strict = try await fixture.startInstance("strict", environment: ["TARGETS_FILE": file])
            for id in [returns, corrected, retimed, deleted] { #expect(await becomes("invalid", id, fixture)) }
            #expect(try await state(stays, fixture) == "active")
            // Something passes meanwhile.
            #expect(
                await fixture.waits(
                    until:
                        "SELECT count(*) FROM scheduler.timers WHERE resume_from < now() - interval '2 s' AND schedule_id <> '\(paused)'",
                    is: 4))
            #expect(try await fixture.refused("schedule.trigger", #"{"name":"returns"}"#) == "20412")
            #expect(try await fixture.refused("schedule.trigger", #"{"name":"paused"}"#) == "30403")
            #expect(try await fixture.refused("schedule.resume", #"{"name":"paused"}"#) == "30403")
            let large = String(repeating: "x", count: 101)
            #expect(
                try await fixture.refused("schedule.trigger", #"{"name":"stays","payload":"\#(large)"}"#) == "30413")
            // An update that does not correct it is refused for the reason that made it invalid.
            #expect(
                try await fixture.refused("schedule.update", #"{"name":"corrected","priority":1}"#)
                    == "30403 /target_command")
            let healed = try await fixture.done(
                "schedule.update", #"{"name":"corrected","target_command":"demo.js.corrected"}"#)
            #expect(healed.schedule["state"]?.string == "active" && healed.schedule["pause_reason"] == nil)
            let moved = try await fixture.done(
                "schedule.update", #"{"name":"retimed","target_command":"demo.js.retimed","interval_seconds":3600}"#)
            #expect(moved.schedule["state"]?.string == "active" && moved.schedule["next_fire_at"] != nil)
            _ = try await fixture.done("schedule.delete", #"{"name":"deleted"}"#)
            for id in [corrected, retimed, deleted] {
                #expect(try await fixture.ledger(of: id).contains { $0.hasPrefix("skipped target_revoked") })
            }
            #expect(await fixture.waits(until: "SELECT count(*) FROM scheduler.outbox", is: 0))
            #expect(await strict.stop())

            // Allowed again: a starting instance looks at once.
            let third = try await fixture.startInstance("third")
            #expect(await becomes("active", returns, fixture))
            let again =
                "SELECT least(1, count(*)) FROM scheduler.executions e JOIN scheduler.audit_log a USING (schedule_id) WHERE schedule_id = '\(returns)' AND e.state = 'delivered' AND a.action = 'updated' AND e.scheduled_for > a.at"
            #expect(await fixture.waits(until: again, is: 1))
            #expect(await fixture.waits(until: "SELECT count(*) FROM scheduler.outbox", is: 0))
            #expect(await third.stop())
            for id in [returns, corrected, stays] {
                let (total, missing) = try await seconds(of: id, fixture)
                #expect(total > 3 && missing == 0)
            }
            let events = try await fixture.events(of: returns).filter { $0.hasPrefix("schedule") }
            #expect(events == ["schedule created", "schedule invalidated", "schedule updated"])
            #expect(try await state(paused, fixture) == "paused")
            await fixture.stop()
        }

        @Test("A rescue does not publish what was revoked meanwhile, or cannot be read; all else it does")
        func rescue() async throws {
            let fixture = try await ServiceFixture.start()
            try await fixture.makeStream()
            try await fixture.makeStream("OTHER", subjects: "demo.other.>")
            let victim = try await fixture.startInstance(
                "victim", environment: ["CARILLON_FAIL_AT": "claim.committed@1"])
            let runAt =
                try await fixture.rows(
                    "SELECT to_char(now() + interval '4 s', 'YYYY-MM-DD\"T\"HH24:MI:SSOF\":00\"')")[0][0] ?? ""
            var ids: [String: String] = [:]
            for (name, target) in [
                ("allowed", "demo.js.a"), ("revoked", "demo.other.a"), ("unreadable", "demo.js.b"),
                ("forgotten", "demo.js.c"), ("recurring", "demo.other.b"),
            ] {
                let type =
                    name == "recurring"
                    ? #""interval","interval_seconds":3600,"start_at":"\#(runAt)""# : #""once","run_at":"\#(runAt)""#
                ids[name] = try await create(name, fixture, type: type, target: target)
            }
            #expect(await victim.process.waitForEnd(.seconds(15)), "the victim claimed nothing")
            #expect(try await fixture.count("SELECT count(*) FROM scheduler.executions WHERE state = 'claimed'") == 5)
            try await fixture.database.execute(
                script: """
                    UPDATE scheduler.schedules SET guarantee = 'perhaps' WHERE id = '\(ids["unreadable"] ?? "")';
                    DELETE FROM scheduler.schedules WHERE id = '\(ids["forgotten"] ?? "")';
                    """)
            let file = fixture.folder + "/revoked.yaml"
            try Filesystem.write(Self.revoked, to: file)
            let rescuer = try await fixture.startInstance("rescuer", environment: ["TARGETS_FILE": file])
            #expect(await fixture.waits(.seconds(20), until: "SELECT count(*) FROM scheduler.claims", is: 0))
            #expect(try await fixture.ledger(of: try #require(ids["allowed"])) == ["delivered once 1"])
            #expect(try await fixture.ledger(of: try #require(ids["revoked"])) == ["skipped target_revoked once 1"])
            #expect(
                try await fixture.ledger(of: try #require(ids["recurring"])) == ["skipped target_revoked interval 1"])
            for name in ["unreadable", "forgotten"] {
                let ledger = try await fixture.ledger(of: try #require(ids[name]))
                #expect(ledger.count == 1 && ledger[0].hasPrefix("dead "), "\(name): \(ledger)")
            }
            #expect(try await fixture.messages(of: "OTHER").isEmpty)
            #expect(
                try await fixture.messages(of: "DEMO").map(\.subject) == ["demo.js.a"], "only what is allowed goes out")
            // Each of the one-shots has nothing more to do; the recurring one stays what it is until its next claim.
            for name in ["allowed", "revoked", "unreadable"] {
                #expect(await becomes("exhausted", try #require(ids[name]), fixture))
            }
            #expect(try await state(try #require(ids["recurring"]), fixture) == "active")
            #expect(await fixture.waits(until: "SELECT count(*) FROM scheduler.outbox", is: 0))
            #expect(
                try await fixture.events(of: try #require(ids["revoked"]))
                    == ["schedule created", "execution skipped", "schedule exhausted"])
            #expect(
                try await fixture.events(of: try #require(ids["unreadable"]))
                    == ["schedule created", "execution dead", "schedule exhausted"])
            #expect(await rescuer.stop())
            await fixture.stop()
        }
    }
}
