package import Recurrence

/// When the scan of due timers begins at the bottom, and when only a minute back.
///
/// Every firing leaves a dead entry behind in the index of due times. As a rule the next scan clears it away; while
/// somebody holds an old snapshot (a dump, a long report) nobody can, and a scan from the bottom walks over all of them,
/// ten times a second. So it begins at the bottom only every ten seconds, which is how late a timer may be found that
/// was set far back; and again at once for as long as it leaves something, after a break of the claims, and a second
/// after a command has asked for it.
package struct BottomScan: Sendable {
    /// How far back the other scans look, in milliseconds.
    package static let reach: Int64 = 60_000
    /// Nanoseconds between two scans from the bottom.
    package static let pause: Int64 = 10_000_000_000
    /// The same where one is asked for: commands may come by the thousand.
    package static let askedPause: Int64 = 1_000_000_000

    /// When the last scan from the bottom that left nothing ended, on the monotonic clock.
    private var clearedAt: Int64?
    private var resumedAt: Instant?
    private var isAsked = false

    package init() {}

    /// Whether the scan that begins now begins at the bottom. If it does, and never tells its end, the next one does too.
    /// - Parameter resumedAt: since when claims go on without a break.
    package mutating func isDue(at monotonic: Int64, since resumedAt: Instant) -> Bool {
        if self.resumedAt != resumedAt {
            self.resumedAt = resumedAt
            clearedAt = nil
        }
        let pause = isAsked ? Self.askedPause : Self.pause
        if let clearedAt, monotonic - clearedAt < pause { return false }
        clearedAt = nil
        isAsked = false
        return true
    }

    /// A command made something due, maybe in the past.
    package mutating func ask() { isAsked = true }

    /// A scan from the bottom has ended.
    package mutating func ended(leavesNothing: Bool, at monotonic: Int64) {
        clearedAt = leavesNothing ? monotonic : nil
    }
}
