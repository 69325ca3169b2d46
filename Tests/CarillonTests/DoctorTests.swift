import Glibc
import JSONText
import LocalServers
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import TestSupport
import Testing

@testable import Migrations
@testable import carillon

/// What the doctor says of facts, without servers.
@Suite struct DoctorTests {
    /// What was found, as `<verdict> <check>`, with what is in order left out.
    private func complaints(_ findings: [Finding]) -> [String] {
        findings.filter { $0.verdict != .ok }.map { "\($0.verdict) \($0.check)" }
    }

    private static func healthyDatabase() -> DatabaseStanding {
        var facts = DatabaseFacts()
        facts.settings = [
            "fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "autovacuum": "on",
            "track_counts": "on", "search_path": DoctorSession.searchPath, "statement_timeout": DoctorSession.timeout,
            "idle_session_timeout": "0",
        ]
        var standing = DatabaseStanding()
        standing.facts = facts
        standing.clock = ClockOffset(milliseconds: 3, uncertainty: 1)
        standing.migrations = [MigrationStatus(version: 1, name: "a", state: .applied, appliedAt: 1, isBreaking: false)]
        standing.daysAhead = 7
        standing.oldestDay = 12
        standing.floors = (history: 1, audit: 1)
        standing.zones = ZoneDataTable.Release(fingerprint: 7, version: "2026a")
        standing.members = ["one", "two"]
        return standing
    }

    private static var machine: MachineFacts { MachineFacts(zoneVersion: "2026a", fingerprint: 7) }

    struct DatabaseCase: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let expected: [String]
        let change: @Sendable (inout DatabaseStanding) -> Void

        init(_ name: String, _ expected: [String], _ change: @escaping @Sendable (inout DatabaseStanding) -> Void) {
            (testDescription, self.expected, self.change) = (name, expected, change)
        }

        static func setting(_ name: String, _ value: String, _ expected: String) -> DatabaseCase {
            DatabaseCase("\(name)=\(value)", [expected]) { $0.facts?.settings[name] = value }
        }

