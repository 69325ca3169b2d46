import JSONText
import LocalServers
import NATSClient
import ServiceFixture
import Testing

extension Integration {
    /// Codes that no other test meets on its way; docs/errors.md lists all.
    @Suite("Refusals", .serialized, .timeLimit(.minutes(1))) struct RefusalTests {
        private static let windows = Array(repeating: #"{"from":"08:00","to":"18:00"}"#, count: 51)
            .joined(separator: ",")

        @Test(arguments: [
            ("schedule.list", #"{"cursor":"none of ours"}"#, "10405 /cursor"),
            (
                "schedule.create",
                #"{"schedule_type":"immediate","target_command":"elsewhere.a","delivery":"jetstream"}"#,
                "30405 /target_command"
            ),
            (
                "schedule.create",
                """
                {"schedule_type":"cron","cron_expression":"0 9 * * *","target_command":"demo.js.a","windows":[\(windows)]}
                """, "40413 /windows"
            ),
        ])
        func aCommandIsRefused(command: String, body: String, expected: String) async throws {
            let fixture = try await SharedSystem.running.fixture
            #expect(try await fixture.refused(command, body, in: "refusals") == expected)
        }

        /// The leases' bucket takes nothing: the instance cannot join, says so, and joins as soon as it can.
        @Test func whoHasNoLeaseCarriesNothingOut() async throws {
            let fixture = try await ServiceFixture.start()
            let api = JetStreamAPI(fixture.client)
            func bucket(bytes: Int) -> String {
                """
                {"name":"KV_SCHEDULER_LOCKS","subjects":["$KV.SCHEDULER_LOCKS.>"],"retention":"limits",\
                "storage":"file","discard":"new","max_msgs":-1,"max_bytes":\(bytes),"max_msgs_per_subject":1,"max_age":0,\
                "num_replicas":1,"allow_rollup_hdrs":true,"deny_delete":true}
                """
            }
            _ = try await api.createStream("KV_SCHEDULER_LOCKS", configuration: bucket(bytes: 1))
            let instance = try await fixture.startInstance(waits: false)
            let isRefused = await waitUntil(.seconds(20)) {
                (try? await fixture.command("schedule.list", ""))?["error"]?["err_code"]?.int64 == 50503
            }
            #expect(isRefused, "\(instance.logTail)")
            // Made wider, not deleted: the server may remove the files of a stream that is made anew at that moment.
            _ = try await api.request("STREAM.UPDATE.KV_SCHEDULER_LOCKS", body: Array(bucket(bytes: -1).utf8))
            try await fixture.waitUntilReady(instance)
            #expect(try await fixture.command("schedule.list", "")["error"] == nil)
            #expect(await instance.stop())
            await fixture.stop()
        }

        @Test func helpThatIsAskedForTooMuchSaysSo() async throws {
            let fixture = try await SharedSystem.running.fixture
            let body = #"{"command":"\#(String(repeating: "a", count: 5000))","format":"json"}"#
            let reply = try await fixture.client.request(
                try Subject("scheduler.help"), payload: Array(body.utf8), timeout: .seconds(5))
            #expect(try JSONValue.parse(reply.payload)["error"]?["err_code"]?.int64 == 10413)
            #expect(reply.header("Nats-Service-Error-Code") == "413")
            let unknown = try await fixture.client.request(
                try Subject("scheduler.help"), payload: Array("schedule.crate".utf8), timeout: .seconds(5))
            #expect(String(decoding: unknown.payload, as: UTF8.self).contains("schedule.create"))
            #expect(unknown.header("Nats-Service-Error-Code") == "404")
        }
    }
}
