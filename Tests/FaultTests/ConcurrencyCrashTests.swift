import JSONText
import LocalServers
import NATSClient
import PostgresClient
import ServiceFixture
import Testing

/// `kill -9` of the instance that has just given places of a limit to those that waited.
@Suite(.serialized) struct ConcurrencyCrashTests {
    @Test(
        "A killed instance keeps no place of a limit: what it opened is published once, and all have their turns",
        .timeLimit(.minutes(1)))
    func loses() async throws {
        let system = try await SharedSystem.shared.started()
        let victim = try await system.startInstance("keyed", environment: ["CARILLON_FAIL_AT": "buffer.opened"])
        let count = 12
        for number in 0..<count {
            _ = try await system.command(
                "schedule.create",
                """
                {"name":"keyed\(number)","schedule_type":"interval","interval_seconds":3600,"completion":"report",\
                "target_command":"demo.js.keyed","concurrency_key":"keyed"}
                """)
            let reply = try await system.command("schedule.trigger", #"{"name":"keyed\#(number)"}"#)
            #expect((reply["execution"] != nil) == (number == 0) && (reply["waiting"] != nil) == (number > 0))
        }
        let held = "scheduler.runs WHERE concurrency_key LIKE '%/keyed'"
        let ended = """
            SELECT count(*) FROM scheduler.executions e JOIN scheduler.schedules s ON s.id = e.schedule_id
            WHERE s.name LIKE 'keyed%' AND e.state = 'succeeded'
            """
        let isThrough = await waitUntil(.seconds(40)) {
            #expect(((try? await system.count("SELECT count(*) FROM \(held)")) ?? 0) <= 1)
            guard (try? await system.count("SELECT count(*) FROM \(held) AND state = 'delivered'")) == 1 else {
                return (try? await system.count(ended)) == Int64(count)
            }
            _ = try? await system.database.execute(
                script: """
                    SELECT 1 FROM scheduler.timers WHERE schedule_id IN (SELECT schedule_id FROM \(held))
                    ORDER BY schedule_id FOR UPDATE;
                    WITH ended AS (DELETE FROM \(held) AND state = 'delivered' RETURNING execution_id)
                    UPDATE scheduler.executions e SET state = 'succeeded', finished_at = now()
                    FROM ended WHERE e.id = ended.execution_id
                    """)
            return false
        }
        #expect(isThrough)
        #expect(await victim.process.waitForEnd(.seconds(1)), "the victim opened too little")
        let messages = try await system.messages(of: "DEMO").filter { $0.subject == "demo.js.keyed" }
        let ids = messages.compactMap { $0.header("Scheduler-Execution-Id") }
        #expect(ids.count == count && Set(ids).count == count)
        for number in 0..<count { _ = try await system.command("schedule.delete", #"{"name":"keyed\#(number)"}"#) }
    }
}
