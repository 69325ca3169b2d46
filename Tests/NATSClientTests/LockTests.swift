import Glibc
import LocalServers
import NATSClient
import Synchronization
import Testing

@testable import KeyValueLock

@Suite final class LockMachineTests {
    static let second: Int64 = 1_000_000_000
    var machine = LockMachine(LockMachine.Settings(lease: .seconds(10)))

    private func seen(_ epoch: Int64, _ revision: UInt64, released: Bool = false) -> LockMachine.Event {
        .seen(epoch: epoch, revision: revision, isReleased: released, lease: 10 * Self.second)
    }

    private func hold(epoch: Int64 = 5, at now: Int64 = 0) {
        _ = machine.handle(.snapshotEnded, now: now)
        _ = machine.handle(.epochIssued(epoch), now: now)
        _ = machine.handle(.created(revision: 1, startedAt: now), now: now)
        _ = machine.handle(seen(epoch, 1), now: now)
    }

    @Test func anEmptyLockIsAskedForAfterTheSnapshot() {
        #expect(machine.handle(.tick, now: 0) == [])
        #expect(machine.handle(.snapshotEnded, now: 1) == [.askEpoch])
        #expect(machine.handle(.tick, now: 2) == [])
        #expect(machine.handle(.epochIssued(5), now: 3) == [.create(epoch: 5)])
        #expect(machine.handle(.created(revision: 9, startedAt: 4), now: 5) == [])
        #expect(machine.handle(seen(5, 9), now: 6) == [.acquired(epoch: 5)])
        #expect(machine.trustUntil == 4 + 8 * Self.second)
    }

