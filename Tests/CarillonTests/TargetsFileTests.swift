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
            """, ownPrefix: "scheduler")
        #expect(file.problems.isEmpty)
        #expect(file.rules.rules.count == 2)
        #expect(file.rules.rules[0].namespace == (try Namespace("billing")))
        #expect(file.rules.rules[0].delivery == [.core])
        #expect(file.rules.rules[0].maxPayloadBytes == 65536)
        #expect(file.rules.rules[1].namespace == nil)
        #expect(file.rules.rules[1].delivery == [.jetstream])
        #expect(file.rules.rules[1].maxPayloadBytes == nil)
    }

    @Test func anEmptyListAllowsNothing() {
        let file = TargetsFile.read("targets: []", ownPrefix: "scheduler")
        #expect(file.problems.isEmpty)
        #expect(file.rules.rules.isEmpty)
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
                payload_schema: x.json
            """, ownPrefix: "scheduler")
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
        let file = TargetsFile.read(text, ownPrefix: "scheduler")
        #expect(file.rules.rules.isEmpty)
        #expect(file.problems.count == 1)
        #expect(file.problems.first?.contains("\n") == false)
    }
}
