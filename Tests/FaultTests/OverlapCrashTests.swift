import JSONText
import LocalServers
import NATSClient
import PostgresClient
import ServiceFixture
import Testing

/// `kill -9` of the instance that has just opened what waited for a place.
@Suite(.serialized) struct OverlapCrashTests {
    @Test(
        "What a killed instance had opened from the buffer is published once, and those behind it have their turns",
        .timeLimit(.minutes(1)))
    func loses() async throws {
        let system = try await SharedSystem.shared.started()
        let reply = try await system.command(
            "schedule.create",
            """
            {"name":"opened","schedule_type":"interval","interval_seconds":3600,"completion":"report",\
            "target_command":"demo.js.opened","overlap_policy":"buffer"}
            """)
        let id = reply["schedule"]?["id"]?.string ?? "none"
        let victim = try await system.startInstance(
            "victim", environment: ["CARILLON_FAIL_AT": "buffer.opened"])
        for _ in 0..<15 { _ = try await system.command("schedule.trigger", #"{"name":"opened"}"#) }
        let open = "SELECT count(*) FROM scheduler.runs WHERE schedule_id = '\(id)' AND state = 'delivered'"
        let ended = "SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(id)' AND finished_at IS NOT NULL"
        let isThrough = await waitUntil(.seconds(40)) {
            guard let count = try? await system.count(open), count > 0 else {
                return (try? await system.count(ended)) == 15
            }
            #expect(count == 1)
            _ = try? await system.database.execute(
                script: """
                    SELECT 1 FROM scheduler.timers WHERE schedule_id = '\(id)' FOR UPDATE;
                    WITH ended AS (DELETE FROM scheduler.runs WHERE schedule_id = '\(id)' AND state = 'delivered'
                        RETURNING execution_id)
                    UPDATE scheduler.executions e SET state = 'succeeded', finished_at = now()
                    FROM ended WHERE e.id = ended.execution_id
                    """)
            return false
        }
        #expect(isThrough)
        #expect(await victim.process.waitForEnd(.seconds(1)), "the victim opened too little")
        let messages = try await system.messages(of: "DEMO").filter { $0.subject == "demo.js.opened" }
        let ids = messages.compactMap { $0.header("Scheduler-Execution-Id") }
        #expect(ids.count == 15 && Set(ids).count == 15)
        _ = try await system.command("schedule.delete", #"{"name":"opened"}"#)
    }
}
