import JSONText
import LocalServers
import NATSClient
import ServiceFixture
import Testing

extension Integration {
    /// Messages, chains, overlap and completion through everything that writes definitions down and reads them again.
    @Suite("Definitions there and back", .serialized, .timeLimit(.minutes(1))) struct FieldRoundTripTests {
        /// Each has no default in what it is about. Those that are followed come last, as a file may have them.
        static let definitions = [
            #"{"name":"all","schedule_type":"interval","interval_seconds":86400,"target_command":"demo.js.r","after":{"all":[{"schedule":"core","on":"failed"},{"schedule":"report","on":"completed"}]}}"#,
            #"{"name":"one","schedule_type":"interval","interval_seconds":86400,"target_command":"demo.js.r","after":{"schedule":"all","on":"succeeded"}}"#,
            #"{"name":"any","schedule_type":"interval","interval_seconds":86400,"target_command":"demo.js.r","after":{"any":[{"schedule":"one","on":"failed"},{"schedule":"all","on":"succeeded"}]},"paused":true}"#,
            #"{"name":"core","schedule_type":"event","event_subject":"demo.trip.core.>","delay_seconds":1.5,"max_rate_per_second":2.5,"max_runs":7,"target_command":"demo.js.r","payload_template":true,"command_payload":{"said":"{{event.body}}"}}"#,
            #"{"name":"stream","schedule_type":"event","event_subject":"demo.js.trip.*","event_stream":"DEMO","debounce_seconds":0.25,"end_at":"2030-01-01T00:00:00.000000Z","target_command":"demo.js.r"}"#,
            #"{"name":"absent","schedule_type":"absence","event_subject":"demo.js.alive.>","event_stream":"DEMO","absence_seconds":86400}"#,
            #"{"name":"strict","schedule_type":"absence","event_subject":"demo.trip.alive","absence_seconds":86400.5,"cron_expression":"0 6 * * *","timezone":"Europe/Paris","target_command":"demo.trip.alarm","delivery":"core"}"#,
            #"{"name":"report","schedule_type":"interval","interval_seconds":86400,"target_command":"demo.trip.report","delivery":"core","guarantee":"at_most_once","completion":"report","start_timeout_seconds":2.5,"run_timeout_seconds":60.25,"heartbeat_timeout_seconds":5,"overlap_policy":"buffer","max_in_flight":3,"max_retries":7,"retry_delay_seconds":0.5,"retry_max_delay_seconds":90,"retry_max_age_seconds":3600,"pause_after_failures":4}"#,
            #"{"name":"reply","schedule_type":"interval","interval_seconds":86400,"target_command":"demo.trip.reply","delivery":"request","completion":"reply","run_timeout_seconds":12,"overlap_policy":"cancel_previous","shadow":true}"#,
        ]

        /// The definition's members as a schedule shows them, against what was said.
        private func check(_ definition: String, _ schedule: JSONValue) throws {
            let said = try JSONValue.parse(definition)
            for member in said.members where member.name != "paused" {
                let shown = schedule[member.name].map { String(decoding: $0.bytes, as: UTF8.self) }
                #expect(
                    shown == String(decoding: member.value.bytes, as: UTF8.self),
                    "\(said["name"]?.string ?? "?"): \(member.name)")
            }
            #expect(schedule["state"]?.string == (said["paused"] == nil ? "active" : "paused"))
        }

