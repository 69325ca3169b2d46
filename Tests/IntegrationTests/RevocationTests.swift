import JSONText
import LocalServers
import NATSClient
import PostgresClient
import ServiceFixture
import TestSupport
import Testing

extension Integration {
    /// Rights that are taken away while the service runs: it says so, stays, claims nothing, and goes on when it may again.
    @Suite("Rights taken away", .serialized, .timeLimit(.minutes(2))) struct RevocationTests {
        private static func users(service word: String) -> String {
            """
            authorization { users: [
                { user: test, password: "word-test" }, { user: service, password: "\(word)" }
            ] }
            """
        }

        private static func start() async throws -> (ServiceFixture, ServiceInstance) {
            var options = ServiceFixture.Options()
            options.natsConfiguration = users(service: "word-service")
            options.identify = { $0.authentication = .user("test", password: "word-test") }
            options.environment = ["NATS_USER": "service", "NATS_PASSWORD": "word-service"]
            let fixture = try await ServiceFixture.start(options)
            try await fixture.makeStream()
            try await fixture.database.execute(script: "CREATE ROLE service LOGIN IN ROLE carillon_app")
            let url = await fixture.postgres.url(database: "carillon").replacing("postgres@", with: "service@")
            return (fixture, try await fixture.startInstance(environment: ["DATABASE_URL": url]))
        }

        /// How often the log says so.
        private static func count(_ words: String, in instance: ServiceInstance) -> Int {
            Filesystem.tail(instance.logPath, bytes: 4 << 20).split(separator: "\n").count { $0.contains(words) }
        }

        /// Due every second, so that there is something to miss and something to go on with.
        private static func fires(_ fixture: ServiceFixture, _ id: String, after count: Int64) async -> Bool {
            await waitUntil(.seconds(20)) {
                let now = try? await fixture.count(
                    "SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(id)' AND state = 'delivered'")
                return now ?? 0 > count
            }
        }

        private static func delivered(_ fixture: ServiceFixture, _ id: String) async throws -> Int64 {
            try await fixture.count(
                "SELECT count(*) FROM scheduler.executions WHERE schedule_id = '\(id)' AND state = 'delivered'")
        }

        @Test("NATS, then PostgreSQL: told once in the log, not ready, alive, and at work again")
        func revoked() async throws {
            let (fixture, instance) = try await Self.start()
            let id = try await fixture.done(
                "schedule.create",
                #"{"schedule_type":"interval","interval_seconds":0.5,"target_command":"demo.js.r","misfire_policy":"fire_all"}"#
            ).id
            #expect(await Self.fires(fixture, id, after: 0))

            try await fixture.nats.reload(configuration: Self.users(service: "another-word"))
            let isTold = await waitUntil(.seconds(10)) { Self.count("Authorization Violation", in: instance) > 0 }
            #expect(isTold, "\(instance.logTail)")
            await #expect(throws: NATSError.self) {
                try await fixture.client.request(
                    try Subject("scheduler.admin.system.status"), timeout: .milliseconds(500))
            }
            #expect(!instance.process.reap())
            let before = try await Self.delivered(fixture, id)
            try await fixture.nats.reload(configuration: Self.users(service: "word-service"))
            #expect(await Self.fires(fixture, id, after: before), "\(instance.logTail)")
            try await fixture.waitUntilReady(instance)
            #expect(Self.count("the connection to NATS is lost", in: instance) == 1, "\(instance.logTail)")
            #expect(Self.count("connected to NATS again", in: instance) == 1, "\(instance.logTail)")
            #expect(Self.count("word-service", in: instance) == 0)

            try await fixture.database.execute(
                script: """
                    ALTER ROLE service NOLOGIN;
                    SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'service'
                    """)
            let isSaid = await waitUntil(.seconds(15)) { Self.count("not permitted to log in", in: instance) > 0 }
            #expect(isSaid, "\(instance.logTail)")
            let isUnready = await waitUntil(.seconds(15)) {
                guard let status = try? await fixture.statuses().first else { return false }
                return status["ready"]?.bool == false
                    && status.items("reasons").contains {
                        $0.string?.contains("not permitted to log in") == true
                    }
            }
            #expect(isUnready, "\(instance.logTail)")
            #expect(!instance.process.reap())
            let sofar = try await Self.delivered(fixture, id)
            try await fixture.database.execute(script: "ALTER ROLE service LOGIN")
            #expect(await Self.fires(fixture, id, after: sofar), "\(instance.logTail)")
            try await fixture.waitUntilReady(instance)
            #expect(await instance.stop())
            await fixture.stop()
        }
    }
}
