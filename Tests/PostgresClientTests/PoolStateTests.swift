import TestSupport
import Testing

@testable import PostgresClient

/// The pool's decisions, without a pool.
struct PoolStateTests {
    @Test func leasesAreBounded() {
        var state = PoolState(size: 2, maximumWaiters: 1)
        #expect(state.lease() == .grant(0))
        #expect(state.lease() == .grant(1))
        #expect(state.lease() == .wait(1))
        #expect(state.lease() == .refuse(.poolExhausted))
    }

    @Test func waitersAreServedInOrderAndIdleSlotsLastInFirstOut() {
        var state = PoolState(size: 2, maximumWaiters: 9)
        _ = (state.lease(), state.lease())
        #expect(state.lease() == .wait(1))
        #expect(state.lease() == .wait(2))
        #expect(state.release(1) == .grant(1, to: 1))
        #expect(state.release(0) == .grant(0, to: 2))
        #expect(state.release(1) == .keep)
        #expect(state.release(0) == .keep)
        #expect(state.lease() == .grant(0))
    }

    @Test func aSlotComesBackOnce() {
        var state = PoolState(size: 1, maximumWaiters: 9)
        _ = state.lease()
        #expect(state.release(0) == .keep)
        #expect(state.release(0) == .keep)
        #expect(state.lease() == .grant(0))
        #expect(state.lease() == .wait(1))
    }

    @Test func aWaiterThatWithdrewIsNotServed() {
        var state = PoolState(size: 1, maximumWaiters: 9)
        _ = (state.lease(), state.lease(), state.lease())
        #expect(state.withdraw(1) == true)
        #expect(state.withdraw(1) == false)
        #expect(state.release(0) == .grant(0, to: 2))
        #expect(state.withdraw(2) == false, "served already")
    }

    @Test func shutDownRefusesClosesAndDrains() {
        var state = PoolState(size: 3, maximumWaiters: 9)
        _ = (state.lease(), state.lease())
        #expect(state.shutDown() == .init(refused: [], close: [2], isDrained: false))
        #expect(state.lease() == .refuse(.shuttingDown))
        #expect(state.release(0) == .close(0, isDrained: false))
        #expect(state.release(1) == .close(1, isDrained: true))
        var full = PoolState(size: 1, maximumWaiters: 9)
        _ = (full.lease(), full.lease())
        #expect(full.shutDown() == .init(refused: [1], close: [], isDrained: false))
        var quiet = PoolState(size: 1, maximumWaiters: 9)
        #expect(quiet.shutDown() == .init(refused: [], close: [0], isDrained: true))
    }

    @Test func backOffDoublesToItsCapAndEndsWithSuccess() {
        var state = PoolState(size: 1, maximumWaiters: 1)
        var now = ContinuousClock.now
        var waits: [Duration] = []
        for _ in 0..<8 {
            state.connectFailed(.connectionRefused, now: now, jitter: 1)
            let next = state.backOff.notBefore ?? now
            waits.append(next - now)
            now = next
        }
        let doubling: [Duration] = [.milliseconds(50), .milliseconds(100), .milliseconds(200), .milliseconds(400)]
        #expect(Array(waits.prefix(4)) == doubling)
        #expect(waits.last == .seconds(2))
        state.connectFailed(.connectionRefused, now: now - .milliseconds(1), jitter: 1)
        #expect(state.backOff.failures == 8, "an attempt that failed during the wait does not lengthen it")
        state.connected()
        #expect(state.backOff.notBefore == nil && state.backOff.failures == 0)
        state.connectFailed(.connectionRefused, now: now, jitter: 0)
        #expect(state.backOff.notBefore == now + .milliseconds(25))
    }

    /// Every slot is idle or leased, never both; nobody waits while a slot is idle.
    @Test(arguments: 0..<50 as Range<UInt64>) func whateverHappensSlotsAreConserved(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var state = PoolState(size: 3, maximumWaiters: 4)
        for _ in 0..<500 {
            switch UInt8.random(in: 0..<3, using: &random) {
            case 0: _ = state.lease()
            case 1: _ = state.release(Int.random(in: 0..<3, using: &random))
            default: _ = state.withdraw(state.waiters.randomElement(using: &random) ?? 0)
            }
            #expect(Set(state.idle).union(state.leased) == [0, 1, 2])
            #expect(state.idle.count + state.leased.count == 3)
            #expect(state.waiters.isEmpty || state.idle.isEmpty)
            #expect(state.waiters.count <= 4)
        }
    }

    static let retries: [(PostgresError.Code, Bool)] = [
        (.serializationFailure, true), (.deadlock, true), (.connectionLost, true), (.commitUnknown, true),
        (.adminShutdown, true), (.uniqueViolation, false), (.misuse, false), (.diskFull, false), (.cancelled, false),
    ]

    @Test(arguments: retries) func onlyWhatMaySucceedIsRetried(_ code: PostgresError.Code, _ isRetried: Bool) {
        let policy = RetryPolicy(attempts: 3, delay: .milliseconds(10), maximumDelay: .milliseconds(15))
        let error = PostgresError(code, "")
        #expect(policy.wait(after: 1, error, jitter: 1) == (isRetried ? .milliseconds(10) : nil))
        #expect(policy.wait(after: 2, error, jitter: 1) == (isRetried ? .milliseconds(15) : nil))
        #expect(policy.wait(after: 3, error, jitter: 1) == nil)
    }
}
