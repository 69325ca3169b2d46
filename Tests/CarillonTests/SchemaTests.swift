import JSONText
import Recurrence
import SchedulerCore
import SchedulerWire
import Testing

@testable import carillon

/// The files of `schemas/` describe what is published, member by member.
@Suite struct SchemaTests {
    private func schema(_ path: String) throws -> JSONValue {
        try JSONValue.parse(try #require(CommandLineEnvironment.contents(of: "schemas/" + path), "\(path)"))
    }

    /// Every member that an object has is described, every required one is there, constants and choices agree.
    private func expect(_ object: JSONValue, fits schema: JSONValue, _ place: String) throws {
        let properties = try #require(schema["properties"])
        for member in object.members {
            let rule = try #require(properties[member.name], "\(place).\(member.name) is not described")
            if let constant = rule["const"]?.string { #expect(member.value.string == constant, "\(place)") }
            if let choices = rule["enum"] {
                #expect(choices.elements.contains { $0.string == member.value.string }, "\(place).\(member.name)")
            }
            switch rule["type"]?.string {
            case "string": #expect(member.value.kind == .string, "\(place).\(member.name)")
            case "integer": #expect(member.value.int64 != nil, "\(place).\(member.name)")
            case "object": try expect(member.value, fits: rule, "\(place).\(member.name)")
            default: break
            }
        }
        for name in try #require(schema["required"]).elements {
            let name = try #require(name.string)
            #expect(object[name] != nil, "\(place).\(name) is required")
        }
    }

    private func expect(_ event: EventText) throws {
        let body = try JSONValue.parse(event.body)
        let path = try #require(body["dataschema"]?.string)
        try expect(body, fits: schema(String(path.dropFirst("carillon:schemas/".count))), event.type.description)
    }

    @Test(arguments: ["created", "updated", "paused", "resumed", "deleted", "exhausted", "invalidated"])
    func aSchedulesEventFitsItsSchema(action: String) throws {
        var random = SystemRandomNumberGenerator()
        let now = try #require(Instant(rfc3339: "2026-11-21T09:00:00Z"))
        let change = ScheduleChange(
            auditID: 1, at: now, schedule: ScheduleID(.version7(at: now, random: &random)), name: "a",
            namespace: "demo",
            action: action, fence: 3, version: 2, actor: "b", reason: "c", requestID: "d")
        try expect(try #require(EventText(change, source: "/carillon/scheduler")))
    }

    @Test(arguments: [
        CommandOutcome.Verdict.accepted(.applied), .accepted(.repeated), .accepted(.rehearsed),
        .rejected(WireError(.invalidValue, "a", details: [WireError.Detail(.root.appending("b"), "c")])),
    ])
    func aSubmittedCommandsEventFitsItsSchema(verdict: CommandOutcome.Verdict) throws {
        let now = try #require(Instant(rfc3339: "2026-11-21T09:00:00Z"))
        let outcome = CommandOutcome(
            noun: "schedule", verb: "create", subject: "scheduler.submit.demo.schedule.create", sequence: 7,
            verdict: verdict)
        let change = ScheduleChange(
            auditID: 1, at: now, schedule: nil, name: nil, namespace: "demo", action: outcome.event.event, fence: 0,
            version: nil, actor: "b", reason: nil, requestID: "d", outcome: outcome.text)
        let event = try #require(EventText(change, source: "/carillon/scheduler"))
        #expect(event.subject(prefix: "p") == "p.evt.demo.schedule.\(outcome.event.event)._")
        try expect(event)
    }

    @Test(arguments: [ExecutionState.delivered, .dead, .skipped, .cancelled], ScheduleType.allCases)
    func anExecutionsEventFitsItsSchema(state: ExecutionState, type: ScheduleType) throws {
        for count in [Int64(1), 20] { try checkExecution(state: state, trigger: Timing(type: type).trigger, count) }
    }

    private func checkExecution(state: ExecutionState, trigger: Trigger, _ count: Int64) throws {
        var random = SystemRandomNumberGenerator()
        let now = try #require(Instant(rfc3339: "2026-11-21T09:00:00Z"))
        let schedule = ScheduleID(.version7(at: now, random: &random))
        let occurrence = Occurrence(
            schedule: schedule, generation: 1, origin: .time, scheduledFor: now, ordinal: 0)
        var execution = Execution(
            id: occurrence.executionID, schedule: schedule, scheduledFor: now, dueAt: now, state: state, origin: .time,
            trigger: trigger, generation: 1, scheduleVersion: 1, attempt: 1, fence: 1, claimedAt: now)
        execution.firedAt = state == .skipped ? nil : now
        execution.outcome = "uncertain"
        execution.reason = state == .skipped ? "misfire" : state == .delivered ? nil : "uncertain"
        if state == .skipped, count > 1 {
            execution.rangeFrom = now
            execution.rangeCount = count
        }
        try expect(
            EventText(
                ExecutionEvent(
                    execution, scheduleName: "a", namespace: "demo",
                    payloadSHA256: String(repeating: "a", count: 64), finishedAt: now), source: "/carillon/scheduler"))
    }

    @Test(arguments: [
        EventType.systemStarted, .memberJoined, .memberLost, .systemStopping, .clockSkew, .tzdataChanged, .auditSealed,
    ])
    func aSystemsEventFitsItsSchema(type: EventType) throws {
        let now = try #require(Instant(rfc3339: "2026-11-21T09:00:00Z"))
        var random = SystemRandomNumberGenerator()
        try expect(
            EventText(
                system: type, instance: InstanceID(.version7(at: now, random: &random)).description, name: "one",
                at: now,
                detail: "d", source: "/carillon/scheduler"))
    }

    @Test func theAllowListsSchemaHasTheFieldsThatAreRead() throws {
        let entry = try #require(try schema("targets.v1.json")["properties"]?["targets"]?["items"])
        let described = Set(try #require(entry["properties"]).members.map(\.name))
        #expect(
            described == ["namespace", "subject", "delivery", "max_payload_bytes", "max_in_flight", "payload_schema"])
        let source = try #require(try schema("targets.v1.json")["properties"]?["sources"]?["items"])
        #expect(Set(try #require(source["properties"]).members.map(\.name)) == ["namespace", "subject"])
    }

    @Test func theSettingsDocumentationNamesEverySetting() throws {
        let text = try #require(CommandLineEnvironment.contents(of: "docs/settings.md"))
        for name in SettingName.allCases { #expect(text.contains("`\(name.rawValue)`"), "\(name.rawValue)") }
    }

}
