import LocalServers
import Migrations
import PostgresClient
import ServiceFixture
import TestSupport
import Testing

@testable import SchedulerStore

/// Programs and schemas of two versions, on one database under load: what docs/upgrade.md promises.
@Suite(.serialized) struct UpgradeTests {
    /// Runs `carillon` to its end, of this version or of another.
    static func carillon(
        _ fixture: ServiceFixture, _ arguments: String..., program: String = ServiceFixture.program
    ) async throws -> (code: Int32?, text: String) {
        let log =
            fixture.folder
            + "/\(arguments.joined(separator: " ").filter(\.isLetter))-\(UInt32.random(in: 0...9999)).log"
        let environment = [
            "DATABASE_URL": await fixture.postgres.url(database: "carillon"), "NATS_URL": await fixture.nats.url,
        ]
        let process = try ChildProcess([program] + arguments, environment: environment, logPath: log)
        _ = await process.waitForEnd(.seconds(60))
        return (process.exitCode, Filesystem.tail(log, bytes: 1 << 16))
    }

    /// A migrator as a later program has it, with one version more.
    private func later(_ fixture: ServiceFixture, isBreaking: Bool) async throws -> (migrator: Migrator, version: Int) {
        let known = try Schema.migrations()
        let more = Migration(
            version: known.count + 1, name: "later",
            up: """
                ALTER TABLE scheduler.schedules ADD COLUMN later text;
                ALTER TABLE scheduler.timers ADD COLUMN later boolean NOT NULL DEFAULT false;
                ALTER TABLE scheduler.executions ADD COLUMN later text;
                CREATE TABLE scheduler.later (id uuid NOT NULL PRIMARY KEY);
                """,
            down: """
                DROP TABLE scheduler.later;
                ALTER TABLE scheduler.executions DROP COLUMN later;
                ALTER TABLE scheduler.timers DROP COLUMN later;
                ALTER TABLE scheduler.schedules DROP COLUMN later;
                """, isBreaking: isBreaking)
        let configuration = try PostgresConfiguration(await fixture.postgres.url(database: "carillon"))
        return (Migrator(configuration, migrations: known + [more]), more.version)
    }

    @Test(.timeLimit(.minutes(2))) func aCompatibleVersionComesAndGoesUnderInstancesThatRun() async throws {
        let fixture = try await ServiceFixture.start()
        try await fixture.makeStream()
        let first = try await fixture.startInstance("first")
        let fired = try FiredMessages("demo.js.later", on: fixture.client)
        let load = try await Load.start(fixture, named: "later", rate: 40, seconds: 3, after: 700)
        let (migrator, version) = try await later(fixture, isBreaking: false)
        try await fixture.reach(load.beginsAt + 300)
        #expect(try await migrator.up() == [version])
        // This program starts on what it does not know, and hands over.
        let second = try await fixture.startInstance("second")
        #expect(await first.stop(), "\(first.logTail)")
        #expect(second.logTail.contains("the schema is newer than this program"), "\(second.logTail)")
        #expect(try await migrator.down(to: version - 1) == [version])
        try await Ledger.settled(fixture, load)
        try await Ledger.read(fixture, load).check(load, fired.all)
        #expect(fired.count == load.total, "something was published twice")

        // What is breaking is neither taken back nor applied under an instance that runs.
        let refused = try await Self.carillon(fixture, "migrate", "down", "--to", "15")
        #expect(refused.code == 1 && refused.text.contains("is breaking, and 1 instance runs"), "\(refused)")
        #expect(await second.stop(), "\(second.logTail)")
        #expect(try await later(fixture, isBreaking: true).migrator.up() == [version])
        let third = try await fixture.startInstance("third", waits: false)
        #expect(await third.process.waitForEnd(.seconds(20)) && third.process.exitCode == 78)
        #expect(third.logTail.contains("(later) is newer than this program"), "\(third.logTail)")
        await fixture.stop()
    }

    /// Where an older build of the program is; `.ci/upgrade-proof.sh` makes one.
    static let older = Filesystem.environment("CARILLON_OLDER_BIN")

    @Test(.enabled(if: older != nil), .timeLimit(.minutes(10)))
    func fromAnOlderProgramAndBack() async throws {
        try await Upgrade(older: try #require(Self.older)).run()
    }
}

/// From an older program to this one and back and to this one again, under load, with ends of both kinds.
private struct Upgrade {
    let older: String
    static let rate = 100
    static let seconds = 90

