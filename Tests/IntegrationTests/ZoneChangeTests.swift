import Foundation
import JSONText
import LocalServers
import NATSClient
import ServiceFixture
import Testing

extension Integration {
    @Suite("Changed zone data", .serialized, .timeLimit(.minutes(3))) struct ZoneChangeTests {
        /// A folder of three zones that the test can change, as an upgrade of tzdata would.
        private struct ZoneFolder {
            let url = FileManager.default.temporaryDirectory.appending(path: "zones-\(UUID().uuidString)")

            init() throws {
                for area in ["Europe", "Asia", "America"] {
                    try FileManager.default.createDirectory(
                        at: url.appending(path: area), withIntermediateDirectories: true)
                }
                for name in ["Europe/Berlin", "Europe/Paris", "Asia/Tokyo"] { try put(name, as: name) }
                try release("2031b")
            }

            func release(_ version: String) throws {
                let zones = ["Europe/Berlin", "Europe/Paris", "Asia/Tokyo"].map { "Z \($0) 0 - X\n" }.joined()
                try Data("# version \(version)\n\(zones)".utf8)
                    .write(to: url.appending(path: "tzdata.zi"), options: .atomic)
            }

            func put(_ name: String, as place: String) throws {
                try Data(contentsOf: URL(filePath: "/usr/share/zoneinfo/\(name)"))
                    .write(to: url.appending(path: place), options: .atomic)
            }
        }

        private func hour(of name: String, on fixture: ServiceFixture) async throws -> String? {
            try await fixture.rows(
                """
                SELECT to_char(t.next_fire_at AT TIME ZONE 'UTC', 'HH24') FROM scheduler.timers t
                JOIN scheduler.schedules s ON s.id = t.schedule_id WHERE s.name = '\(name)'
                """)[0][0]
        }

        private func systemEvents(_ event: String, on fixture: ServiceFixture) async throws -> [String] {
            try await fixture.messages(of: "SCHEDULER_EVENTS")
                .filter { $0.subject.contains("._system.system.\(event).") }
                .map { try JSONValue.parse($0.payload)["data"]?["detail"]?.string ?? "" }
        }

        private func create(_ name: String, _ timing: String, on fixture: ServiceFixture) async throws -> String {
            try await fixture.done(
                "schedule.create", #"{"name":"\#(name)","target_command":"demo.js.zone",\#(timing)}"#, in: "zones"
            ).id
        }

        @Test("The next fires of a changed zone move while the service runs, and no others; one event tells")
        func moves() async throws {
            let folder = try ZoneFolder()
            defer { try? FileManager.default.removeItem(at: folder.url) }
            var options = ServiceFixture.Options()
            options.environment["TZDIR"] = folder.url.path
            let fixture = try await ServiceFixture.start(options)
            try await fixture.makeStream()
            let one = try await fixture.startInstance("one")
            let two = try await fixture.startInstance("two")
            let daily = #""schedule_type":"cron","cron_expression":"0 9 * * *","timezone""#
            _ = try await create("berlin", daily + #":"Europe/Berlin""#, on: fixture)
            _ = try await create("paris", daily + #":"Europe/Paris""#, on: fixture)
            _ = try await create("utc", daily + #":"UTC""#, on: fixture)
            let often = try await create(
                "often",
                #""schedule_type":"cron","cron_expression":"* * * * * *","timezone":"Europe/Berlin""#, on: fixture)
            let paris = try await hour(of: "paris", on: fixture)
            #expect(try await hour(of: "berlin", on: fixture) == paris && ["07", "08"].contains(paris))
            try folder.put("Asia/Tokyo", as: "Europe/Berlin")
            #expect(await waitUntilEqual("00") { try await hour(of: "berlin", on: fixture) })
            #expect(try await hour(of: "paris", on: fixture) == paris)
            #expect(try await hour(of: "utc", on: fixture) == "09")
            // Both instances answer by the new rules once they have looked.
            #expect(
                await waitUntilEqual(Array(repeating: "T00:00", count: 6)) {
                    var previews: [String] = []
                    for _ in 0..<6 {
                        let reply = try await fixture.done(
                            "schedule.preview", #"{"name":"berlin","count":1}"#, in: "zones")
                        previews.append(String(reply.items("fires")[0]["at"]?.string?.dropFirst(10).prefix(6) ?? ""))
                    }
                    return previews
                })
            #expect(await waitUntilEqual(1) { try await systemEvents("tzdata_changed", on: fixture).count })
            let told = try await systemEvents("tzdata_changed", on: fixture)
            #expect(told.first?.contains("1 zones changed, 1 schedules fire at another time") == true, "\(told)")
            #expect(try await systemEvents("started", on: fixture).count == 2)
            // What fired all the while has no gap and nothing twice.
            let gaps = """
                SELECT count(*) FROM (SELECT scheduled_for - lag(scheduled_for) OVER (ORDER BY id) AS step
                FROM scheduler.executions WHERE schedule_id = '\(often)') s WHERE step <> interval '1 second'
                """
            #expect(try await fixture.count(gaps) == 0)
            for instance in [one, two] { #expect(await instance.stop()) }
            try await startsWithAnother(folder, fixture)
            await fixture.stop()
        }

        /// A newer release holds from the start of an instance that has it; an older one changes nothing.
        private func startsWithAnother(_ folder: ZoneFolder, _ fixture: ServiceFixture) async throws {
            try folder.release("2031a")
            try folder.put("America/New_York", as: "Europe/Berlin")
            let old = try await fixture.startInstance("old")
            #expect(await waitUntil(.seconds(10)) { old.logTail.contains("older than what timers") })
            #expect(try await hour(of: "berlin", on: fixture) == "00")
            #expect(await old.stop())
            try folder.release("2031c")
            let new = try await fixture.startInstance("new")
            #expect(await waitUntilEqual(true) { ["13", "14"].contains(try await hour(of: "berlin", on: fixture)) })
            #expect(await waitUntilEqual(2) { try await systemEvents("tzdata_changed", on: fixture).count })
            let told = try await systemEvents("tzdata_changed", on: fixture)
            #expect(told.last?.hasPrefix("tzdata 2031b to 2031c") == true, "\(told)")
            #expect(try await fixture.rows("SELECT version FROM scheduler.zone_data") == [["2031c"]])
            #expect(await new.stop())
        }

        private func waitUntilEqual<Value: Equatable & Sendable>(
            _ expected: Value, _ value: () async throws -> Value?
        ) async -> Bool {
            await waitUntil(.seconds(40)) { (try? await value()) == expected }
        }
    }
}
