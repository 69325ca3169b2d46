import JSONText
import LocalServers
import NATSClient
import ServiceFixture
import Testing

extension Integration {
    /// `carillon doctor` and `carillon healthcheck` beside an instance that runs.
    @Suite("Care", .serialized, .timeLimit(.minutes(1))) struct CareTests {
        private func run(
            _ fixture: ServiceFixture, _ arguments: [String], _ environment: [String: String]
        ) async throws -> (code: Int32?, text: String) {
            let log = fixture.folder + "/\(arguments[0])-\(UInt32.random(in: 0...UInt32.max)).log"
            let process = try ChildProcess(
                [ServiceFixture.program] + arguments, environment: environment, logPath: log)
            _ = await process.waitForEnd(.seconds(30))
            return (process.exitCode, Filesystem.tail(log, bytes: 1 << 16))
        }

        /// What is wrong, as `<verdict> <check>`, each once, without what these servers always are.
        private func complaints(_ text: String) throws -> [String] {
            var complaints: [String] = []
            let findings = try JSONValue.parse(text).items("findings")
            try #require(!findings.isEmpty)
            for finding in findings where finding["verdict"]?.string != "ok" {
                let line = "\(finding["verdict"]?.string ?? "?") \(finding["check"]?.string ?? "?")"
                if line != "warn nats.version", !complaints.contains(line) { complaints.append(line) }
            }
            return complaints
        }

        @Test("Roles of least privilege may all that the service needs; what is not well is told")
        func guarded() async throws {
            let system = try await GuardedSystem.running
            let fixture = system.fixture
            var environment = [
                "NATS_URL": await fixture.nats.url, "NATS_USER": "scheduler", "NATS_PASSWORD": "word-scheduler",
                "DATABASE_URL": await GuardedSystem.url(of: "service", fixture),
                "TARGETS_FILE": fixture.folder + "/targets.yaml",
            ]
            let (code, text) = try await run(fixture, ["doctor", "--json"], environment)
            let (permitted, told) = try permissions(text)
            #expect(permitted >= 20 && (told.isEmpty || told == ["elsewhere.>"]), "\(text)")
            // These servers have fsync off, and there is one instance. What others leave behind here is not looked at.
            let found = try complaints(text).filter { !$0.contains(" nats.") && !$0.hasSuffix("machine.open_files") }
            #expect(found == ["fail postgresql.durability", "warn service.instances"] && code == 1, "\(text)")

            environment["NATS_USER"] = "billing"
            environment["NATS_PASSWORD"] = "word-billing"
            environment["NATS_INBOX_PREFIX"] = "_INBOX.billing"
            environment["DATABASE_URL"] = await fixture.postgres.url(database: "carillon")
            let (_, other) = try await run(fixture, ["doctor"], environment)
            let lines = other.split(separator: "\n")
            for subject in ["scheduler.sys.>", "$KV.SCHEDULER_LOCKS.>", "scheduler.cmd.>"] {
                let line = "fail  nats.permissions: found the server denies '\(subject)'"
                #expect(lines.contains { $0.hasPrefix(line) }, "\(other)")
            }
            #expect(lines.contains { $0.hasPrefix("warn  postgresql.role: found postgres is a superuser") }, "\(other)")
        }

        /// How many subjects are permitted, and those that are denied.
        private func permissions(_ text: String) throws -> (permitted: Int, denied: [String]) {
            var permitted = 0
            var denied: [String] = []
            for finding in try JSONValue.parse(text).items("findings")
            where finding["check"]?.string == "nats.permissions" {
                let words = finding["found"]?.string ?? ""
                if finding["verdict"]?.string == "ok" {
                    permitted = words.split(separator: " ").first.flatMap { Int($0) } ?? 0
                } else if finding["verdict"]?.string == "fail" {
                    denied += words.split(separator: "'").dropFirst().prefix(1).map(String.init)
                }
            }
            return (permitted, denied)
        }

        @Test("The doctor leaves nothing behind: no message, no session, no consumer")
        func leavesNothing() async throws {
            let system = try await GuardedSystem.running
            let fixture = system.fixture
            let heard = try FiredMessages(">", on: fixture.client)
            let environment = [
                "NATS_URL": await fixture.nats.url, "NATS_USER": "scheduler", "NATS_PASSWORD": "word-scheduler",
                "DATABASE_URL": await GuardedSystem.url(of: "service", fixture),
                "TARGETS_FILE": fixture.folder + "/targets.yaml",
            ]
            _ = try await run(fixture, ["doctor"], environment)
            _ = try fixture.client.publish(try Subject("heard.by.all"), payload: [UInt8]())
            try await fixture.client.flush()
            // An older server is tried out, on subjects that only those hear who listen to everything; from 2.10 on it is asked.
            let trials = heard.all.map(\.subject).filter { $0.contains("doctor-") }
            #expect(heard.all.contains { $0.subject == "heard.by.all" })
            let real = ["cmd.", "elsewhere.", "scheduler.evt.", "scheduler.dlq.", "scheduler.run.", "scheduler.cmd."]
            #expect(!trials.contains { trial in real.contains { trial.hasPrefix($0) } }, "\(trials)")
            let locks = try await KeyValueBucket.bind("SCHEDULER_LOCKS", JetStreamAPI(fixture.client)).keys()
            #expect(!locks.isEmpty && !locks.contains { $0.contains("doctor") }, "\(locks)")
            heard.cancel()
            let sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'carillon-doctor'"
            #expect(await fixture.waits(until: sessions, is: 0))
        }

        @Test("A health check hears its own instance, over HTTP and over NATS")
        func healthcheck() async throws {
            let system = try await SharedSystem.running
            let address = try #require(HTTPFace.address(of: system.instance))
            let port = String(try #require(address.split(separator: ":").last))
            let url = await system.fixture.nats.url
            let overHTTP = try await run(system.fixture, ["healthcheck"], ["API_PORT": port, "SERVICE_NAME": "one"])
            #expect(overHTTP.code == 0 && overHTTP.text == "one is ready\n", "\(overHTTP)")
            let live = try await run(system.fixture, ["healthcheck", "--live"], ["API_PORT": port])
            #expect(live.code == 0 && live.text == "carillon is alive\n", "\(live)")
            let overNATS = try await run(
                system.fixture, ["healthcheck"], ["API_PORT": "off", "SERVICE_NAME": "one", "NATS_URL": url])
            #expect(overNATS.code == 0 && overNATS.text == "one is ready\n", "\(overNATS)")
            let another = try await run(
                system.fixture, ["healthcheck", "--timeout", "0.3"],
                ["API_PORT": "off", "SERVICE_NAME": "two", "NATS_URL": url])
            #expect(another.code == 1 && another.text == "carillon: two did not answer; one did\n", "\(another)")
        }
    }
}
