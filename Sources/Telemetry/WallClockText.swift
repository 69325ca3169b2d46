import Glibc
package import Recurrence

/// The machine's own time, for what people read. Nothing is decided by it.
package enum WallClockText {
    /// RFC 3339 UTC with microseconds, of which the last three are 0.
    package static func now() -> String { instant().rfc3339 }

    package static func instant() -> Instant {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Instant(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }
}