    @Test func ofTwoTheHigherEpochHolds() {
        _ = machine.handle(.snapshotEnded, now: 1)
        _ = machine.handle(.epochIssued(5), now: 3)
        _ = machine.handle(seen(6, 8), now: 4)
        #expect(
            machine.handle(.created(revision: 9, startedAt: 4), now: 5) == [.delete(epoch: 5, revision: 9)])
        #expect(machine.phase == .waiting)
    }

    @Test func aHolderIsLostToAHigherEpoch() {
        hold()
        #expect(machine.handle(seen(6, 2), now: 1) == [.lost(epoch: 5), .delete(epoch: 5, revision: 1)])
        #expect(machine.phase == .ended)
        #expect(machine.trustUntil == nil)
    }

    @Test func silenceCountsOnlyWhileTheServerSpeaks() {
        _ = machine.handle(seen(3, 7), now: 0)
        _ = machine.handle(.snapshotEnded, now: 0)
        // An hour passes, but the server said nothing.
        #expect(machine.handle(.tick, now: 3600 * Self.second) == [])
        // It speaks after a break: the count begins with the new snapshot.
        _ = machine.handle(.watchBroke, now: 3600 * Self.second)
        #expect(machine.handle(.heard, now: 3601 * Self.second) == [])
        _ = machine.handle(seen(3, 7), now: 3601 * Self.second)
        #expect(machine.handle(.snapshotEnded, now: 3601 * Self.second) == [])
        #expect(machine.handle(.heard, now: 3610 * Self.second) == [])
        #expect(machine.handle(.heard, now: 3611 * Self.second) == [.askEpoch])
    }

    @Test func aRenewalStartsTheCountAnew() {
        _ = machine.handle(seen(3, 7), now: 0)
        _ = machine.handle(.snapshotEnded, now: 0)
        _ = machine.handle(seen(3, 8), now: 9 * Self.second)
        #expect(machine.handle(.heard, now: 18 * Self.second) == [])
        #expect(machine.handle(.heard, now: 19 * Self.second) == [.askEpoch])
    }

    @Test func aReleasedLockIsTakenAtOnceAfterThePause() {
        _ = machine.handle(seen(3, 7), now: 0)
        _ = machine.handle(.snapshotEnded, now: 0)
        #expect(machine.handle(seen(3, 8, released: true), now: 100, pause: 50) == [])
        #expect(machine.handle(.tick, now: 149) == [])
        #expect(machine.handle(.tick, now: 150) == [.askEpoch])
    }

    @Test func trustRunsFromTheStartOfTheRenewal() {
        hold()
        let renewal = machine.handle(.tick, now: 2_500_000_000)
        #expect(renewal.count == 1)
        _ = machine.handle(.renewed(revision: 2, startedAt: 2_500_000_000), now: 4 * Self.second)
        #expect(machine.trustUntil == 2_500_000_000 + 8 * Self.second)
        // Learning only the revision takes no trust away.
        _ = machine.handle(.renewed(revision: 3, startedAt: 0), now: 4 * Self.second)
        #expect(machine.trustUntil == 2_500_000_000 + 8 * Self.second)
    }

    @Test func aRenewalWithoutAnAnswerIsTriedAgainSoon() {
        hold()
        #expect(machine.handle(.tick, now: 2_500_000_000).count == 1)
        #expect(machine.handle(.renewUnknown, now: 3 * Self.second) == [])
        #expect(machine.handle(.tick, now: 3_499_000_000) == [])
        #expect(machine.handle(.tick, now: 3_500_000_000).count == 1)
        // Nor is one by which only the revision was learnt the last for long.
        #expect(machine.handle(.renewed(revision: 2, startedAt: 0), now: 4 * Self.second) == [])
        #expect(machine.trustUntil == 8 * Self.second)
        #expect(machine.handle(.tick, now: 4_500_000_000).count == 1)
    }

    @Test func unconfirmedRenewalsLoseTheLockWithTheTrust() {
        hold()
        _ = machine.handle(.tick, now: 3 * Self.second)
        _ = machine.handle(.renewUnknown, now: 4 * Self.second)
        #expect(machine.handle(.tick, now: 8 * Self.second).contains(.lost(epoch: 5)))
    }

    @Test(arguments: [LockMachine.Event.renewRefused, .seen(epoch: 5, revision: 4, isReleased: true, lease: 0)])
    func aLostKeyIsALostLock(event: LockMachine.Event) {
        hold()
        #expect(machine.handle(event, now: 1).first == .lost(epoch: 5))
    }

    @Test func failuresGoBackToWaiting() {
        _ = machine.handle(.snapshotEnded, now: 0)
        _ = machine.handle(.epochFailed, now: 0)
        #expect(machine.phase == .waiting)
        #expect(machine.handle(.tick, now: 1) == [])
        #expect(machine.handle(.tick, now: 2_500_000_000) == [.askEpoch])
        _ = machine.handle(.epochIssued(7), now: 3 * Self.second)
        _ = machine.handle(.createFailed, now: 4 * Self.second)
        #expect(machine.phase == .waiting)
    }

    @Test func releaseDeletesOnlyWhatIsHeld() {
        var waiting = machine
        #expect(waiting.handle(.release, now: 0) == [])
        hold()
        #expect(machine.handle(.release, now: 1) == [.delete(epoch: 5, revision: 1)])
        #expect(machine.phase == .ended)
        #expect(machine.handle(.tick, now: 100 * Self.second) == [])
    }
}

