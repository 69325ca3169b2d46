import Glibc

/// Nanoseconds since the machine started, sleep included (`CLOCK_BOOTTIME`), so that a machine that slept finds its
/// leases and time-outs expired. Never the wall clock: a step of that must move no time-out.
package enum MonotonicClock {
    package static func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}

extension Duration {
    /// Whole nanoseconds, for durations up to 292 years.
    package var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    }

    /// Whole milliseconds, at least 1: libnats refuses zero.
    var libraryMilliseconds: Int64 { max(1, nanoseconds / 1_000_000) }
}