        static func migration(_ state: MigrationStatus.State, _ isBreaking: Bool, _ expected: String) -> DatabaseCase {
            DatabaseCase("\(state), breaking \(isBreaking)", [expected]) {
                $0.migrations?.append(
                    MigrationStatus(version: 2, name: "b", state: state, appliedAt: nil, isBreaking: isBreaking))
            }
        }
    }

    @Test(arguments: [
        DatabaseCase("well", []) { _ in },
        DatabaseCase("away", ["fail postgresql.connection"]) { $0 = DatabaseStanding(fault: "connectionRefused") },
        DatabaseCase("14", ["fail postgresql.version"]) { $0.facts?.versionNumber = 140_011 },
        .setting("fsync", "off", "fail postgresql.durability"),
        .setting("synchronous_commit", "off", "fail postgresql.durability"),
        .setting("full_page_writes", "off", "fail postgresql.durability"),
        .setting("autovacuum", "off", "warn postgresql.vacuum"),
        .setting("idle_session_timeout", "60000", "warn postgresql.timeouts"),
        .setting("transaction_timeout", "1000", "warn postgresql.timeouts"),
        .setting("statement_timeout", "0", "fail postgresql.session"),
        .setting("search_path", "public", "fail postgresql.session"),
        .setting("default_transaction_read_only", "on", "fail postgresql.writable"),
        DatabaseCase("a standby", ["fail postgresql.writable"]) { $0.facts?.isInRecovery = true },
        DatabaseCase("a superuser", ["warn postgresql.role"]) { $0.facts?.isSuperuser = true },
        DatabaseCase("the owner", ["warn postgresql.role"]) { $0.facts?.ownsTables = true },
        DatabaseCase("no rights", ["fail postgresql.role"]) { $0.facts?.withheldTables = ["timers"] },
        DatabaseCase("prepared", ["warn postgresql.transactions"]) { $0.facts?.preparedTransactions = 1 },
        DatabaseCase("a long one", ["warn postgresql.transactions"]) { $0.facts?.oldestTransaction = 1900 },
        DatabaseCase("full", ["warn postgresql.connections"]) { $0.facts?.sessions = 90 },
        DatabaseCase("a full role", ["warn postgresql.connections"]) {
            $0.facts?.roleLimit = 20
            $0.facts?.roleSessions = 10
        },
        DatabaseCase("off by 3 s", ["fail postgresql.clock"]) {
            $0.clock = ClockOffset(milliseconds: -3000, uncertainty: 5)
        },
        DatabaseCase("off by 0.8 s", ["warn postgresql.clock"]) {
            $0.clock = ClockOffset(milliseconds: 800, uncertainty: 5)
        },
        DatabaseCase("slow to say", []) { $0.clock = ClockOffset(milliseconds: 800, uncertainty: 400) },
        .migration(.pending, false, "fail postgresql.schema"), .migration(.drifted, false, "fail postgresql.schema"),
        .migration(.newer, true, "fail postgresql.schema"), .migration(.newer, false, "warn postgresql.schema"),
        DatabaseCase("few partitions", ["warn postgresql.partitions"]) { $0.daysAhead = 1 },
        DatabaseCase("old history", ["warn postgresql.retention"]) { $0.oldestDay = 40 },
        DatabaseCase("floors above", ["warn postgresql.retention"]) { $0.floors = (history: 60, audit: 1) },
        DatabaseCase("alone", ["warn service.instances"]) { $0.members = ["one"] },
        DatabaseCase("another tzdata", ["warn machine.tzdata_recorded"]) {
            $0.zones = ZoneDataTable.Release(fingerprint: 8, version: "2026b")
        },
    ]) func whatPostgreSQLMustBe(wanted: DatabaseCase) throws {
        var standing = Self.healthyDatabase()
        wanted.change(&standing)
        let findings = DatabaseFindings.all(standing, settings: try Settings(values: [:]), machine: Self.machine)
        #expect(complaints(findings) == wanted.expected)
        for finding in findings where finding.verdict != .ok {
            #expect(finding.expected?.isEmpty == false && finding.advice?.isEmpty == false, "\(finding)")
        }
    }

    @Test(arguments: [
        ("2.9.9", false, Finding.Verdict.fail, "upgrade nats-server"),
        ("2.9.10", false, .warn, "purge other accounts"), ("2.9.10", true, .warn, "two may win"),
        ("2.9.21", true, .warn, "votes are not on disk"), ("2.10.19", false, .warn, "a key that is gone"),
        ("2.10.21", false, .warn, "can be forgotten"), ("2.11.15", false, .warn, "deny rules"),
        ("2.11.16", true, .ok, ""), ("2.12.1", false, .warn, "can hide the real one"), ("2.12.7", true, .ok, ""),
        ("2.14.0-RC.1", false, .ok, ""), ("dev", false, .warn, "whether it is a nats-server"),
    ]) func whatIsKnownOfVersions(text: String, isReplicated: Bool, verdict: Finding.Verdict, words: String) {
        let finding = ServerFindings.version(NATSNode(name: "n", version: text), isReplicated: isReplicated)
        #expect(finding.verdict == verdict, "\(finding)")
        #expect(words.isEmpty || finding.description.contains(words), "\(finding)")
    }

    @Test func nodesOfACluster() {
        let nodes = [NATSNode(name: "a", version: "2.14.0"), NATSNode(name: "b", version: "2.12.7")]
        #expect(complaints(ServerFindings.nodes(nodes, replicas: 1)) == ["warn nats.nodes"])
        #expect(complaints(ServerFindings.nodes([nodes[0]], replicas: 3)) == ["warn nats.nodes"])
        #expect(complaints(ServerFindings.nodes([nodes[0]], replicas: 1)) == [])
    }

    @Test(arguments: [(UInt64(79), Finding.Verdict.ok), (80, .warn), (95, .fail)])
    func roomForStreams(used: UInt64, verdict: Finding.Verdict) {
        #expect(ServerFindings.storage(used: used, limit: 100).verdict == verdict)
        #expect(ServerFindings.storage(used: used, limit: nil).verdict == .ok)
    }

    @Test func sizesAreForPeople() {
        #expect([0, 1023, 1536, 10 << 30].map { ServerFindings.size($0) } == ["0 B", "1023 B", "1.5 KiB", "10 GiB"])
    }

    @Test(arguments: [(UInt64(100), Finding.Verdict.fail), (1024, .warn), (65_536, .ok)])
    func openFiles(limit: UInt64, verdict: Finding.Verdict) {
        #expect(MachineFindings.openFiles(limit).verdict == verdict)
    }

    @Test func aMachineWithoutZonesCannotTellTheTime() {
        #expect(MachineFindings.zones(MachineFacts(zoneCount: 0)).verdict == .fail)
        #expect(MachineFindings.zones(MachineFacts(zoneVersion: nil)).verdict == .warn)
        #expect(MachineFindings.zones(Self.machine).verdict == .ok)
    }

    /// The report as it is read, and its exit codes.
    @Test func warningsFailOnlyWhereTheyAreAskedTo() throws {
        let fine = Finding.ok("a", "b")
        let warning = Finding.warn("c", "d", expected: "e", "f \"g\"")
        let failure = Finding.fail("h", "i", expected: "j", "k")
        let codes = [[fine], [fine, warning], [warning, failure]].map { findings in
            [false, true].map { DoctorReport(findings: findings).exitCode(isStrict: $0) }
        }
        #expect(codes == [[0, 0], [0, 1], [1, 1]])
        let report = DoctorReport(findings: [fine, warning])
        #expect(
            report.lines == ["ok    a: b", "warn  c: found d; expected e; f \"g\"", "1 ok, 1 to look at, 0 wrong"])
        let json = try JSONValue.parse(report.json)
        #expect(json["status"]?.string == "warn")
        let findings = json["findings"].map { Array($0.elements) }
        #expect(findings?.last?["advice"]?.string == "f \"g\"")
    }
}