@Suite(.serialized, .timeLimit(.minutes(1))) struct LockTests {
    /// Stands for PostgreSQL: issues epochs, and admits deeds of the last one only.
    private final class Fence: Sendable {
        private struct State {
            var issued: Int64 = 0
            var deeds: [Int64] = []
            var refused = 0
            var asked = 0
        }

        private let state = Mutex(State())
        var source: KeyValueLock.EpochSource {
            { _ in
                self.state.withLock { state in
                    state.issued += 1
                    return state.issued
                }
            }
        }

        var deeds: [Int64] { state.withLock { $0.deeds } }

        /// Times ``failing`` was asked.
        var asked: Int { state.withLock { $0.asked } }
        var failing: KeyValueLock.EpochSource {
            { _ in
                self.state.withLock { $0.asked += 1 }
                throw NATSError(.timeout, "not now")
            }
        }

        func act(_ epoch: Int64) -> Bool {
            state.withLock { state in
                if epoch == state.issued { state.deeds.append(epoch) } else { state.refused += 1 }
                return epoch == state.issued
            }
        }
    }

    private func lock(
        _ server: NATSServer, _ owner: String, _ fence: Fence, lease: Duration = .seconds(1)
    ) async throws -> (KeyValueLock, NATSConnection) {
        let connection = try await server.connect()
        let bucket = try await KeyValueBucket.bindOrCreate("LOCKS", JetStreamAPI(connection))
        return (KeyValueLock(bucket, owner: owner, lease: lease, epochSource: fence.source), connection)
    }

    @Test func eightContendersTakeTurns() async throws {
        let server = try await NATSServer.running()
        defer { withExtendedLifetime(server) {} }
        let fence = Fence()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<8 {
                group.addTask {
                    let (lock, connection) = try await self.lock(server, "c\(number)", fence)
                    var turns = 0
                    while turns < 25 {
                        let held = try await lock.acquire("job", waitingUpTo: .seconds(40))
                        guard let token = held else { continue }
                        if fence.act(token.epoch) { turns += 1 }
                        try? await lock.release(token)
                    }
                    await connection.close()
                }
            }
            try await group.waitForAll()
        }
        let deeds = fence.deeds
        #expect(deeds.count == 200)
        #expect(deeds == deeds.sorted() && Set(deeds).count == 200)
    }

    @Test func aDeadHolderIsFollowedAfterItsLease() async throws {
        let server = try await NATSServer.running()
        defer { withExtendedLifetime(server) {} }
        let fence = Fence()
        let (first, dying) = try await lock(server, "dying", fence)
        let (second, connection) = try await lock(server, "next", fence)
        let token = try #require(try await first.acquire("job", waitingUpTo: .seconds(5)))
        #expect(try await second.holder(of: "job") == "dying")
        #expect(try await second.acquire("job", waitingUpTo: .milliseconds(1500)) == nil)
        #expect(token.isHeld)
        await dying.close()
        let start = MonotonicClock.now()
        let next = try #require(try await second.acquire("job", waitingUpTo: .seconds(10)))
        #expect((MonotonicClock.now() - start) > 900_000_000)
        #expect(next.epoch > token.epoch)
        #expect(!token.isHeld)
        #expect(!fence.act(token.epoch))
        try await second.release(next)
        #expect(try await second.isLocked("job") == false)
        await connection.close()
    }

    @Test func onlyTheHoldersTokenReleases() async throws {
        let server = try await NATSServer.running()
        defer { withExtendedLifetime(server) {} }
        let fence = Fence()
        let (first, one) = try await lock(server, "one", fence)
        let (second, two) = try await lock(server, "two", fence)
        let token = try #require(try await first.acquire("job", waitingUpTo: .seconds(5)))
        #expect(await errorCode { try await second.release(token) } == .conflict)
        #expect(token.isHeld)
        #expect(try await first.extend(token))
        try await first.release(token)
        #expect(await errorCode { try await first.release(token) } == .conflict)
        let after = try await second.withLock("job", waitingUpTo: .seconds(5)) { $0.epoch }
        #expect(try #require(after) > token.epoch)
        await one.close()
        await two.close()
    }

    /// The server stands still for three leases: nobody may take over because of it, and the epoch stays.
    @Test func anOutageMakesNobodyTakeOver() async throws {
        let server = try await NATSServer.running()
        defer { withExtendedLifetime(server) {} }
        let fence = Fence()
        let (first, one) = try await lock(server, "one", fence, lease: .seconds(2))
        let connection = try await server.connect()
        let bucket = try await KeyValueBucket.bind("LOCKS", JetStreamAPI(connection))
        let observer = KeyValueLock(bucket, owner: "two", lease: .seconds(2), epochSource: fence.failing)
        let token = try #require(try await first.acquire("job", waitingUpTo: .seconds(5)))
        let waiting = Task { try await observer.acquire("job", waitingUpTo: .seconds(7)) }
        await server.pause()
        try await Task.sleep(for: .seconds(5))
        #expect(fence.asked == 0)
        #expect(!token.isHeld)
        await server.resume()
        _ = try await waiting.value
        await one.close()
        await connection.close()
    }
}
