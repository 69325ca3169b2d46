import JSONSchema
import LocalServers
import SchedulerCore
import Testing

@testable import carillon

@Suite struct TargetsFileTests {
    @Test func entriesBecomeRulesInTheirOrder() throws {
        let file = TargetsFile.read(
            """
            targets:
              - namespace: billing
                subject: cmd.billing.>
                delivery: [core, request]
                max_payload_bytes: 65536
              - namespace: "*"
                subject: demo.*
            """, at: "targets.yaml", ownPrefix: "scheduler")
        #expect(file.problems.isEmpty)
        #expect(file.rules.rules.count == 2)
        #expect(file.rules.rules[0].namespace == (try Namespace("billing")))
        #expect(file.rules.rules[0].delivery == [.core, .request])
        #expect(file.rules.rules[0].maxPayloadBytes == 65536)
        #expect(file.rules.rules[1].namespace == nil)
        #expect(file.rules.rules[1].delivery == [.jetstream])
        #expect(file.rules.rules[1].maxPayloadBytes == nil)
    }

    @Test func anEmptyListAllowsNothing() {
        let file = TargetsFile.read("targets: []", at: "targets.yaml", ownPrefix: "scheduler")
        #expect(file.problems.isEmpty)
        #expect(file.rules.rules.isEmpty)
    }

    @Test func sourcesSayWhoMayListen() throws {
        let file = TargetsFile.read(
            """
            targets: []
            sources:
              - namespace: billing
                subject: orders.>
              - namespace: "*"
                subject: open.*
              - subject: a..b
                delivery: [core]
            """, at: "targets.yaml", ownPrefix: "scheduler")
        #expect(
            file.rules.sources == [
                SourceRule(namespace: try Namespace("billing"), subject: try SubjectPattern("orders.>")),
                SourceRule(namespace: nil, subject: try SubjectPattern("open.*")),
            ])
        #expect(
            file.problems.map { String($0.prefix { $0 != ":" }) }.sorted() == [
                "sources[2].delivery", "sources[2].namespace", "sources[2].subject",
            ])
        let none = TargetsFile.read("targets: []\nsources: all", at: "targets.yaml", ownPrefix: "scheduler")
        #expect(none.problems == ["expected 'sources:' with a list of entries"])
    }

    @Test func everyProblemNamesItsEntryAndField() {
        let file = TargetsFile.read(
            """
            targets:
              - namespace: "*"
                subject: demo.>
              - subject: a..b
                delivery: pigeon
              - namespace: billing
                subject: cmd.>
                delivery: [pigeon]
                max_payload_bytes: -1
                colour: red
                payload_schema: nowhere/x.json
            """, at: "targets.yaml", ownPrefix: "scheduler")
        #expect(file.rules.rules.count == 1)
        let places = file.problems.map { $0.prefix { $0 != ":" } }
        #expect(
            places.sorted() == [
                "targets[1].delivery", "targets[1].namespace", "targets[1].subject", "targets[2].colour",
                "targets[2].delivery", "targets[2].max_payload_bytes", "targets[2].payload_schema",
            ])
        #expect(file.problems.contains { $0.hasPrefix("targets[2].delivery:") && $0.contains("(line 8)") })
    }

    @Test(arguments: ["", "targets: 3", "- a", "targets: [", "targets:\n  - x"]) func whatIsNoListIsOneLine(
        text: String
    ) {
        let file = TargetsFile.read(text, at: "targets.yaml", ownPrefix: "scheduler")
        #expect(file.rules.rules.isEmpty)
        #expect(file.problems.count == 1)
        #expect(file.problems.first?.contains("\n") == false)
    }

    @Test func aSchemaIsReadBesideTheFile() throws {
        let folder = try Filesystem.makeTemporaryFolder()
        defer { Filesystem.remove(folder) }
        try Filesystem.write(#"{"maximum": 3}"#, to: folder + "/good.json")
        try Filesystem.write(#"{"items": {"type": "strin"}, "pattern": "("}"#, to: folder + "/bad.json")
        try Filesystem.write(#"{"$ref": "http://example.com/schema"}"#, to: folder + "/remote.json")
        try Filesystem.write("{", to: folder + "/none.json")
        func read(_ schema: String) -> TargetsFile.Reading {
            TargetsFile.read(
                "targets:\n  - {namespace: \"*\", subject: demo.>, payload_schema: \(schema)}",
                at: folder + "/targets.yaml", ownPrefix: "scheduler")
        }
        for name in ["good.json", folder + "/good.json"] {
            let rule = try #require(read(name).rules.rules.first)
            #expect(rule.payloadSchema?.validate(Array("4".utf8)).count == 1)
            #expect(rule == read("good.json").rules.rules.first, "the same by its text")
        }
        for (name, words) in [
            ("bad.json", "/items/type: expected one of"), ("remote.json", "nothing is fetched"),
            ("none.json", "at byte 1"), ("missing.json", "a readable file"), ("[1]", "expected the path"),
        ] {
            let file = read(name)
            #expect(file.rules.rules.isEmpty && file.problems.count == 1)
            let problem = try #require(file.problems.first)
            #expect(problem.hasPrefix("targets[0].payload_schema: ") && problem.contains(words), "\(problem)")
            #expect(!problem.contains("\n"))
        }
    }

    @Test func aBadSchemaStopsTheStart() async throws {
        let folder = try Filesystem.makeTemporaryFolder()
        defer { Filesystem.remove(folder) }
        try Filesystem.write(#"{"type": 3}"#, to: folder + "/bad.json")
        try Filesystem.write(
            "targets:\n  - {namespace: \"*\", subject: demo.>, payload_schema: bad.json}", to: folder + "/targets.yaml")
        let process = try ChildProcess(
            [TestProgram.path, "serve"],
            environment: ["TARGETS_FILE": folder + "/targets.yaml", "DATABASE_URL": "postgres://127.0.0.1:1/x"],
            logPath: folder + "/log")
        #expect(await process.waitForEnd(.seconds(20)))
        let lines = Filesystem.tail(folder + "/log").split(separator: "\n")
        #expect(lines.count == 1 && lines[0].contains("TARGETS_FILE: targets[0].payload_schema: "), "\(lines)")
    }
}
