import LocalServers
import NATSClient
import ServiceFixture
import Testing

/// The servers go and come back under load: nothing is lost, nothing doubled in the stream, and nobody is fenced by an
/// outage of NATS.
@Suite(.serialized) struct ServerLossTests {
    enum Fault: String, Sendable, CaseIterable, CustomTestStringConvertible {
        case postgresRestartedFast
        case postgresCrashed
        case natsKilled
        case natsStopped

        var testDescription: String { rawValue }
    }

    static let lease = 2.0

    @Test(.timeLimit(.minutes(2)), arguments: Fault.allCases)
    func allGoesOnByItself(_ fault: Fault) async throws {
        var options = ServiceFixture.Options()
        options.leaseSeconds = Self.lease
        let fixture = try await ServiceFixture.start(options)
        try await fixture.makeStream()
        let instances = [try await fixture.startInstance("first"), try await fixture.startInstance("second")]
        let fired = try FiredMessages("demo.js.load", on: fixture.client)
        let load = try await Load.start(fixture, named: "load", rate: 40, seconds: 4, oneShots: 40)
        try await fixture.reach(load.beginsAt + 1500)
        switch fault {
        case .postgresRestartedFast: try await fixture.postgres.restart()
        case .postgresCrashed:
            await fixture.postgres.kill()
            try await fixture.postgres.start()
        case .natsKilled:
            await fixture.nats.kill()
            try await fixture.nats.start()
        case .natsStopped:
            await fixture.nats.pause()
            try await Task.sleep(for: .seconds(3 * Self.lease))
            await fixture.nats.resume()
        }
        for instance in instances { try await fixture.waitUntilReady(instance) }
        try await Ledger.settled(fixture, load)
        try await Ledger.read(fixture, load).check(load, fired.all)
        #expect(try await fixture.count("SELECT count(*) FROM scheduler.instances WHERE fenced_at IS NOT NULL") == 0)
        #expect(try await fixture.count("SELECT count(*) FROM scheduler.instances") == 2)
        for instance in instances { #expect(await instance.stop()) }
        await fixture.stop()
    }
}
