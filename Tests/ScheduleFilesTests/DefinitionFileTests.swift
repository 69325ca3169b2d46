import JSONText
import LocalServers
import Recurrence
import SchedulerCore
import Testing
import ZoneData

@testable import ScheduleFiles

@Suite struct DefinitionFileTests {
    static let check: DefinitionCheck = {
        let zones = ZoneDatabase()
        return DefinitionCheck(
            zones: { name throws(ZoneError) in try zones.rules(for: name) },
            now: Instant(milliseconds: 1_795_000_000_000))
    }()

    private static func problems(_ text: String, _ reading: DefinitionFile.Reading = .init()) -> [String] {
        var file = DefinitionFile(reading)
        file.read(text, file: "f")
        return (file.problems + file.items.flatMap { check.problems(of: $0) }).map(\.description)
    }

    private static let good = "schedule_type: interval, interval_seconds: 5, target_command: demo.x"

    @Test func whatIsFollowedComesFirst() {
        func waves(_ text: String) -> [[String]] {
            var file = DefinitionFile(DefinitionFile.Reading())
            file.read(text, file: "f")
            return FollowOrder.waves(of: file.items).map { $0.map { file.items[$0].name } }
        }
        func line(_ name: String, _ after: String = "") -> String {
            "- {name: \(name), \(Self.good)\(after.isEmpty ? "" : ", after: \(after)")}\n"
        }
        let chain = line("c", "{any: [{schedule: b}, {schedule: elsewhere}]}") + line("b", "{schedule: a}") + line("a")
        #expect(waves("schedules:\n" + chain + line("d", "{all: [{schedule: a}]}")) == [["a"], ["b", "d"], ["c"]])
        // What the service refuses comes last, and is lost nowhere.
        let ring = line("p", "{schedule: q}") + line("q", "{schedule: p}") + line("r", "3")
        #expect(waves("schedules:\n" + ring) == [["r"], ["p", "q"]])
    }

