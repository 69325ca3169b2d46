import LocalServers
import NATSClient
import PostgresClient
import ServiceFixture
import TestSupport
import Testing

/// docs/backup.md, step by step: a dump of the database that was taken under load, put back after a loss.
@Suite struct RestoreTests {
    private static let postgres: String = {
        let root = "/usr/lib/postgresql"
        let newest = Filesystem.names(in: root).compactMap { Int($0) }.max().map { "\(root)/\($0)/bin/" }
        return newest ?? ""
    }()

    private func run(_ fixture: ServiceFixture, _ program: String, _ arguments: [String]) async throws {
        let log = "\(fixture.folder)/\(program).log"
        let process = try ChildProcess([Self.postgres + program] + arguments, logPath: log)
        try #require(await process.waitForEnd(.seconds(30)) && process.hasSucceeded, "\(Filesystem.tail(log))")
    }

    /// - Parameter isSkipping: whether what was due since the backup is left out by a freeze, as the page says.
    @Test(.timeLimit(.minutes(3)), arguments: [false, true])
    func whatWasFiredSinceTheBackupIsFiredAgainUnderTheSameIds(isSkipping: Bool) async throws {
        var options = ServiceFixture.Options()
        options.leaseSeconds = 2
        let fixture = try await ServiceFixture.start(options)
        try await fixture.makeStream()
        let lost = try await fixture.startInstance("lost")
        let fired = try FiredMessages("demo.js.restore", on: fixture.client)
        let seconds = TestForm.count(5, long: 12)
        let load = try await Load.start(fixture, named: "restore", rate: 20, seconds: seconds, after: 500)
        let (url, dump) = (await fixture.postgres.url(database: "carillon"), fixture.folder + "/carillon.dump")
        try await fixture.reach(load.beginsAt + 500)
        try await run(fixture, "pg_dump", ["--format=custom", "--schema=scheduler", "--file", dump, url])
        let dumpedAt = fired.count
        #expect(await waitUntil(.seconds(5)) { fired.count >= dumpedAt + 20 })
        await lost.kill()
        try await fixture.database.execute(script: "DROP SCHEMA scheduler CASCADE")
        try await run(fixture, "pg_restore", ["--exit-on-error", "--dbname", url, dump])
        try await JetStreamAPI(fixture.client).deleteStream("KV_SCHEDULER_LOCKS")
        if isSkipping {
            try await fixture.database.execute(
                script: """
                    INSERT INTO scheduler.freezes (id, from_at, until_at, created_at, release_per_second, mode, reason)
                    VALUES (gen_random_uuid(), now() - interval '1 hour', now() + interval '5 seconds', now(), 100,
                        'skip', 'restored')
                    """)
        }
        let restored = try await fixture.startInstance("restored")
        if isSkipping {
            try await fixture.reach(load.endsAt)
            #expect(await fixture.waits(for: load), "not over")
            let doubled = Dictionary(grouping: fired.all, by: \.executionID).filter { $0.value.count > 1 }
            // What was claimed when the dump was taken has its rows in it, and is rescued.
            #expect(doubled.count <= 40, "\(doubled.count)")
            let skipped = try await fixture.count(
                "SELECT coalesce(sum(range_count), 0)::bigint FROM scheduler.executions WHERE state = 'skipped'")
            #expect(skipped > 0)
        } else {
            try await Ledger.settled(fixture, load)
            // Each occurrence has its row again, and the stream holds each once: by the ids it knows the copies.
            try await Ledger.read(fixture, load).check(load, fired.all)
            #expect(fired.count > load.total, "nothing was fired again: the restore came too early")
            print("restore: \(load.total) occurrences, \(fired.count - load.total) published again, none stored twice")
        }
        let verified = try await UpgradeTests.carillon(fixture, "verify")
        #expect(verified.code == 0, "\(verified)")
        _ = await restored.stop()
        await fixture.stop()
    }
}

extension ServiceFixture {
    /// Waits until a load's schedules are over.
    fileprivate func waits(for load: Load) async -> Bool {
        await waitUntil(.seconds(30)) {
            let active =
                "SELECT count(*) FROM scheduler.schedules WHERE namespace = '\(load.namespace)' AND state = 'active'"
            return (try? await self.count(active)) == 0
        }
    }
}
