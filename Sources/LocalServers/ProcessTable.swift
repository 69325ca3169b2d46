import Glibc

/// What the system tells of processes by their pids.
enum ProcessTable {
    enum State {
        case running
        /// Frozen by a signal.
        case stopped
        /// Not there, or ended and not yet collected.
        case gone
    }

    static func state(of pid: pid_t) -> State {
        // The name before the state stands in parentheses and may hold anything.
        switch Filesystem.tail("/proc/\(pid)/stat").split(separator: ")").last?.dropFirst().first {
        case nil, "Z", "X": .gone
        case "T": .stopped
        default: .running
        }
    }

    static func children(of pid: pid_t) -> [pid_t] {
        Filesystem.tail("/proc/\(pid)/task/\(pid)/children", bytes: 1 << 16)
            .split(separator: " ")
            .compactMap { pid_t($0) }
    }
}
