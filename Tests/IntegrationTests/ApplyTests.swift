import JSONText
import LocalServers
import NATSClient
import ServiceFixture
import Testing

extension Integration {
    /// `carillon apply` and `carillon import crontab|kubernetes` against a real service.
    @Suite("Files", .serialized, .timeLimit(.minutes(2))) struct ApplyTests {
        private static func definition(_ name: String, cron: String = "0 2 * * *") -> String {
            "- {name: \(name), schedule_type: cron, cron_expression: \(cron), target_command: demo.js.f}\n"
        }

        private func changes(of namespace: String, _ system: FilesSystem) async throws -> Int64 {
            try await system.fixture.count("SELECT count(*) FROM scheduler.audit_log WHERE namespace = '\(namespace)'")
        }

        @Test("Makes, leaves, edits and prunes what files say, and never what is somebody else's")
        func applies() async throws {
            let system = try await FilesSystem.running
            let one = "namespace: files\nschedules:\n" + Self.definition("a") + Self.definition("b")
            let path = try system.file("apply.yaml", one)
            let made = try await system.carillon("apply", "-f", path, "--owner", "me", "--reason", "first")
            #expect(made.code == 0 && made.text.contains("+ create files/a\n+ create files/b\n"), "\(made)")
            #expect(made.text.contains("2 to create, 0 to update, 0 unchanged, 0 to delete\napplied: 2 changed"))
            let stored = try await system.fixture.done("schedule.get", #"{"name":"a"}"#, in: "files").schedule
            #expect(
                stored["metadata"]?["carillon-owner"]?.string == "me"
                    && stored["updated_by"]?.string == "carillon apply")
            let before = try await changes(of: "files", system)

            // Again: no version, no event, no entry.
            let again = try await system.carillon("apply", "-f", path, "--owner", "me", "--prune")
            #expect(again.code == 0 && again.text == "0 to create, 0 to update, 2 unchanged, 0 to delete\n", "\(again)")
            #expect(try await changes(of: "files", system) == before)

            // Somebody else's, nobody's, and one of ours that no file has any more.
            for (name, label) in [("theirs", #","metadata":{"carillon-owner":"you"}"#), ("plain", "")] {
                try await system.fixture.done(
                    "schedule.create",
                    #"{"name":"\#(name)","schedule_type":"interval","interval_seconds":3600,"target_command":"demo.js.f"\#(label)}"#,
                    in: "files")
            }
            let two = "namespace: files\nschedules:\n" + Self.definition("a", cron: "0 3 * * *") + Self.definition("c")
            _ = try system.file("apply.yaml", two)
            let plan = try await system.carillon("apply", "-f", path, "--owner", "me", "--prune", "--dry-run")
            #expect(
                plan.code == 2
                    && plan.text == """
                        ~ update files/a: cron_expression "0 2 * * *" → "0 3 * * *"
                        + create files/c
                        - delete files/b
                        1 to create, 1 to update, 0 unchanged, 1 to delete (dry run)

                        """,
                "\(plan)")
            #expect(try await changes(of: "files", system) == before + 2)
            let done = try await system.carillon("apply", "-f", path, "--owner", "me", "--prune")
            #expect(done.code == 0 && done.text.hasSuffix("applied: 3 changed\n"), "\(done)")
            let names = try await system.fixture.done("schedule.list", "{}", in: "files").items("schedules")
            #expect(Set(names.compactMap { $0["name"]?.string }) == ["a", "c", "theirs", "plain"])
        }

        @Test("What the service refuses is told at its place in the file, and nothing is changed")
        func refusals() async throws {
            let system = try await FilesSystem.running
            let text = """
                schedules:
                - {name: good, schedule_type: immediate, target_command: demo.js.f}
                - name: bad
                  schedule_type: cron
                  cron_expression: 0 0 * * *
                  only_on: nobody
                  target_command: elsewhere.x
                """
            let path = try system.file("refused.yaml", text)
            let refused = try await system.carillon("apply", "-f", path, "--namespace", "refused")
            #expect(refused.code == 1, "\(refused)")
            for line in [
                "refused.yaml:7: document 1, schedule 'bad', /schedules/1/target_command: ",
                "refused.yaml:6: document 1, schedule 'bad', /schedules/1/only_on: the namespace has no calendar",
                "nothing was changed",
            ] { #expect(refused.text.contains(line), "\(refused)") }
            #expect(
                try await system.fixture.count("SELECT count(*) FROM scheduler.schedules WHERE namespace = 'refused'")
                    == 0)
            // Found before anybody is asked.
            let local = try await system.carillon("apply", "-f", path, url: "nats://127.0.0.1:1")
            #expect(
                local.code == 1 && local.text.contains("expected 'namespace' in the file, or --namespace"), "\(local)")
            let silent = try await system.carillon("apply", "-f", path, "--namespace", "n", url: "nats://127.0.0.1:1")
            #expect(silent.code == 69, "\(silent)")
            let valid = try await system.carillon("validate", path)
            #expect(valid.code == 0 && valid.text.hasPrefix("2 definitions in 1 file: nothing is wrong"), "\(valid)")
            let wrong = try await system.carillon("validate", try system.file("wrong.yaml", "name: 1\n---\nx: yes"))
            #expect(
                wrong.code == 1 && wrong.text.contains("wrong.yaml:3: document 2, /x: yes is true or false"), "\(wrong)"
            )
        }

        @Test("A crontab is shown, written and applied; what was written is what was applied")
        func importsACrontab() async throws {
            let system = try await FilesSystem.running
            let path = try system.file("crontab", "# night\n0 3 * * * /usr/bin/backup\n@reboot x\n0 0 */2 * 1 y\n")
            let arguments = ["--target", "demo.js.cron", "--namespace", "cron"]
            let shown = try await system.carillon("import", "crontab", path, arguments[0], arguments[1])
            #expect(shown.code == 1 && shown.text.contains("crontab:3: @reboot is left out"), "\(shown)")
            #expect(shown.text.contains("0 3 * * * (line 2)") && shown.text.contains("2 schedules, 1 left out"))
            let output = system.fixture.folder + "/made.yaml"
            let made = try await system.carillon(
                "import", "crontab", path, arguments[0], arguments[1], arguments[2], arguments[3], "-o", output,
                "--apply")
            #expect(made.text.contains("2 to create") && made.text.contains("applied: 2 changed"), "\(made)")
            let again = try await system.carillon("apply", "-f", output)
            #expect(again.code == 0 && again.text.hasPrefix("0 to create, 0 to update, 2 unchanged"), "\(again)")
            let schedules = try await system.fixture.done("schedule.list", "{}", in: "cron").items("schedules")
            #expect(
                Set(schedules.compactMap { $0["command_payload"]?["command"]?.string }) == ["/usr/bin/backup", "y"])
            let jobs = try system.file(
                "jobs.json",
                #"{"kind":"CronJob","metadata":{"name":"j","namespace":"cron"},"spec":{"schedule":"@daily","suspend":true}}"#
            )
            let job = try await system.carillon("import", "kubernetes", jobs, "--target", "demo.js.k", "--apply")
            #expect(job.code == 0 && job.text.contains("+ create cron/j"), "\(job)")
            let stored = try await system.fixture.done("schedule.get", #"{"name":"j"}"#, in: "cron").schedule
            #expect(stored["state"]?.string == "paused")
        }
    }
}
