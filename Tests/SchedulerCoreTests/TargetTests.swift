import JSONSchema
import SchedulerCore
import Testing

@Suite("Subjects that may be published on") struct TargetTests {
    @Test(
        "Well-formed targets",
        arguments: [
            "a", "demo.js.a", "cmd.billing.run-1", "x.$y", "my_INBOX.a", "_INBOXES.a", "a.b_c",
            String(repeating: "a", count: 255),
        ])
    func accepts(subject: String) throws {
        #expect(try TargetSubject(subject).description == subject)
    }

    @Test(
        "Refused whatever the allow-list says",
        arguments: [
            ("", false), (".", false), ("a.", false), (".a", false), ("a..b", false), ("a b", false), ("a\tb", false),
            ("a\r\nPUB x 0", false), ("a\nb", false), ("a\u{0}b", false), ("a.*", false), ("*", false), (">", false),
            ("a.>", false), ("a.b*", false), ("a.>b", false), ("dämo.a", false), ("demo\u{200B}.a", false),
            (String(repeating: "a", count: 256), false), ("$JS.API.STREAM.DELETE.X", true), ("$SYS.REQ", true),
            ("$KV.SCHEDULER_LOCKS.x", true), ("$", true), ("_INBOX", true), ("_INBOX.x.y", true),
        ])
    func refuses(subject: String, isReserved: Bool) {
        #expect {
            try TargetSubject(subject)
        } throws: {
            ($0 as? NameError)?.isReserved == isReserved
        }
    }

    @Test(
        "Patterns match as NATS does",
        arguments: [
            ("demo.>", "demo.a", true), ("demo.>", "demo.a.b", true), ("demo.>", "demo", false),
            ("demo.*", "demo.a", true), ("demo.*", "demo.a.b", false), ("demo.*", "demo", false),
            ("*.a", "demo.a", true), ("demo.a", "demo.a", true), ("demo.a", "demo.A", false), (">", "x", true),
            ("demo.>", "demonstration.a", false), ("a.*.c", "a.b.c", true), ("a.*.c", "a.b.d", false),
        ])
    func matches(pattern: String, subject: String, expected: Bool) throws {
        #expect(try SubjectPattern(pattern).matches(subject) == expected)
    }

    @Test("Malformed patterns", arguments: ["", "a.", "a..b", "a.>.b", "a.b*", ">a", "a b.>", "a.\r\n"])
    func refusesPatterns(pattern: String) {
        #expect(throws: NameError.self) { try SubjectPattern(pattern) }
    }

    private func rules() throws -> TargetRules {
        let billing = try Namespace("billing")
        return TargetRules(
            rules: [
                TargetRule(
                    namespace: nil, subject: try SubjectPattern("demo.>"), delivery: [.core], maxPayloadBytes: 8),
                TargetRule(
                    namespace: billing, subject: try SubjectPattern("cmd.billing.*"), delivery: [.jetstream],
                    maxPayloadBytes: nil),
                TargetRule(
                    namespace: billing, subject: try SubjectPattern("demo.big"), delivery: [.core, .jetstream],
                    maxPayloadBytes: 100),
                TargetRule(namespace: nil, subject: try SubjectPattern(">"), delivery: [], maxPayloadBytes: nil),
            ], ownPrefix: "scheduler")
    }

    @Test(
        "The first rule that allows it is enough; the refusal says what is missing",
        arguments: [
            ("billing", "cmd.billing.run", Delivery.jetstream, 10_000, nil),
            ("billing", "demo.x", .core, 8, nil), ("billing", "demo.big", .core, 100, nil),
            ("other", "demo.big", .core, 9, .payloadTooLarge), ("billing", "demo.big", .core, 101, .payloadTooLarge),
            ("other", "cmd.billing.run", .jetstream, 1, .delivery), ("other", "demo.x", .jetstream, 1, .delivery),
            ("billing", "scheduler.cmd.billing.schedule.create", .core, 1, .reserved),
            ("billing", "scheduler", .core, 1, .reserved), ("billing", "schedulers.x", .core, 1, .delivery),
        ] as [(String, String, Delivery, Int, TargetRules.Refusal.Code?)])
    func decides(
        namespace: String, subject: String, delivery: Delivery, bytes: Int, expected: TargetRules.Refusal.Code?
    ) throws {
        var code: TargetRules.Refusal.Code?
        do {
            try rules().check(
                try TargetSubject(subject), delivery: delivery, payloadBytes: bytes, for: try Namespace(namespace))
        } catch let refusal as TargetRules.Refusal { code = refusal.code }
        #expect(code == expected)
    }

    @Test("What is not named is not allowed, and a namespace sees its own rules and everybody's")
    func isAnAllowList() throws {
        let rules = TargetRules(rules: Array(try rules().rules.dropLast()), ownPrefix: "scheduler")
        #expect {
            try rules.check(
                try TargetSubject("cmd.billing.run"), delivery: .jetstream, payloadBytes: 0, for: try Namespace("other")
            )
        } throws: {
            ($0 as? TargetRules.Refusal)?.code == .notAllowed
        }
        #expect(rules.visible(to: try Namespace("other")).map(\.subject.description) == ["demo.>"])
        #expect(rules.visible(to: try Namespace("billing")).count == 3)
    }

    @Test("A payload need satisfy one of the rules that allow its target; a rule without a schema takes any")
    func schemas() throws {
        func rule(_ schema: String?, most: Int? = nil) throws -> TargetRule {
            var rule = TargetRule(
                namespace: nil, subject: try SubjectPattern("a.>"), delivery: [.core], maxPayloadBytes: most)
            rule.payloadSchema = try schema.map { try CompiledSchema(Array($0.utf8)) }
            return rule
        }
        let numbers = try rule(#"{"type": "number"}"#)
        let short = try rule(#"{"maxLength": 2, "type": "string"}"#, most: 10)
        func problems(_ rules: [TargetRule], _ payload: String) throws -> [String] {
            let allowing = try TargetRules(rules: rules, ownPrefix: "scheduler").check(
                try TargetSubject("a.b"), delivery: .core, payloadBytes: payload.utf8.count,
                for: try Namespace("test"))
            return allowing.payloadProblems(Array(payload.utf8)).map(\.message)
        }
        #expect(try problems([numbers, short], "1").isEmpty)
        #expect(try problems([numbers, short], #""ab""#).isEmpty)
        #expect(try problems([numbers, short], #""abc""#) == ["expected a number, got a string"])
        #expect(try problems([numbers, rule(nil)], #""abc""#).isEmpty)
        #expect(try problems([numbers, rule(nil, most: 4)], #""abc""#) == ["expected a number, got a string"])
        let same = try rule(#"{"type": "number"}"#)
        #expect(numbers != short && numbers == same, "rules are told apart by the text")
    }
}
