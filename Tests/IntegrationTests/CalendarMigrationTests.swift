import JSONText
import LocalServers
import Migrations
import PostgresClient
import SchedulerStore
import ServiceFixture
import Testing

extension Integration {
    @Suite("The calendars' migration", .timeLimit(.minutes(1))) struct CalendarMigrationTests {
        @Test("Down, what had windows is paused where it stood; up again, it can be resumed")
        func goesDownAndUp() async throws {
            let fixture = try await ServiceFixture.start()
            let instance = try await fixture.startInstance()
            for (name, fields) in [
                ("windowed", #","windows":[{"from":"00:00","to":"24:00"}]"#), ("free", ""),
            ] {
                try await fixture.done(
                    "schedule.create",
                    #"{"name":"\#(name)","schedule_type":"interval","interval_seconds":3600,"target_command":"demo.a","delivery":"core"\#(fields)}"#
                )
            }
            #expect(await instance.stop())
            let migrator = try Schema.migrator(PostgresConfiguration(await fixture.postgres.url(database: "carillon")))
            let status = try await migrator.status()
            let version = try #require(status.first { $0.name == "calendars" }?.version)
            _ = try await migrator.down(to: version - 1)
            let states = """
                SELECT name, state, (resume_from IS NOT NULL)::text, (next_fire_at IS NOT NULL)::text
                FROM scheduler.schedules s JOIN scheduler.timers t ON t.schedule_id = s.id ORDER BY name
                """
            #expect(
                try await fixture.rows(states) == [
                    ["free", "active", "false", "true"], ["windowed", "paused", "true", "false"],
                ])
            _ = try await migrator.up()
            let again = try await fixture.startInstance("again")
            let resumed = try await fixture.done("schedule.resume", #"{"name":"windowed"}"#)
            #expect(resumed.schedule["state"]?.string == "active" && resumed.schedule["windows"]?.count == 0)
            #expect(await again.stop())
            await fixture.stop()
        }
    }
}