        private func check(_ system: FilesSystem, in namespace: String) async throws {
            for definition in Self.definitions {
                let name = try JSONValue.parse(definition)["name"]?.string ?? "?"
                let shown = try await system.fixture.done("schedule.get", #"{"name":"\#(name)"}"#, in: namespace)
                try check(definition, shown.schedule)
            }
        }

        private func links(_ namespace: String, _ system: FilesSystem) async throws -> [[String?]] {
            try await system.fixture.rows(
                """
                SELECT d.name, l.position::text, u.name, l.condition FROM scheduler.links l
                JOIN scheduler.schedules d ON d.id = l.downstream JOIN scheduler.schedules u ON u.id = l.upstream
                WHERE l.namespace = '\(namespace)' ORDER BY 1, 2
                """)
        }

        private static let linked = [
            ["all", "1", "core", "failed"], ["all", "2", "report", "completed"], ["any", "1", "one", "failed"],
            ["any", "2", "all", "succeeded"], ["one", "1", "all", "succeeded"],
        ]

        @Test(
            "Files: made in the order in which they follow each other, checked, and unchanged when they are applied again"
        )
        func files() async throws {
            let system = try await FilesSystem.running
            let text = "namespace: trip\nschedules:\n" + Self.definitions.map { "- \($0)\n" }.joined()
            let path = try system.file("trip.yaml", text)
            let valid = try await system.carillon("validate", path)
            #expect(valid.code == 0, "\(valid)")
            let made = try await system.carillon("apply", "-f", path)
            #expect(made.code == 0 && made.text.hasSuffix("applied: 9 changed\n"), "\(made)")
            try await check(system, in: "trip")
            #expect(try await links("trip", system) == Self.linked)
            let again = try await system.carillon("apply", "-f", path)
            #expect(again.code == 0 && again.text.hasPrefix("0 to create, 0 to update, 9 unchanged"), "\(again)")
            // One that is there follows one that is new.
            let new =
                #"{"name":"new","schedule_type":"interval","interval_seconds":86400,"target_command":"demo.js.r"}"#
            let moved =
                text.split(separator: #""schedule":"all","on":"succeeded"}}"#, maxSplits: 1)
                .joined(separator: #""schedule":"new","on":"succeeded"}}"#) + "- \(new)\n"
            let plan = try await system.carillon("apply", "-f", try system.file("trip.yaml", moved), "--dry-run")
            #expect(
                plan.code == 2
                    && plan.text.contains(
                        #"~ update trip/one: after {"schedule":"all","on":"succeeded"} → {"schedule":"new","on":"succeeded"}"#
                    ), "\(plan)")
            #expect(try await system.carillon("apply", "-f", path).code == 0)
            #expect(try await links("trip", system).contains(["one", "1", "new", "succeeded"]))
            let lost = try system.file(
                "lost.yaml",
                "namespace: trip\nschedules:\n- " + Self.definitions[1].replacing("\"all\"", with: "nobody"))
            let refused = try await system.carillon("apply", "-f", lost)
            #expect(refused.code == 1 && refused.text.contains("no schedule called 'nobody'"), "\(refused)")
        }

        @Test("Put: the same definition again changes nothing, and what a schedule shows can be put as it is")
        func puts() async throws {
            let system = try await FilesSystem.running
            let order = [3, 7, 0, 1, 2, 4, 5, 6, 8]
            for (round, outcome) in [(0, "created"), (1, "unchanged")] {
                for index in order {
                    let reply = try await system.fixture.done("schedule.put", Self.definitions[index], in: "tripped")
                    #expect(reply["outcome"]?.string == outcome, "\(round) \(Self.definitions[index])")
                }
            }
            try await check(system, in: "tripped")
            #expect(try await links("tripped", system) == Self.linked)
            let known: Set = [
                "id", "namespace", "version", "state", "pause_reason", "next_fire_at", "run_count", "created_at",
                "created_by", "updated_at", "updated_by", "last_fire_at", "last_status",
            ]
            for definition in Self.definitions {
                let name = try JSONValue.parse(definition)["name"]?.string ?? "?"
                let shown = try await system.fixture.done("schedule.get", #"{"name":"\#(name)"}"#, in: "tripped")
                    .schedule
                let members = shown.members.filter { !known.contains($0.name) }.map {
                    "\"\($0.name)\":\(String(decoding: $0.value.bytes, as: UTF8.self))"
                }
                let reply = try await system.fixture.done(
                    "schedule.put", "{\(members.joined(separator: ","))}", in: "tripped")
                #expect(reply["outcome"]?.string == "unchanged", "\(name): \(reply.changes)")
            }
        }

        @Test("Backup: restored into an empty store they are what they were, and follow whom they followed")
        func backups() async throws {
            let system = try await FilesSystem.running
            try await empty(system)
            for index in [3, 7, 0, 1, 2, 4, 5, 6, 8] {
                try await system.fixture.done("schedule.put", Self.definitions[index], in: "back")
            }
            let folder = system.fixture.folder
            #expect(try await system.carillon("export", "-o", folder + "/trip1.ndjson").code == 0)
            try await empty(system)
            let imported = try await system.carillon("import", folder + "/trip1.ndjson")
            #expect(imported.code == 0 && imported.text.hasPrefix("9 imported, 0 unchanged"), "\(imported)")
            try await check(system, in: "back")
            #expect(try await links("back", system) == Self.linked)
            #expect(try await system.carillon("export", "-o", folder + "/trip2.ndjson").code == 0)
            func lines(_ name: String) -> [Substring] {
                Array(Filesystem.tail(folder + "/" + name, bytes: 1 << 24).split(separator: "\n").dropFirst())
            }
            #expect(lines("trip1.ndjson") == lines("trip2.ndjson") && lines("trip1.ndjson").count >= 9)
            // What was deleted meanwhile follows again once it is put back over its remains.
            try await system.fixture.done("schedule.delete", #"{"name":"any"}"#, in: "back")
            try await system.fixture.done("schedule.delete", #"{"name":"one"}"#, in: "back")
            #expect(try await links("back", system).count == 2)
            let again = try await system.carillon("import", folder + "/trip1.ndjson", "--overwrite")
            #expect(again.code == 0 && again.text.contains("2 overwritten"), "\(again)")
            #expect(try await links("back", system) == Self.linked)
            #expect(try await system.carillon("import", folder + "/trip1.ndjson").text.contains("2 conflict"))
        }

        private func empty(_ system: FilesSystem) async throws {
            try await system.emptyTheStore()
            _ = try await system.fixture.rows(
                """
                TRUNCATE scheduler.links, scheduler.arrivals, scheduler.ended_upstreams, scheduler.runs,
                    scheduler.buffered, scheduler.event_inbox
                """)
        }
    }
}
