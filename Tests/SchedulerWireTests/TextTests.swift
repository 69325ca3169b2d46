import JSONText
import Recurrence
import SchedulerCore
import SchedulerWire
import Testing

private let now = Instant(milliseconds: 1_795_219_200_000)
private let scheduleID = ScheduleID(UUIDValue(high: 0x0190_B2C3_D4E5_7001, low: 0x8123_4567_89AB_CDEF))

private func execution(_ state: ExecutionState) -> Execution {
    let occurrence = Occurrence(schedule: scheduleID, generation: 1, scheduledFor: now)
    return Execution(
        id: occurrence.executionID, schedule: scheduleID, scheduledFor: now, dueAt: now.adding(milliseconds: 20),
        state: state, origin: .time, trigger: .cron, generation: 1, scheduleVersion: 3, attempt: 1, fence: 8,
        claimedAt: now)
}

private func text(_ execution: Execution, at instant: Instant = now) -> EventText {
    EventText(
        ExecutionEvent(
            execution, scheduleName: "n", namespace: "test", payloadSHA256: "abc", finishedAt: instant),
        source: "/carillon/scheduler")
}

@Suite("Events of executions and schedules") struct EventTextTests {
    @Test("A delivered execution, attribute by attribute")
    func delivered() throws {
        var delivered = execution(.delivered)
        delivered.firedAt = now.adding(milliseconds: 23)
        delivered.missedCount = 4
        let event = text(delivered)
        #expect(event.subject(prefix: "scheduler") == "scheduler.evt.test.execution.delivered.\(scheduleID)")
        let body = try JSONValue.parse(event.body)
        #expect(body["id"]?.string == event.id && body["type"]?.string == "io.carillon.execution.v1.delivered")
        #expect(body["source"]?.string == "/carillon/scheduler" && body["subject"]?.string == scheduleID.description)
        #expect(body["sequence"]?.string == "00000000000000000008.0050")
        let data = try #require(body["data"])
        #expect(data["lateness_ms"]?.int64 == 3 && data["missed_count"]?.int64 == 4 && data["attempt"]?.int64 == 1)
        #expect(data["status"]?.string == "delivered" && data["trigger"]?.string == "cron")
        #expect(data["payload_sha256"]?.string == "abc" && data["command_payload"] == nil && data["payload"] == nil)
        #expect(data["execution_id"]?.string == delivered.id.description)
    }

    @Test("A range of skips says from where, and how many")
    func ranges() throws {
        var skipped = execution(.skipped)
        skipped.reason = "paused"
        skipped.rangeFrom = now.adding(milliseconds: -5000)
        skipped.rangeCount = 50
        let data = try #require(try JSONValue.parse(text(skipped).body)["data"])
        #expect(data["count"]?.int64 == 50 && data["range_from"]?.string == "2026-11-20T23:59:55.000000Z")
        #expect(data["reason"]?.string == "paused" && data["fired_at"] == nil && data["lateness_ms"] == nil)
    }

    @Test("The id is a hash of execution, attempt and state: told again it is the same, whenever that is")
    func ids() {
        let first = text(execution(.delivered))
        #expect(text(execution(.delivered), at: now.adding(milliseconds: 999)).id == first.id)
        #expect(text(execution(.dead)).id != first.id && text(execution(.skipped)).id != first.id)
        #expect(UUIDValue(text: first.id) != nil)
    }

    @Test(
        "A change of a schedule, by its entry in the audit log",
        arguments: ["created", "updated", "paused", "resumed", "deleted", "exhausted", "invalidated"])
    func changes(action: String) throws {
        func change(_ audit: Int64) -> ScheduleChange {
            ScheduleChange(
                auditID: audit, at: now, schedule: scheduleID, name: "n", namespace: "test", action: action, fence: 5,
                version: 2, actor: "ann", reason: "why", requestID: "r1")
        }
        let event = try #require(EventText(change(1), source: "/s"))
        let body = try JSONValue.parse(event.body)
        #expect(body["type"]?.string == "io.carillon.schedule.v1.\(action)")
        #expect(body["sequence"]?.string == "00000000000000000005.\(action == "exhausted" ? "0099" : "0000")")
        #expect(body["data"]?["actor"]?.string == "ann" && body["data"]?["request_id"]?.string == "r1")
        #expect(event.subject(prefix: "p") == "p.evt.test.schedule.\(action).\(scheduleID)")
        #expect(
            EventText(change(2), source: "/s")?.id != event.id && EventText(change(1), source: "/s")?.id == event.id)
    }

    @Test("An action that no event is called by makes none")
    func unknownChanges() {
        let change = ScheduleChange(
            auditID: 1, at: now, schedule: nil, name: nil, namespace: "t", action: "vanished", fence: 0, version: nil,
            actor: nil, reason: nil, requestID: nil)
        #expect(EventText(change, source: "/s") == nil)
    }
}

