import JSONText
import LocalServers
import Logging
import NATSClient
import PostgresClient
import SchedulerAPI
import ServiceFixture
import Synchronization
import TestSupport
import Testing

@testable import carillon

/// The page of metrics of a service on real servers. The service runs in this process: nobody asks it over HTTP.
@Suite struct MetricsTests {
    private let namespace = "metrics"

    /// A service in this process, and its page.
    private struct Measured: Sendable {
        let fixture: ServiceFixture
        let page: MetricsPage

        func lines() async -> [String] {
            String(decoding: await page.text(), as: UTF8.self).split(separator: "\n").map(String.init)
        }

        /// The values of one metric by its labels, as they stand in its lines.
        func values(_ name: String) async -> [String: Double] {
            var values: [String: Double] = [:]
            for line in await lines() where line.hasPrefix(name) {
                let rest = line.dropFirst(name.count)
                guard let space = rest.lastIndex(of: " "), rest.first == "{" || rest.first == " " else { continue }
                values[String(rest[..<space])] = Double(rest[rest.index(after: space)...])
            }
            return values
        }
    }

    /// Runs a service on servers of its own while `body` runs.
    private func withService(_ body: (Measured) async throws -> Void) async throws {
        let fixture = try await ServiceFixture.start()
        try await fixture.makeStream()
        let settings = try Settings(values: [
            "NATS_URL": await fixture.nats.url, "DATABASE_URL": await fixture.postgres.url(database: "carillon"),
            "SERVICE_NAME": "measured", "TARGETS_FILE": fixture.folder + "/targets.yaml", "LOCK_TIMEOUT_SECONDS": "2",
            "LOG_LEVEL": "critical",
        ])
        let stop = StopRequest()
        let logger = settings.logger(label: "carillon")
        let composition = Composition(
            settings: settings, allowList: try AllowList(settings), tokens: try TokenList.board(settings),
            logger: logger)
        let page = Mutex<MetricsPage?>(nil)
        let services = try await composition.services(stop) { made in page.withLock { $0 = made } }
        let measured = Measured(fixture: fixture, page: try #require(page.withLock { $0 }))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await ServiceRun.run(services, stop: stop, logger: logger) }
            do {
                try #require(await waitUntil(.seconds(20)) { (try? await isReady(fixture)) ?? false })
                try await body(measured)
            } catch {
                await stop.request()
                throw error
            }
            await stop.request()
            try await group.waitForAll()
        }
        await fixture.stop()
    }

    private func isReady(_ fixture: ServiceFixture) async throws -> Bool {
        try await fixture.statuses().first?["ready"]?.bool ?? false
    }