    func run() async throws {
        var options = ServiceFixture.Options()
        options.leaseSeconds = 2
        let fixture = try await ServiceFixture.start(options)
        try await fixture.makeStream()
        let version = try await startsOver(fixture)
        let known = try Schema.migrations()
        let isBreaking = known.contains { $0.version > version && $0.isBreaking }
        print("upgrade: from schema \(version) to \(known.count), breaking: \(isBreaking)")
        let old1 = try await fixture.startInstance("old-1", program: older)
        let old2 = try await fixture.startInstance("old-2", program: older)
        let fired = try FiredMessages("demo.js.proof", on: fixture.client)
        let load = try await Load.start(
            fixture, named: "proof", rate: Self.rate, seconds: Self.seconds, after: 5000, oneShots: Self.rate)
        try await fixture.reach(load.beginsAt + 8000)
        // Forth.
        let (new1, new2) =
            isBreaking
            ? try await forthAtOnce(fixture, old1, old2) : try await forthOneByOne(fixture, load, old1, old2)
        try await fixture.reach(load.beginsAt + 40_000)
        // Back: no program of the newer version may run when its version is taken back.
        #expect(await new1.stop(), "\(new1.logTail)")
        #expect(await new2.stop(), "\(new2.logTail)")
        let down = try await UpgradeTests.carillon(fixture, "migrate", "down", "--to", "\(version)")
        #expect(down.code == 0, "\(down)")
        let old3 = try await fixture.startInstance("old-3", program: older)
        let old4 = try await fixture.startInstance("old-4", program: older)
        try await fixture.reach(load.beginsAt + 60_000)
        await old3.kill()
        try await fixture.reach(load.beginsAt + 70_000)
        // And forth again, for good.
        #expect(await old4.stop(), "\(old4.logTail)")
        let up = try await UpgradeTests.carillon(fixture, "migrate", "up")
        #expect(up.code == 0, "\(up)")
        let last = try await fixture.startInstance("new-3")
        try await Ledger.settled(fixture, load, within: .seconds(90))
        let ledger = try await Ledger.read(fixture, load)
        ledger.check(load, fired.all)
        let verified = try await UpgradeTests.carillon(fixture, "verify")
        #expect(verified.code == 0, "\(verified)")
        print(
            "upgrade: \(load.total) occurrences, \(ledger.stored.count) messages in the stream, "
                + "\(fired.count) published, largest gap \(ledger.largestGap(load, fired.all)) ms\n\(verified.text)")
        _ = await last.stop()
        await fixture.stop()
    }

    /// The schema as the older program makes it. - Returns: its version.
    private func startsOver(_ fixture: ServiceFixture) async throws -> Int {
        let down = try await UpgradeTests.carillon(fixture, "migrate", "down", "--to", "0")
        #expect(down.code == 0, "\(down)")
        let up = try await UpgradeTests.carillon(fixture, "migrate", "up", program: older)
        #expect(up.code == 0, "\(up)")
        return Int(try await fixture.count("SELECT max(version)::bigint FROM scheduler.schema_migrations"))
    }

    /// A breaking version: all of the older ones end first.
    private func forthAtOnce(
        _ fixture: ServiceFixture, _ old1: ServiceInstance, _ old2: ServiceInstance
    ) async throws -> (ServiceInstance, ServiceInstance) {
        let refused = try await UpgradeTests.carillon(fixture, "migrate", "up")
        #expect(refused.code == 1 && refused.text.contains("is breaking, and 2 instances run"), "\(refused)")
        #expect(await old1.stop(), "\(old1.logTail)")
        await old2.kill()
        let up = try await UpgradeTests.carillon(fixture, "migrate", "up")
        #expect(up.code == 0, "\(up)")
        return (try await fixture.startInstance("new-1"), try await fixture.startInstance("new-2"))
    }

    /// A compatible one: the schema first, then one instance after the other; for a while there are both.
    private func forthOneByOne(
        _ fixture: ServiceFixture, _ load: Load, _ old1: ServiceInstance, _ old2: ServiceInstance
    ) async throws -> (ServiceInstance, ServiceInstance) {
        let up = try await UpgradeTests.carillon(fixture, "migrate", "up")
        #expect(up.code == 0, "\(up)")
        try await fixture.waitUntilReady(old1)
        let new1 = try await fixture.startInstance("new-1")
        #expect(await old1.stop(), "\(old1.logTail)")
        // Both versions side by side, each with half of the work.
        try await fixture.reach(load.beginsAt + 25_000)
        let shares = try await fixture.rows(
            """
            SELECT i.name, count(*)::text FROM scheduler.executions e JOIN scheduler.instances i ON i.id = e.claimed_by
            GROUP BY 1 ORDER BY 1
            """)
        print("upgrade: executions by instance: \(shares)")
        await old2.kill()
        return (new1, try await fixture.startInstance("new-2"))
    }
}