/// What is tried of permissions, and what is said of streams.
@Suite struct DoctorStreamTests {
    private func complaints(_ findings: [Finding]) -> [String] {
        findings.filter { $0.verdict != .ok }.map { "\($0.verdict) \($0.found)" }
    }

    struct StreamCase: Sendable {
        let expected: [String]
        let change: @Sendable (inout StreamFacts) -> Void
    }

    @Test(arguments: [
        StreamCase(expected: []) { _ in },
        StreamCase(expected: ["fail subjects x"]) { $0.subjects = ["x"] },
        StreamCase(expected: ["fail storage memory"]) { $0.storage = "memory" },
        StreamCase(expected: ["fail retention interest"]) { $0.retention = "interest" },
        StreamCase(expected: ["fail discard new"]) { $0.discard = "new" },
        StreamCase(expected: ["warn 3 replicas"]) { $0.replicas = 3 },
        StreamCase(expected: ["warn a duplicate window of 30 s"]) { $0.duplicateWindow = 30 },
        StreamCase(expected: ["warn a maximum age of 3600 s"]) { $0.maximumAge = 3600 },
    ]) func theEventsStream(wanted: StreamCase) throws {
        let need = try #require(StreamNeed.all(SubjectNames(prefix: "scheduler"), leaseSeconds: 5).first)
        var facts = StreamFacts(name: need.name)
        facts.subjects = ["scheduler.evt.>"]
        wanted.change(&facts)
        #expect(complaints(StreamFindings.own(need, .there(facts), replicas: 1)) == wanted.expected)
    }

    @Test func aBucketThatForgetsLeasesTooSoon() throws {
        let need = try #require(StreamNeed.all(SubjectNames(prefix: "p"), leaseSeconds: 20).last)
        #expect(need.name == "KV_P_LOCKS")
        var facts = StreamFacts(name: need.name)
        (facts.subjects, facts.discard, facts.maximumAge, facts.perSubject) = (["$KV.P_LOCKS.>"], "new", 30, 1)
        #expect(complaints(StreamFindings.own(need, .there(facts), replicas: 1)) == ["warn a maximum age of 30 s"])
        #expect(complaints(StreamFindings.own(need, .missing, replicas: 1)) == ["warn none"])
        #expect(complaints(StreamFindings.own(need, .unknown("no leader"), replicas: 1)) == ["fail no leader"])
    }

