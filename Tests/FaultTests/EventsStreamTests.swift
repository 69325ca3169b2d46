import Glibc
import JSONText
import LocalServers
import NATSClient
import ServiceFixture
import Testing

/// The events stream is away, full, or its disk is: claims stop at a bound, the status says why, and nothing is lost
/// once it is back.
@Suite(.serialized) struct EventsStreamTests {
    static let bound = 50

    private func options() -> ServiceFixture.Options {
        var options = ServiceFixture.Options()
        options.environment["MAX_EXECUTIONS_IN_FLIGHT"] = "\(Self.bound)"
        return options
    }

    /// A stream of the events' subjects that takes `bytes` at most.
    private static func configuration(bytes: Int) -> String {
        """
        {"name":"SCHEDULER_EVENTS","subjects":["scheduler.evt.>"],"retention":"limits","storage":"file",\
        "discard":"new","max_bytes":\(bytes),"duplicate_window":120000000000,"num_replicas":1}
        """
    }

    /// Waits until the instance is not ready and says a reason that holds every one of these words.
    private func expectReason(_ words: [String], _ fixture: ServiceFixture) async throws {
        var reasons: [String] = []
        let isSaid = await waitUntil(.seconds(20)) {
            guard let status = try? await fixture.statuses().first, status["ready"]?.bool == false else { return false }
            reasons = status["reasons"].map { $0.elements.compactMap(\.string) } ?? []
            return words.allSatisfy { word in reasons.contains { $0.contains(word) } }
        }
        #expect(isSaid, "expected reasons with \(words), got \(reasons)")
    }

    @Test(.timeLimit(.minutes(2))) func aFullStreamStopsClaimsAtTheBound() async throws {
        let fixture = try await ServiceFixture.start(options())
        try await fixture.makeStream()
        _ = try await JetStreamAPI(fixture.client).createStream(
            "SCHEDULER_EVENTS", configuration: Self.configuration(bytes: 60_000))
        let instance = try await fixture.startInstance()
        let fired = try FiredMessages("demo.js.full", on: fixture.client)
        let load = try await Load.start(fixture, named: "full", rate: 40, seconds: 6)
        try await expectReason(["SCHEDULER_EVENTS", "the bound is \(Self.bound)"], fixture)
        try await fixture.reach(load.endsAt + 500)
        let opened = try await fixture.count("SELECT count(*) FROM scheduler.executions")
        let owed = try await fixture.count(
            "SELECT coalesce(sum(cardinality(executions)), 0)::bigint FROM scheduler.claims")
        #expect(opened < load.total, "nothing was held back: the stream was not full in time")
        // What one look claims, up to its reach, may come on top of what was there.
        #expect(owed <= Self.bound + 85)
        let update = Self.configuration(bytes: 100_000_000)
        _ = try await JetStreamAPI(fixture.client).request("STREAM.UPDATE.SCHEDULER_EVENTS", body: Array(update.utf8))
        try await fixture.waitUntilReady(instance)
        try await Ledger.settled(fixture, load)
        try await Ledger.read(fixture, load).check(load, fired.all)
        #expect(await instance.stop())
        await fixture.stop()
    }

    @Test(.timeLimit(.minutes(2))) func aDeletedStreamIsMadeAnew() async throws {
        let fixture = try await ServiceFixture.start()
        try await fixture.makeStream()
        let instance = try await fixture.startInstance()
        let fired = try FiredMessages("demo.js.gone", on: fixture.client)
        let load = try await Load.start(fixture, named: "gone", rate: 20, seconds: 5)
        try await fixture.reach(load.beginsAt - 200)
        try await JetStreamAPI(fixture.client).deleteStream("SCHEDULER_EVENTS")
        try await expectReason(["SCHEDULER_EVENTS is missing"], fixture)
        try await fixture.waitUntilReady(instance)
        try await Ledger.settled(fixture, load)
        try await Ledger.read(fixture, load).check(load, fired.all)
        #expect(await instance.stop())
        await fixture.stop()
    }

    /// The disk under JetStream is full. nats-server 2.9 switches JetStream off then, until it is started again.
    @Test(.timeLimit(.minutes(2))) func aFullDiskLosesNothing() async throws {
        let disk = try await SmallDisk(megabytes: 160)
        var options = ServiceFixture.Options()
        options.natsFolder = disk.folder
        let fixture = try await ServiceFixture.start(options)
        try await fixture.makeStream()
        // The usual 10 GiB would be refused on such a disk.
        _ = try await JetStreamAPI(fixture.client).createStream(
            "SCHEDULER_EVENTS", configuration: Self.configuration(bytes: 8_000_000))
        let instance = try await fixture.startInstance()
        let fired = try FiredMessages("demo.js.disk", on: fixture.client)
        let load = try await Load.start(fixture, named: "disk", rate: 20, seconds: 4)
        try await fixture.reach(load.beginsAt + 1000)
        try disk.fill()
        // The whole of JetStream stands still, the leases' bucket with it: the instance is not ready, and says why.
        var seen = ""
        let isNoticed = await waitUntil(.seconds(20)) {
            guard let status = try? await fixture.statuses().first, status["ready"]?.bool == false else {
                return false
            }
            seen = String(decoding: status.bytes, as: UTF8.self)
            return true
        }
        #expect(isNoticed)
        print("a full disk: \(seen.prefix(300))")
        try disk.free()
        await fixture.nats.kill()
        try await fixture.nats.start()
        try await fixture.waitUntilReady(instance)
        try await Ledger.settled(fixture, load, within: .seconds(60))
        try await Ledger.read(fixture, load).check(load, fired.all)
        #expect(await instance.stop())
        await fixture.stop()
        await disk.unmount()
    }
}

/// A file system of a few megabytes in memory. Mounting needs root.
private struct SmallDisk {
    let folder: String
    private var filler: String { folder + "/filler" }

    init(megabytes: Int) async throws {
        folder = try Filesystem.makeTemporaryFolder()
        let arguments = ["/bin/mount", "-t", "tmpfs", "-o", "size=\(megabytes)m", "tmpfs", folder]
        let mount = try ChildProcess(arguments, logPath: "/dev/null")
        guard await mount.waitForEnd(.seconds(5)), mount.hasSucceeded else {
            throw FixtureError(description: "expected to mount a small file system at \(folder): run this test as root")
        }
    }

    /// Writes until nothing more goes in.
    func fill() throws {
        guard let file = fopen(filler, "w") else { throw FixtureError(description: "no file at \(filler)") }
        defer { fclose(file) }
        setvbuf(file, nil, _IONBF, 0)
        var block = [UInt8](repeating: 0x20, count: 65_536)
        while !block.isEmpty {
            if fwrite(block, 1, block.count, file) < block.count { block.removeLast(block.count / 2 + 1) }
        }
    }

    func free() throws { unlink(filler) }

    func unmount() async {
        if let unmount = try? ChildProcess(["/bin/umount", "-l", folder], logPath: "/dev/null") {
            _ = await unmount.waitForEnd(.seconds(5))
        }
        rmdir(folder)
    }
}
