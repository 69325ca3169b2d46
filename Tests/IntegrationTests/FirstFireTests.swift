import JSONText
import LocalServers
import ServiceFixture
import Testing

@Suite(.serialized) struct FirstFireTests {
    @Test(.timeLimit(.minutes(1))) func anImmediateScheduleFiresOnceAndIsRecorded() async throws {
        let fixture = try await ServiceFixture.start()
        try await fixture.makeStream()
        let instance = try await fixture.startInstance()
        let fired = try FiredMessages("demo.>", on: fixture.client)
        let reply = try await fixture.command(
            "schedule.create", #"{"schedule_type":"immediate","target_command":"demo.js.a"}"#)
        #expect(reply["error"] == nil)
        #expect(await waitUntil(.seconds(5)) { fired.count == 1 })
        let isRecorded = await waitUntil(.seconds(5)) {
            (try? await fixture.count("SELECT count(*) FROM scheduler.executions WHERE state = 'delivered'")) == 1
        }
        #expect(isRecorded)
        let isSettled = await waitUntil(.seconds(5)) {
            (try? await fixture.count("SELECT count(*) FROM scheduler.claims")) == 0
        }
        #expect(isSettled)
        #expect(try await fixture.messages(of: "DEMO").count == 1)
        #expect(await instance.stop())
        await fixture.stop()
    }
}
