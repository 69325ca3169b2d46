import LocalServers
import SchedulerCore
import SchedulerEngine
import Testing

@testable import carillon

@Suite("TARGETS_FILE while it is watched") struct AllowListTests {
    private static func text(_ subject: String) -> String {
        "targets:\n  - namespace: \"*\"\n    subject: \(subject)\n"
    }

    /// What a look says, in short.
    private func look(_ list: AllowList) -> String {
        switch list.look() {
        case .unchanged: "unchanged"
        case .rules(let rules): rules.rules.map(\.subject.description).joined(separator: " ")
        case .fault(let fault): fault.hasPrefix("expected a readable file") ? "unreadable" : "fault"
        }
    }

    @Test(
        "An edit is noticed once; what is broken or gone is a fault, and its return is told even where nothing changed")
    func looks() throws {
        let folder = try Filesystem.makeTemporaryFolder()
        defer { Filesystem.remove(folder) }
        let path = folder + "/targets.yaml"
        try Filesystem.write(Self.text("a.>"), to: path)
        let settings = try Settings(values: [
            "NATS_URL": "nats://127.0.0.1:1", "DATABASE_URL": "postgres://127.0.0.1:1/x", "TARGETS_FILE": path,
        ])
        let demo = TargetRule(
            namespace: nil, subject: try SubjectPattern("demo.>"), delivery: [.core], maxPayloadBytes: nil)
        let list = try AllowList(settings, always: [demo])
        #expect(list.rules.rules.map(\.subject.description) == ["demo.>", "a.>"])
        #expect(look(list) == "unchanged")
        try Filesystem.write(Self.text("b.>"), to: path)
        #expect([look(list), look(list)] == ["demo.> b.>", "unchanged"])
        try Filesystem.write("targets: [", to: path)
        #expect([look(list), look(list)] == ["fault", "unchanged"])
        Filesystem.remove(path)
        #expect([look(list), look(list)] == ["unreadable", "unreadable"])
        try Filesystem.write(Self.text("b.>"), to: path)
        #expect([look(list), look(list)] == ["demo.> b.>", "unchanged"])
    }

    @Test("Another schema in the file that an entry names is noticed, and so is one that is none")
    func schemas() throws {
        let folder = try Filesystem.makeTemporaryFolder()
        defer { Filesystem.remove(folder) }
        let (path, schema) = (folder + "/targets.yaml", folder + "/a.json")
        try Filesystem.write(Self.text("a.>") + "    payload_schema: a.json\n", to: path)
        try Filesystem.write(#"{"type":"object"}"#, to: schema)
        let list = try AllowList(
            try Settings(values: [
                "NATS_URL": "nats://127.0.0.1:1", "DATABASE_URL": "postgres://127.0.0.1:1/x", "TARGETS_FILE": path,
            ]))
        #expect(look(list) == "unchanged")
        try Filesystem.write(#"{"type":"array"}"#, to: schema)
        guard case .rules(let rules) = list.look() else {
            Issue.record("the other schema was not noticed")
            return
        }
        #expect(rules.rules.payloadProblems(Array("{}".utf8)).count == 1)
        try Filesystem.write(#"{"type":"nonsense"}"#, to: schema)
        #expect([look(list), look(list)] == ["fault", "unchanged"])
        Filesystem.remove(schema)
        #expect(look(list) == "fault")
        try Filesystem.write(#"{"type":"object"}"#, to: schema)
        #expect([look(list), look(list)] == ["a.>", "unchanged"])
    }

    @Test("A fault is told once, kept in mind, and forgotten when the file is whole again")
    func faults() throws {
        let folder = try Filesystem.makeTemporaryFolder()
        defer { Filesystem.remove(folder) }
        let path = folder + "/targets.yaml"
        try Filesystem.write(Self.text("a.>"), to: path)
        let list = try AllowList(
            try Settings(values: [
                "NATS_URL": "nats://127.0.0.1:1", "DATABASE_URL": "postgres://127.0.0.1:1/x", "TARGETS_FILE": path,
            ]))
        let watch = TargetsWatch { list.look() }
        Filesystem.remove(path)
        #expect(watch.look() != nil && watch.look() == nil && watch.fault != nil)
        try Filesystem.write(Self.text("a.>"), to: path)
        #expect(watch.look() != nil && watch.fault == nil)
    }
}
