import Glibc
import NATSClient

/// A clock that runs quicker than the world's, so that a test lives through a night in a minute.
///
/// `CARILLON_CLOCK_SCALE=<wall>,<shown>,<times>`: when the machine's clock says `wall`, this one says `shown` (both in
/// microseconds since 1970), and it runs `times` as quick. PostgreSQL's `clock_timestamp()` has to be set up alike. What
/// is measured in elapsed time (leases, time-outs, back-off) is not scaled. Without the variable the scale is 1.
struct ClockScale: Sendable {
    static let current = ClockScale(getenv("CARILLON_CLOCK_SCALE").map { String(cString: $0) })

    private let wall: Int64
    private let shown: Int64
    private let times: Int64
    private let origin: Int64

    init(_ setting: String?) {
        let parts = (setting ?? "").split(separator: ",").compactMap { Int64($0) }
        let isSet = parts.count == 3 && parts[2] > 0
        wall = isSet ? parts[0] : 0
        shown = isSet ? parts[1] : 0
        times = isSet ? parts[2] : 1
        origin = isSet ? MonotonicClock.now() : 0
    }

    /// What the machine's wall clock would show, in microseconds since 1970.
    func shows(wall now: Int64) -> Int64 { shown + (now - wall) * times }

    /// The scaled counterpart of an instant of the monotonic clock, in nanoseconds.
    func scaled(_ monotonic: Int64) -> Int64 { origin + (monotonic - origin) * times }

    /// The other way.
    func unscaled(_ scaled: Int64) -> Int64 { origin + (scaled - origin) / times }
}
