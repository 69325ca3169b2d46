import LocalServers
import NATSClient
import SchedulerEngine
import ServiceFixture
import Testing

/// `kill -9` at each named step of the claim–publish–record path, with a second instance to recover (semantics.md §7).
@Suite(.serialized) struct CrashMatrixTests {
    struct Step: Sendable, CustomTestStringConvertible {
        let point: FailPoint
        let delivery: Load.Delivery

        var testDescription: String { "\(point.rawValue), \(delivery)" }

        /// Which visit of the place is the last: late enough that the system is at full load.
        var visit: Int {
            switch point {
            case .claimLocked, .claimCommitted: 8
            case .publishing, .published, .acknowledged: 15
            case .recording, .recorded, .told, .settled, .submittedTaken, .submittedApplied, .reportApplied,
                .bufferOpened, .eventTaken:
                8
            }
        }
    }

    static let steps = FailPoint.ofFires.flatMap { point in
        Load.Delivery.plain.map { Step(point: point, delivery: $0) }
    }

    @Test(.timeLimit(.minutes(1)), arguments: steps) func aKilledInstanceLosesAndDoublesNothing(_ step: Step)
        async throws
    {
        let system = try await SharedSystem.shared.started()
        let name = "m\(Self.steps.firstIndex { $0.point == step.point && $0.delivery == step.delivery } ?? 0)"
        let fired = try FiredMessages("demo.*.\(name)", on: system.client)
        let victim = try await system.startInstance(
            "victim", environment: ["CARILLON_FAIL_AT": "\(step.point.rawValue)@\(step.visit)"])
        let load = try await Load.start(
            system, named: name, delivery: step.delivery, rate: 20, seconds: 3, oneShots: 10)
        #expect(await victim.process.waitForEnd(.seconds(10)), "the victim did not reach \(step.point.rawValue)")
        try await Ledger.settled(system, load)
        // A core target may double what one run of the publisher, 128 at most, and its records had in flight.
        let ledger = try await Ledger.read(system, load)
        ledger.check(load, fired.all, inFlight: 20)
        fired.cancel()
    }
}

/// One system for all steps: servers, and an instance that outlives every victim.
actor SharedSystem {
    static let shared = SharedSystem()
    private var running: (fixture: ServiceFixture, survivor: ServiceInstance)?
    /// Answers whatever is asked on `demo.request.>`.
    private var answering: NATSCallbackSubscription?

    func started() async throws -> ServiceFixture {
        if let running { return running.fixture }
        let fixture = try await ServiceFixture.start()
        try await fixture.makeStream()
        answering = try fixture.answer("demo.request.>")
        running = (fixture, try await fixture.startInstance("survivor"))
        return fixture
    }
}
