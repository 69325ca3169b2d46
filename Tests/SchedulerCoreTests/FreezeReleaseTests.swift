import Recurrence
import Testing

@testable import SchedulerCore

/// Which replacements of a freeze let go what it holds, and when.
@Suite struct FreezeReleaseTests {
    private static let now = Instant(milliseconds: 1_800_000_000_000)

    private static func hour(_ number: Int64) -> Instant { now.adding(milliseconds: number * 3_600_000) }

    private static let holding = Freeze(
        id: FreezeID(UUIDValue(high: 1, low: 1)), namespace: try? Namespace("demo"), from: hour(-1), until: hour(2),
        mode: .defer, createdAt: hour(-1))

    /// From when on what it holds goes where `change` makes it another.
    private static func release(_ change: (inout Freeze) -> Void) -> Instant? {
        var next = holding
        change(&next)
        return holding.release(for: next, at: now)
    }

    @Test("Of one that holds the same only an earlier end lets go, and then at that end")
    func ends() {
        #expect(Self.release { $0.reason = "another" } == nil)
        #expect(Self.release { $0.until = Self.hour(3) } == nil)
        #expect(Self.release { $0.from = Self.now } == nil)
        #expect(Self.release { $0.until = Self.hour(1) } == Self.hour(1))
        #expect(Self.release { $0.until = Self.now } == Self.now)
        #expect(Self.release { $0.until = Self.hour(-1) } == Self.now)
    }

    @Test("One that holds others, later, or otherwise lets all go now: who it concerns is held anew")
    func holdsOthers() {
        #expect(Self.release { $0.namespace = nil } == Self.now)
        #expect(Self.release { $0.namespace = try? Namespace("other") } == Self.now)
        #expect(Self.release { $0.target = try? SubjectPattern("demo.a") } == Self.now)
        #expect(Self.release { $0.mode = .skip } == Self.now)
        #expect(Self.release { $0.releasePerSecond = 1 } == Self.now)
        #expect(Self.release { $0.from = Self.hour(1) } == Self.now)
        #expect(
            Self.release {
                $0.target = try? SubjectPattern("demo.a")
                $0.until = Self.hour(1)
            } == Self.now)
    }
}