    @Test func targetsWithoutStreams() {
        var short = StreamFacts(name: "SHORT")
        short.duplicateWindow = 10
        let looks = [
            TargetLook(subject: "a.b", isFiredAt: true, streams: []),
            TargetLook(subject: "c.>", isFiredAt: false, streams: []),
            TargetLook(subject: "d.e", isFiredAt: true, streams: [short]),
            TargetLook(subject: "f.g", isFiredAt: true, streams: nil),
        ]
        #expect(
            complaints(StreamFindings.targets(looks)) == [
                "fail no stream takes a.b, at which schedules fire", "warn no stream takes c.>",
                "warn a duplicate window of 10 s", "warn nobody tells which streams take f.g",
            ])
        #expect(complaints(StreamFindings.targets([])) == [])
    }

    @Test(arguments: [
        ("a.>", "a.b.c", true), ("a.>", "a.>", true), ("a.*", "a.>", false), ("a.*", "a.*", true), ("*.b", "a.b", true),
        ("a", "a.b", false), ("a.b", "a.*", false), (">", "a.b", true), ("a.b queue", "a.b", true),
        ("a.b.c", "a.b", false),
    ]) func whatAnAllowedPatternCovers(pattern: String, subject: String, isCovered: Bool) {
        #expect(UserPermissions.List.covers(pattern, subject) == isCovered)
    }

    /// As nats-servers from 2.10 on tell it.
    @Test func aServersWordOnAUser() throws {
        let limited = try #require(
            UserPermissions(
                Array(
                    #"{"server":{},"data":{"user":"a","account":"A","permissions":{"publish":{"allow":["x.>"],"deny":["x.y"]},"subscribe":{"deny":["z.>"]}}}}"#
                        .utf8)))
        #expect(limited.publish.permits("x.z") && !limited.publish.permits("x.y") && !limited.publish.permits("x.*"))
        #expect(!limited.publish.permits("b") && limited.subscribe.permits("b") && !limited.subscribe.permits("z.b"))
        let free = try #require(UserPermissions(Array(#"{"data":{"user":"a","account":"A"}}"#.utf8)))
        #expect(free.publish.permits("b") && free.subscribe.permits(">"))
        #expect(UserPermissions(Array(#"{"type":"io.nats.unknown"}"#.utf8)) == nil)
    }

    @Test func whatIsDeniedIsToldOneByOne() throws {
        let needs = PermissionFindings.needs(
            SubjectNames(prefix: "p"), targets: ["cmd.>"], sources: ["orders.*"], missing: ["P_DLQ"], servesHTTP: true,
            token: "t")
        let subjects = needs.map(\.subject)
        #expect(subjects.contains("cmd.>") && subjects.contains("$JS.API.STREAM.CREATE.P_DLQ"))
        #expect(!subjects.contains("$JS.API.STREAM.CREATE.P_EVENTS"))
        // What somebody would take for a real message is not tried.
        for subject in ["cmd.>", "p.evt.>", "p.dlq.>", "p.run.*.*.cancel"] {
            #expect(try #require(needs.first { $0.subject == subject && $0.operation == .publish }).trial == nil)
        }
        #expect(needs.allSatisfy { $0.trial?.contains(where: { $0 == "*" || $0 == ">" }) != true })
        let trials = needs.map { need in
            PermissionTrial(
                need: need,
                outcome: need.trial == nil
                    ? .unknown : ["$SRV.PING", "p.cmd.>"].contains(need.subject) ? .denied : .permitted)
        }
        #expect(
            complaints(PermissionFindings.all(trials)) == [
                "fail the server denies 'p.cmd.>'", "warn the server denies '$SRV.PING'",
                "warn not tried: p.evt.>, p.dlq.>, p.run.*.*.cancel, cmd.>",
            ])
        let well = needs.map { PermissionTrial(need: $0, outcome: .permitted) }
        #expect(PermissionFindings.all(well).map(\.verdict) == [.ok])
    }
}