    @Test func theExampleIsValid() throws {
        let parts = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
        let path = parts.joined(separator: "/") + "/examples/schedules.yaml"
        let text = Filesystem.tail(path, bytes: 1 << 20)
        #expect(Self.problems(text) == [])
        var file = DefinitionFile(DefinitionFile.Reading(owner: "docs"))
        file.read(text, file: path)
        #expect(
            file.items.map { "\($0.namespace?.description ?? "-")/\($0.name)" } == [
                "demo/nightly-report", "demo/heartbeat", "demo/spring-cleaning",
            ])
        let first = try JSONValue.parse(file.items[0].body)
        #expect(first["cron_expression"]?.string == "30 2 * * MON-FRI" && first["namespace"] == nil)
        #expect(
            first["command_payload"].map { String(decoding: $0.bytes, as: UTF8.self) }
                == #"{"report":"nightly","columns":["name","total"],"limit":500}"#)
        #expect(first["metadata"]?["carillon-owner"]?.string == "docs")
    }

    struct Case: Sendable, CustomTestStringConvertible {
        let text: String
        /// The beginning of each problem.
        let problems: [String]
        var testDescription: String { text }
    }

    @Test(arguments: [
        Case(text: "{name: a, \(good)}", problems: []),
        Case(text: #"{"name":"a","schedule_type":"immediate","target_command":"x"}"#, problems: []),
        Case(
            text: "name: 123\nschedule_type: immediate\ntarget_command: x",
            problems: [
                "f:1: document 1, /name: is required in a file: a text in quotes or without, got number: write it in quotes"
            ]),
        Case(text: "schedules:\n- [1]", problems: ["f:2: document 1, /schedules/0: expected a definition"]),
        Case(
            text: "schedules:\n- {\(good)}\n- {name: b, \(good), colour: red}",
            problems: [
                "f:2: document 1, /schedules/0/name: is required in a file",
                "f:3: document 1, schedule 'b', /schedules/1/colour: is not a field",
            ]),
        Case(
            text:
                "schedules:\n- name: a\n  schedule_type: cron\n  cron_expression: 61 * * * *\n  description: 5\n  target_command: a.*\n  x: 1",
            problems: [
                "f:6: document 1, schedule 'a', /schedules/0/target_command: expected a subject without wildcards",
                "f:5: document 1, schedule 'a', /schedules/0/description: expected a string, got a number: write it in quotes",
                "f:4: document 1, schedule 'a', /schedules/0/cron_expression: The minute field",
                "f:7: document 1, schedule 'a', /schedules/0/x: is not a field",
            ]),
        Case(
            text:
                "{name: a, schedule_type: cron, cron_expression: 0 0 * * *, timezone: Mars/Olympus, target_command: x}",
            problems: ["f:1: document 1, schedule 'a', /timezone: "]),
        Case(
            text: "{name: a, schedule_type: cron, cron_expression: 0 0 30 2 *, target_command: x}",
            problems: ["f:1: document 1, schedule 'a', /cron_expression: "]),
        Case(
            text:
                "{name: a, schedule_type: cron, cron_expression: 0 0 * * *, end_at: \"2020-01-01T00:00:00Z\", target_command: x}",
            problems: ["f:1: document 1, schedule 'a', /schedule_type: has no occurrence"]),
        Case(text: "[1]", problems: ["f:1: document 1: expected a definition"]),
        Case(text: "schedules: 3", problems: ["f:1: document 1, /schedules: expected a list"]),
        Case(text: "schedules: []\nowner: x", problems: ["f:2: document 1, /owner: is no field beside"]),
        Case(
            text: "{name: a, namespace: a.b, \(good)}",
            problems: ["f:1: document 1, schedule 'a', /namespace: expected a namespace"]),
        Case(
            text: "{name: a, \(good)}\n---\nname: a\nschedule_type: immediate\ntarget_command: x",
            problems: ["f:3: document 2, schedule 'a', /name: stands in the files twice, first in f:1"]),
    ]) func eachFaultHasItsPlace(expected: Case) {
        let problems = Self.problems(expected.text)
        #expect(problems.count == expected.problems.count, "\(problems)")
        for beginning in expected.problems { #expect(problems.contains { $0.hasPrefix(beginning) }, "\(problems)") }
    }

    @Test func theCommandLineAndTheFileDoNotContradictEachOther() throws {
        let reading = DefinitionFile.Reading(namespace: try Namespace("one"), owner: "me")
        #expect(Self.problems("{name: a, namespace: one, \(Self.good)}", reading) == [])
        #expect(Self.problems("{name: a, namespace: two, \(Self.good)}", reading).count == 1)
        #expect(Self.problems("{name: a, metadata: {carillon-owner: me, k: v}, \(Self.good)}", reading) == [])
        #expect(Self.problems("{name: a, metadata: {carillon-owner: you}, \(Self.good)}", reading).count == 1)
        // Another namespace, another schedule.
        #expect(
            Self.problems("{name: a, namespace: x, \(Self.good)}\n---\n{name: a, namespace: z, \(Self.good)}") == [])
    }

    @Test func thePlanSaysWhatChanges() throws {
        let reply = try JSONValue.parse(
            #"{"outcome":"updated","changes":[{"pointer":"/cron_expression","from":"0 2 * * *","to":"0 3 * * *"},{"pointer":"/max_runs","from":null,"to":3}]}"#
        )
        let namespace = try Namespace("n")
        let update = try #require(PlannedChange(reply: reply, namespace: namespace, name: "a"))
        #expect(update.line == #"~ update n/a: cron_expression "0 2 * * *" → "0 3 * * *", max_runs nothing → 3"#)
        let plan = [
            update, PlannedChange(.create, namespace: namespace, name: "b"),
            PlannedChange(.unchanged, namespace: namespace, name: "c"),
            PlannedChange(.delete, namespace: namespace, name: "d"),
        ]
        #expect(plan.map(\.line).dropFirst() == ["+ create n/b", "= unchanged n/c", "- delete n/d"])
        #expect(plan.summary == "1 to create, 1 to update, 1 unchanged, 1 to delete" && !plan.isEmptyPlan)
        #expect([plan[2]].isEmptyPlan)
        #expect(PlannedChange(reply: try JSONValue.parse("{}"), namespace: namespace, name: "a") == nil)
    }

    @Test func onlyTheOwnersSchedulesAreOrphans() throws {
        let page = try JSONValue.parse(
            #"{"schedules":[{"id":"1","name":"kept","version":1,"metadata":{"carillon-owner":"me"}},{"id":"2","name":"gone","version":7,"metadata":{"carillon-owner":"me"}},{"id":"3","name":"other","version":1,"metadata":{"carillon-owner":"you"}},{"id":"4","name":"plain","version":1,"metadata":{}}]}"#
        )
        #expect(
            ListedSchedule.orphans(in: page, of: "me", notIn: ["kept"]) == [
                ListedSchedule(id: "2", name: "gone", version: 7)
            ])
    }

    @Test func whatIsWrittenAsYAMLIsReadAsItWas() throws {
        let text =
            #"{"a":[1,-0.5,1e3,1.5E-3,null,true,"yes","01","é\u0085\u2028\u200b\ud83d\ude00 \"q\" \\ \t\u0000"],"k: #":{}}"#
        let value = try JSONValue.parse(text)
        let documents = SourceDocument.read("v: " + YAMLText.flow(value), file: "f")
        #expect(documents.problems == [])
        let read = try #require(documents.documents.first?.value["v"])
        #expect(
            read["a"]?.elements.map { $0.string ?? String($0.double ?? -1) }
                == value["a"]?.elements.map { $0.string ?? String($0.double ?? -1) })
        #expect(read["k: #"]?.kind == .object)
    }
}