    private func make(_ measured: Measured, _ name: String, _ fields: String) async throws {
        let reply = try await measured.fixture.command(
            "schedule.create", #"{"name":"\#(name)",\#(fields)}"#, namespace: namespace)
        try #require(reply["error"] == nil, "\(String(decoding: reply.bytes, as: UTF8.self))")
    }

    /// The ledger's ends, as the page names them.
    private func ledger(_ fixture: ServiceFixture) async throws -> [String: Double] {
        let rows = try await fixture.rows(
            """
            SELECT '{status="' || state || '",type="' || trigger || '"}', sum(range_count)::text
            FROM scheduler.executions
            WHERE state IN ('succeeded', 'dead', 'cancelled', 'skipped') OR (state = 'delivered' AND NOT tracked)
            GROUP BY 1
            """)
        return Dictionary(rows.compactMap { row in row[0].map { ($0, row[1].flatMap(Double.init) ?? 0) } }) { $1 }
    }

    private let far = #""schedule_type":"interval","interval_seconds":86400,"misfire_policy":"skip""#

    /// Makes a schedule of each kind that ends in its own way, and fires them.
    private func workload(_ measured: Measured) async throws {
        let fixture = measured.fixture
        try await make(
            measured, "ticks", #""schedule_type":"interval","interval_seconds":0.1,"target_command":"demo.js.ticks""#)
        try await make(
            measured, "asks", far + #","target_command":"demo.asks","delivery":"request","completion":"reply""#)
        try await make(
            measured, "unheard",
            far + #","target_command":"demo.nobody","delivery":"request","completion":"reply","max_retries":0"#)
        try await make(
            measured, "late",
            #""schedule_type":"interval","interval_seconds":60,"start_at":"2026-01-01T00:00:00Z","misfire_policy":"skip","target_command":"demo.js.late""#
        )
        let connection = fixture.client
        let answers = try connection.subscribe(try SubjectFilter("demo.asks")) { message in
            guard let reply = try? Subject(String(decoding: message.reply, as: UTF8.self)) else { return }
            _ = try? connection.publish(reply, payload: Array("{}".utf8))
        }
        defer { answers.cancel() }
        for name in ["asks", "unheard", "ticks"] {
            _ = try await fixture.command("schedule.trigger", #"{"name":"\#(name)"}"#, namespace: namespace)
        }
        // Nobody was there for an hour and a half.
        try await fixture.database.execute(
            script: """
                UPDATE scheduler.timers SET next_fire_at = next_fire_at - interval '90 minutes'
                WHERE schedule_id = (SELECT id FROM scheduler.schedules WHERE name = 'late')
                """)
        _ = try await fixture.client.request(try Subject("scheduler.admin.system.nonsense"), timeout: .seconds(5))
        _ = try await fixture.command("schedule.get", #"{"name":"nobody"}"#, namespace: namespace)
        let isOver = await waitUntil(.seconds(15)) {
            let ends = await measured.values("scheduler_executions_total")
            return ends[#"{status="succeeded",type="manual"}"#] == 1 && ends[#"{status="dead",type="manual"}"#] == 1
                && ends[#"{status="delivered",type="interval"}"#] ?? 0 >= 10
                && ends[#"{status="skipped",type="interval"}"#] ?? 0 >= 80
        }
        let lines = await measured.lines().joined(separator: "\n")
        try #require(isOver, "\(lines)")
        _ = try await fixture.command("schedule.pause", #"{"name":"ticks"}"#, namespace: namespace)
    }

    @Test(.timeLimit(.minutes(1))) func thePageSaysWhatTheLedgerSays() async throws {
        try await withService { measured in
            try await workload(measured)
            let fixture = measured.fixture
            let isSettled = await waitUntil(.seconds(10)) {
                guard let ledger = try? await ledger(fixture) else { return false }
                return await measured.values("scheduler_executions_total") == ledger
            }
            let ends = await measured.values("scheduler_executions_total")
            let rows = try await ledger(fixture)
            #expect(isSettled, "\(ends) \(rows)")
            let delivered = ends.filter { $0.key.contains("delivered") }.values.reduce(0, +)
            #expect(await measured.values("scheduler_lateness_seconds_count") == ["": delivered + 1])
            #expect(await measured.values("scheduler_execution_duration_seconds_count") == ["": 1])
            #expect(
                await measured.values("scheduler_misfires_total") == [
                    "": ends[#"{status="skipped",type="interval"}"#] ?? 0
                ])
            let commands = await measured.values("scheduler_commands_total")
            #expect(commands[#"{code="200",noun="schedule",verb="create"}"#] == 4)
            #expect(commands[#"{code="200",noun="schedule",verb="trigger"}"#] == 3)
            #expect(commands[#"{code="404",noun="schedule",verb="get"}"#] == 1)
            #expect(commands[#"{code="404",noun="unknown",verb="unknown"}"#] == 1)
            let schedules = await measured.values("scheduler_schedules")
            #expect(schedules == [#"{state="active",type="interval"}"#: 4])
            for (name, expected) in [
                ("scheduler_ready", 1), ("scheduler_members", 1), ("scheduler_share_partitions", 256),
                ("scheduler_lock_timeouts_total", 0), ("scheduler_nats_reconnects_total", 0),
            ] as [(String, Double)] {
                #expect(await measured.values(name) == ["": expected], "\(name)")
            }
            // Its own lease, and that of the role that applies submitted commands.
            #expect(await waitUntil(.seconds(5)) { await measured.values("scheduler_locks_acquired_total") == ["": 2] })
            #expect(await measured.values("scheduler_build_info") == [#"{version="\#(Carillon.version)"}"#: 1])
            try await Promtool.check(metrics: await measured.page.text())
            try await loses(measured)
        }
    }

    /// NATS stands still for longer than a lease, and comes back: the instance says so, and counts it.
    private func loses(_ measured: Measured) async throws {
        let nats = measured.fixture.nats
        await nats.pause()
        let isOut = await waitUntil(.seconds(15)) {
            let timeouts = await measured.values("scheduler_lock_timeouts_total")[""] ?? 0
            let ready = await measured.values("scheduler_ready")
            return timeouts >= 1 && ready == ["": 0]
        }
        await nats.resume()
        #expect(isOut)
        #expect(await waitUntil(.seconds(20)) { await measured.values("scheduler_ready") == ["": 1] })
    }
}