/// The commands as processes, where servers are away or say nothing.
@Suite struct CareCommandTests {
    private func run(
        _ arguments: [String], _ environment: [String: String]
    ) async throws -> (code: Int32?, text: String) {
        let folder = try Filesystem.makeTemporaryFolder()
        defer { Filesystem.remove(folder) }
        let process = try ChildProcess(
            [TestProgram.path] + arguments, environment: environment, logPath: folder + "/log")
        _ = await process.waitForEnd(.seconds(30))
        return (process.exitCode, Filesystem.tail(folder + "/log", bytes: 1 << 16))
    }

    /// A socket that is listened on, and on which nobody ever answers.
    private struct Silence {
        let handle: Int32
        let port: UInt16

        init() throws {
            handle = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            var size = socklen_t(MemoryLayout<sockaddr_in>.size)
            let handle = self.handle
            let failed = withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                    bind(handle, pointer, size) != 0 || listen(handle, 16) != 0
                        || getsockname(handle, pointer, &size) != 0
                }
            }
            try #require(!failed)
            port = UInt16(bigEndian: address.sin_port)
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func serversThatSayNothingAreNotWaitedForLong() async throws {
        let silence = try Silence()
        defer { close(silence.handle) }
        let (code, text) = try await run(
            ["doctor", "--json"],
            [
                "NATS_URL": "nats://u:s3cret@127.0.0.1:\(silence.port)",
                "DATABASE_URL": "postgres://u:s3cret@127.0.0.1:\(silence.port)/x",
            ])
        let failures = try JSONValue.parse(text)["findings"]?.elements.filter { $0["verdict"]?.string == "fail" } ?? []
        #expect(code == 1, "\(text)")
        #expect(
            failures.map { $0["check"]?.string ?? "?" } == ["postgresql.connection", "nats.connection"], "\(text)")
        #expect(!text.contains("s3cret"))
        let (check, line) = try await run(["healthcheck", "--timeout", "0.2"], ["API_PORT": "\(silence.port)"])
        #expect(check == 1 && line == "carillon: HTTP: no answer within the time limit\n", "\(line)")
    }

    @Test func whatAnInstanceSaysOfItself() {
        typealias Answer = LocalRequest.Answer
        #expect(HealthcheckCommand.fault(in: Answer(status: 200, body: "{}")) == nil)
        #expect(HealthcheckCommand.fault(in: Answer(status: 503, body: #"{"reasons":["a","b"]}"#)) == "a; b")
        #expect(HealthcheckCommand.fault(in: Answer(status: 404, body: "x")) == "HTTP answered with 404")
        let text = "HTTP/1.1 503 Service Unavailable\r\nA: b\r\n\r\n{\"reasons\":[]}"
        #expect(LocalRequest.answer(in: text) == Answer(status: 503, body: "{\"reasons\":[]}"))
        #expect(LocalRequest.answer(in: "SSH-2.0") == nil)
        let away = ["TARGETS_FILE", "API_TOKENS_FILE", "NATS_CREDS", "NATS_TLS_KEY"].map { ($0, "/nowhere") }
        let values = Dictionary(uniqueKeysWithValues: away + [("API_HOST", "0.0.0.0"), ("API_PORT", "8009")])
        let asked = try? HealthcheckCommand.address(in: values)
        #expect(asked?.httpHost == "0.0.0.0" && asked?.httpPort == 8009, "\(values)")
        #expect(throws: Settings.Problems.self) { try HealthcheckCommand.address(in: ["API_HOST": "0.0.0.0"]) }
        #expect(["0.0.0.0", "::", "10.1.2.3"].map { LocalRequest.reachable($0) } == ["127.0.0.1", "::1", "10.1.2.3"])
    }

    @Test func aProgramStartsOnWhatItStands() {
        func problem(_ state: MigrationStatus.State, breaking: Bool) -> String? {
            SchemaGuard.problem(
                MigrationStatus(version: 9, name: "x", state: state, appliedAt: nil, isBreaking: breaking))
        }
        #expect(problem(.applied, breaking: true) == nil)
        #expect(problem(.newer, breaking: false) == nil)
        #expect(problem(.newer, breaking: true)?.contains("run a newer carillon") == true)
        #expect(problem(.pending, breaking: false)?.contains("carillon migrate up") == true)
        #expect(problem(.drifted, breaking: false)?.contains("not its database") == true)
    }
}