@Suite("A schedule as JSON") struct ScheduleJSONTests {
    /// What a reply shows can be sent back as the body of a create: the service's own fields apart, nothing is lost.
    @Test(
        "A round trip keeps every field",
        arguments: [
            #"{"schedule_type":"immediate","target_command":"demo.a"}"#,
            #"{"schedule_type":"interval","interval_seconds":0.25,"target_command":"demo.a","priority":0,"tags":["x"],"spread_seconds":0.125}"#,
            #"{"schedule_type":"once","run_at":"2027-01-01T00:00:00.5Z","target_command":"demo.a","command_payload":{"a": 1.50, "b":[ ]},"command_headers":{"X-Ü":"x"}}"#
                .replacing("X-Ü", with: "X-U"),
            #"{"schedule_type":"rrule","rrule":"RRULE:FREQ=DAILY;BYHOUR=9\nEXDATE:20261224T090000","start_at":"2026-11-21T08:00:00Z","timezone":"Europe/Vienna","target_command":"demo.a"}"#,
            #"{"name":"n","description":"\u0007 \"q\"","schedule_type":"cron","cron_expression":"0 9 * * MON","timezone":"Europe/Vienna","dst_policy":"literal","start_at":"2026-01-01T00:00:00Z","end_at":"2036-01-01T00:00:00Z","max_runs":7,"target_command":"demo.b","delivery":"core","misfire_policy":"fire_all","misfire_grace_seconds":1.5,"catchup_window_seconds":0,"catchup_limit":0,"max_retries":0,"retry_delay_seconds":0.1,"retry_max_delay_seconds":2,"retry_max_age_seconds":3,"pause_after_failures":4,"start_timeout_seconds":1.5,"run_timeout_seconds":60,"heartbeat_timeout_seconds":5,"overlap_policy":"allow","max_in_flight":2,"metadata":{"k":"v"},"delete_when_exhausted":true,"shadow":true}"#,
        ])
    func roundTrips(text: String) throws {
        let first = try read(text)
        var writer = JSONWriter(capacity: 1024)
        let schedule = Schedule(
            id: scheduleID, namespace: try Namespace("test"), definition: first, version: 4, anchor: now,
            createdAt: now, createdBy: "ann", updatedAt: now)
        writer.value(
            ScheduleView(
                schedule: schedule, timer: Timer(schedule: scheduleID, nextFireAt: now, runCount: 3), nextFires: [now]))
        let shown = try JSONValue.parse(writer.bytes)
        #expect(shown["id"]?.string == scheduleID.description && shown["version"]?.int64 == 4)
        #expect(shown["run_count"]?.int64 == 3 && shown["next_fire_at"]?.string == now.rfc3339)
        #expect(shown["next_fires"].map { $0.elements.map(\.string) } == [now.rfc3339])
        let fields = Set(DefinitionReader.fields)
        var again = JSONWriter(capacity: 1024)
        again.object { writer in
            for member in shown.members where fields.contains(member.name) {
                writer.name(dynamic: member.name)
                writer.value(member.value)
            }
        }
        #expect(try read(again.text) == first)
    }

    @Test("What does not fire shows no next fire", arguments: [ScheduleState.paused, .exhausted, .invalid])
    func showsState(state: ScheduleState) throws {
        let definition = try read(#"{"schedule_type":"immediate","target_command":"demo.a"}"#)
        var schedule = Schedule(
            id: scheduleID, namespace: try Namespace("test"), definition: definition, state: state, anchor: now,
            createdAt: now, updatedAt: now)
        schedule.pauseReason = "why"
        var writer = JSONWriter(capacity: 1024)
        writer.value(ScheduleView(schedule: schedule, timer: Timer(schedule: scheduleID, nextFireAt: now)))
        let shown = try JSONValue.parse(writer.bytes)
        #expect(shown["next_fire_at"] == nil && shown["state"]?.string == state.rawValue)
        #expect(shown["pause_reason"]?.string == "why" && shown["next_fires"] == nil)
    }

    private func read(_ text: String) throws -> ScheduleDefinition {
        let zones: ZoneLookup = { name throws(ZoneError) in .utc }
        var reader = DefinitionReader(
            BodyReader(try JSONValue.parse(Array(text.utf8))), defaults: DefinitionDefaults(), zones: zones)
        let reading = reader.read(onto: nil, idName: try ScheduleName("the-id"))
        return try #require(reading.definition, "\(reading.body.problems)")
    }
}
