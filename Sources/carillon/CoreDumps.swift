import Glibc

/// A core dump has all the secrets that the process has, and lies about for years.
enum CoreDumps {
    /// From here on this process leaves none. One byte and not none: for Linux that says that a handler of core dumps is
    /// not to be fed either, which a limit of 0 does not (core(5)).
    static func forbid() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &limit) == 0 else { return }
        limit.rlim_max = min(limit.rlim_max, 1)
        limit.rlim_cur = limit.rlim_max
        _ = setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &limit)
    }
}
