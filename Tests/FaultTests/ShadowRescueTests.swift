import JSONText
import LocalServers
import NATSClient
import PostgresClient
import Recurrence
import SchedulerEngine
import ServiceFixture
import TestSupport
import Testing

/// An instance dies between the claim and the publish, and its schedules come into the shadow, or out of it, before
/// somebody takes over what it held: what was claimed before the switch was promised as it was.
@Suite(.serialized) struct ShadowRescueTests {
    /// One schedule that is due at the moment at which the victim dies, and what commands make of it then.
    private struct Case: Sendable {
        let name: String
        let delivery: Load.Delivery
        var guarantee = "at_least_once"
        let isShadow: Bool
        let edits: [String]
        /// State and reason of its one execution, where it was not sent and where it may have been.
        let end: String

        var subject: String { "demo.\(delivery == .jetstream ? "js" : delivery.rawValue).rescue.\(name)" }
    }

    private static let into = #""shadow":true"#
    private static let out = #""shadow":false"#
    private static let once = "at_most_once"

    /// Two edits take twice as long: each waits two seconds for a claimant that does not answer.
    private static let cases = all.filter { TestForm.isLong || $0.edits.count == 1 }
    private static let all = [
        Case(name: "into", delivery: .jetstream, isShadow: false, edits: [into], end: "delivered"),
        Case(name: "into-core", delivery: .core, isShadow: false, edits: [into], end: "delivered"),
        Case(
            name: "into-once", delivery: .core, guarantee: once, isShadow: false, edits: [into],
            end: "dead uncertain"),
        Case(name: "back", delivery: .jetstream, isShadow: false, edits: [into, out], end: "delivered"),
        Case(name: "out", delivery: .jetstream, isShadow: true, edits: [out], end: "skipped shadow"),
        Case(name: "out-once", delivery: .core, guarantee: once, isShadow: true, edits: [out], end: "skipped shadow"),
        Case(name: "forth", delivery: .jetstream, isShadow: true, edits: [out, into], end: "skipped shadow"),
        // In shadow before and after: nobody sent it, so nobody is in doubt.
        Case(
            name: "edited", delivery: .core, guarantee: once, isShadow: true, edits: [#""description":"x""#],
            end: "skipped shadow"),
    ]

    private func make(_ fixture: ServiceFixture) async throws -> [String: String] {
        let at = Instant(milliseconds: wallMilliseconds() + 2000).rfc3339
        var ids: [String: String] = [:]
        for one in Self.cases {
            let reply = try await fixture.command(
                "schedule.create",
                """
                {"name":"\(one.name)","schedule_type":"once","run_at":"\(at)","target_command":"\(one.subject)",\
                "delivery":"\(one.delivery)","guarantee":"\(one.guarantee)","shadow":\(one.isShadow)}
                """)
            ids[one.name] = reply["schedule"]?["id"]?.string
            #expect(ids[one.name] != nil, "\(String(decoding: reply.bytes, as: UTF8.self))")
        }
        return ids
    }

    /// Each reply names what it can no longer reach: nobody answers for it.
    private func edit(_ ids: [String: String], _ fixture: ServiceFixture) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for one in Self.cases {
                group.addTask {
                    let id = ids[one.name] ?? ""
                    for change in one.edits {
                        let reply = try await fixture.command(
                            "schedule.update", #"{"id":"\#(id)",\#(change)}"#, timeout: .seconds(20))
                        let named = reply["in_flight"].map { $0.elements.compactMap(\.string) } ?? []
                        #expect(named.count == 1, "\(one.name): \(String(decoding: reply.bytes, as: UTF8.self))")
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    static let points: [FailPoint] = TestForm.isLong ? [.publishing, .published] : [.publishing]

    @Test(.timeLimit(.minutes(1)), arguments: points)
    func whatWasClaimedBeforeTheSwitchStaysWhatItWas(_ point: FailPoint) async throws {
        let fixture = try await ServiceFixture.start()
        try await fixture.makeStream()
        let fired = try FiredMessages("demo.*.rescue.>", on: fixture.client)
        let victim = try await fixture.startInstance("victim", environment: ["CARILLON_FAIL_AT": point.rawValue])
        let ids = try await make(fixture)
        #expect(await victim.process.waitForEnd(.seconds(10)), "the victim did not reach \(point.rawValue)")
        let open = "SELECT count(*) FROM scheduler.executions WHERE state = 'claimed'"
        let claimed = try await fixture.count(open)
        #expect(claimed == Int64(Self.cases.count), "they are due at once")

        // While somebody holds the journal nobody takes its claims over, and commands go their way.
        let holder = try PostgresConnection(PostgresConfiguration(await fixture.postgres.url(database: "carillon")))
        let survivor = try await holder.transaction(deadline: .now + .seconds(40)) { transaction in
            try await transaction.execute(script: "SELECT 1 FROM scheduler.claims FOR UPDATE")
            let survivor = try await fixture.startInstance("survivor")
            try await edit(ids, fixture)
            #expect(try await fixture.count(open) == claimed, "something was rescued before its time")
            return survivor
        }
        await holder.close()
        #expect(await waitUntil(.seconds(15)) { (try? await fixture.count(open)) == 0 }, "\(survivor.logTail)")
        try await check(ids, fired, point, fixture)
        fired.cancel()
        #expect(await survivor.stop())
        await fixture.stop()
    }

    private func check(
        _ ids: [String: String], _ fired: FiredMessages, _ point: FailPoint, _ fixture: ServiceFixture
    ) async throws {
        let rows = try await fixture.rows(
            "SELECT schedule_id::text, state || coalesce(' ' || reason, '') FROM scheduler.executions")
        let stored = try await fixture.messages(of: "DEMO").map(\.subject)
        try await fixture.client.flush()
        for one in Self.cases {
            #expect(rows.filter { $0[0] == ids[one.name] }.map { $0[1] } == [one.end], "\(one.name)")
            let copies = fired.all.count { $0.subject == one.subject }
            switch one.end {
            case "delivered":
                #expect(copies == 1 || copies == 2 && point == .published, "\(one.name): \(copies)")
                if one.delivery == .jetstream { #expect(stored.count { $0 == one.subject } == 1, "\(one.name)") }
            case "skipped shadow": #expect(copies == 0, "\(one.name)")
            default: #expect(copies <= 1 && (copies == 0 || point == .published), "\(one.name)")
            }
        }
    }
}
