import PostgresClient
import SchedulerEngine
import SchedulerStore
import SchedulerWire
import Testing

@testable import SchedulerAPI

@Suite("What keeps a keeper from all its work, and what from one thing alone") struct SharedTroubleTests {
    private static let shared: [any Error] = [
        PostgresError(.connectionLost, "gone"), PostgresError(.adminShutdown, "gone"), CancellationError(),
        PostgresError(.otherServerError, "fenced", sqlState: InstanceTable.fencedState),
        EngineError(.notReady, "joining"),
    ]
    private static let own: [any Error] = [
        WireError(.wrongState, "no"), WireError(.internalError, "no"), PostgresError(.decoding, "not a number"),
        PostgresError(.otherServerError, "no", sqlState: "22003"), EngineError(.unreadable, "a row"),
    ]

    @Test("A refusal, or a row that cannot be read, is one schedule's trouble; a lost database is everybody's")
    func tellsThemApart() {
        for error in Self.shared { #expect(SharedTrouble.isBehind(error), "\(error)") }
        for error in Self.own { #expect(!SharedTrouble.isBehind(error), "\(error)") }
    }
}
