import Recurrence
import SchedulerCore
import Testing

@Suite("Targets allowed by file and by command") struct TargetEntryTests {
    private func entry(
        _ namespace: String?, _ subject: String, _ delivery: [String] = ["core"], most: Int? = nil,
        schema: String? = nil, at: Int64 = 0
    ) throws -> TargetEntry {
        TargetEntry(
            namespace: try namespace.map { text throws(NameError) in try Namespace(text) },
            subject: try SubjectPattern(subject), delivery: delivery, maxPayloadBytes: most,
            payloadSchema: schema.map { Array($0.utf8) }, createdAt: Instant(milliseconds: at), createdBy: nil)
    }

    @Test("The allow-list is the union: what either allows is allowed, and a way of delivery nobody knows is of no use")
    func union() throws {
        let file = TargetRules(
            rules: [
                TargetRule(
                    namespace: nil, subject: try SubjectPattern("demo.>"), delivery: [.core], maxPayloadBytes: 10)
            ], ownPrefix: "scheduler")
        let rules = file.joined(with: [
            try entry("a", "cmd.*", ["core", "request"]), try entry(nil, "demo.big", most: 100),
        ])
        func isAllowed(_ target: String, _ bytes: Int, _ namespace: String, _ delivery: Delivery = .core) throws -> Bool
        {
            do {
                try rules.check(
                    try TargetSubject(target), delivery: delivery, payloadBytes: bytes, for: try Namespace(namespace))
                return true
            } catch is TargetRules.Refusal { return false }
        }
        #expect(try isAllowed("demo.x", 10, "b") && isAllowed("demo.big", 100, "b") && isAllowed("cmd.x", 999, "a"))
        #expect(try !isAllowed("demo.x", 11, "b") && !isAllowed("cmd.x", 1, "b") && !isAllowed("demo.big", 101, "b"))
        #expect(try !isAllowed("cmd.x", 1, "a", .jetstream))
        // No entry reaches the scheduler's own subjects.
        #expect(try !file.joined(with: [entry(nil, ">")]).rules.isEmpty && !isAllowed("scheduler.cmd.x", 1, "a"))
    }

    @Test("What a narrower list no longer has")
    func missing() throws {
        let before = TargetRules(
            rules: try [entry("a", "x.>"), entry(nil, "y.*", most: 10), entry("b", "z")].compactMap(\.rule),
            ownPrefix: "s")
        let after = TargetRules(
            rules: try [entry("b", "z"), entry(nil, "y.*", most: 9), entry("c", "new")].compactMap(\.rule),
            ownPrefix: "s")
        #expect(before.missing(in: after).map(\.subject.description) == ["x.>", "y.*"])
        #expect(before.missing(in: before).isEmpty)
    }

    @Test("Two entries say the same whoever made them and when; another schema, limit or delivery is a change")
    func says() throws {
        let first = try entry("a", "x", schema: #"{"type":"object"}"#)
        #expect(first.says(try entry("a", "x", schema: #"{"type":"object"}"#, at: 99)))
        #expect(try !first.says(entry("a", "x")) && !first.says(entry("a", "x", ["jetstream"])))
        #expect(try !entry("a", "x").says(entry("a", "x", most: 1)))
        #expect(try !entry("a", "x", ["core"]).says(entry("a", "x", ["core", "request"])))
    }

    @Test(
        "What all subjects of a pattern begin with",
        arguments: [
            ("a.b", "a.b", true), ("a.>", "a.", false), ("a.*.c", "a.", false), (">", "", false), ("*", "", false),
            ("*.a", "", false), ("a.b.*", "a.b.", false),
        ])
    func prefixes(pattern: String, prefix: String, isLiteral: Bool) throws {
        let pattern = try SubjectPattern(pattern)
        #expect(pattern.literalPrefix == prefix && pattern.isLiteral == isLiteral)
    }
}