@Suite struct BackupFileTests {
    private static func lines() throws -> [[UInt8]] {
        var writer = BackupWriter()
        var text = writer.header(try JSONValue.parse(#"{"exported_at":"t","counts":{"schedule":2}}"#), namespace: nil)
        text += writer.line(try JSONValue.parse(#"{"kind":"schedule","id":1}"#))
        text += writer.line(try JSONValue.parse(#"{"kind":"schedule","id":2}"#))
        text += writer.end()
        return text.split(separator: UInt8(ascii: "\n")).map { Array($0) }
    }

    private static func fault(_ lines: [[UInt8]]) -> String {
        do {
            var reader = BackupReader()
            for line in lines { _ = try reader.read(line) }
            try reader.finish()
            return "fine, \(reader.count)"
        } catch { return "\(error)" }
    }

    @Test func aWholeFileIsRead() throws { #expect(Self.fault(try Self.lines()) == "fine, 2") }

    @Test func aFileThatWasCutOrChangedIsNoticed() throws {
        let lines = try Self.lines()
        #expect(Self.fault(Array(lines.dropLast())).contains("was cut off"))
        #expect(Self.fault([]).contains("was cut off"))
        #expect(Self.fault(lines.enumerated().filter { $0.offset != 1 }.map(\.element)).contains("expected 2 records"))
        var changed = lines
        changed[1] = Array(#"{"kind":"schedule","id":3}"#.utf8)
        #expect(Self.fault(changed).contains("SHA-256"))
        #expect(Self.fault(lines + [lines[1]]).contains("nothing after the end"))
        #expect(Self.fault(Array(lines.dropFirst())).contains("line 1: expected the header"))
        #expect(Self.fault([Array(#"{"carillon_backup":2}"#.utf8)]).contains("expected format 1, got 2"))
        #expect(Self.fault([lines[0], Array("nonsense".utf8)]).contains("line 2: expected a JSON object"))
    }
}
