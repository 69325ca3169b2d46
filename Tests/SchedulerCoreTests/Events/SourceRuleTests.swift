import SchedulerCore
import Testing

@Suite("What schedules may listen to") struct SourceRuleTests {
    private func refusal(_ subject: String, target: String? = nil, by rules: [String] = ["*: app.>"]) throws -> String {
        let sources = try rules.map { line in
            let parts = line.split(separator: ":").map { $0.trimmingPrefix { $0 == " " } }
            return SourceRule(
                namespace: parts[0] == "*" ? nil : try Namespace(String(parts[0])),
                subject: try SubjectPattern(String(parts[1])))
        }
        let rules = TargetRules(rules: [], sources: sources, ownPrefix: "scheduler")
        let (source, namespace) = (try SubjectPattern(subject), try Namespace("billing"))
        let command = try target.map { try TargetSubject($0) }
        do throws(TargetRules.Refusal) {
            try rules.check(source: source, target: command, for: namespace)
            return "allowed"
        } catch { return "\(error.code)" }
    }

    @Test(
        "What an entry covers whole is allowed",
        arguments: [
            ("app.orders", "allowed"), ("app.>", "allowed"), ("app.*.paid", "allowed"), ("app", "sourceNotAllowed"),
            ("other.orders", "sourceNotAllowed"), ("*.orders", "sourceReserved"), (">", "sourceReserved"),
            ("$SYS.>", "sourceReserved"), ("$JS.API.>", "sourceReserved"), ("_INBOX.>", "sourceReserved"),
            ("scheduler.evt.>", "sourceReserved"), ("scheduler", "sourceReserved"),
        ])
    func allows(subject: String, expected: String) throws {
        #expect(try refusal(subject) == expected)
        // No entry makes NATS's own anybody's.
        if expected == "sourceReserved" { #expect(try refusal(subject, by: ["*: >"]) == expected) }
    }

    @Test(
        "A pattern covers what matches it alone",
        arguments: [
            ("a.*", "a.b", true), ("a.*", "a.*", true), ("a.*", "a.>", false), ("a.*", "a.b.c", false),
            ("a.>", "a.>", true), ("a.>", "a.*.c", true), ("a.>", "a", false), ("a.b", "a.*", false),
            ("a.*.c", "a.b.*", false), (">", "a.>", true),
        ])
    func covers(pattern: String, other: String, expected: Bool) throws {
        #expect(try SubjectPattern(pattern).covers(try SubjectPattern(other)) == expected)
    }

    @Test("Entries are a namespace's own, and a schedule must not hear its own command") func belongs() throws {
        #expect(try refusal("app.x", by: ["sales: app.>"]) == "sourceNotAllowed")
        #expect(try refusal("app.x", by: ["sales: app.>", "billing: app.x"]) == "allowed")
        #expect(try refusal("app.*", target: "app.done") == "sourceLoop")
        #expect(try refusal("app.*", target: "cmd.done") == "allowed")
    }
}
