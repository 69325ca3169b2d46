import Glibc
import Synchronization

/// A child that this process controls by its pid and that does not outlive it.
///
/// Started with `posix_spawn`: a server is held for as long as its owner likes, is stopped, continued and killed, and
/// none of that fits a run that is bounded by a closure. Its death with its parent is a watchdog's work, a shell that
/// waits on a socket whose other end only this process holds: the kernel closes that end however this process dies.
/// `PR_SET_PDEATHSIG` would not do: it follows the *thread* that spawned, and pool threads come and go.
///
/// Pids are never signalled after they could have been reused: a child stays a zombie until `reap` collects it, and
/// the watchdog is gone before that.
package final class ChildProcess: Sendable {
    private struct State {
        var watchdog: pid_t
        var lifeline: Int32
        /// The status of `waitpid`, once the child has been collected.
        var status: Int32?
    }

    package let pid: Int32
    private let state: Mutex<State>

    /// - Parameters:
    ///   - arguments: the program's path and its arguments.
    ///   - environment: the child's whole environment; nil: this process's.
    ///   - logPath: where standard output and error are appended.
    ///   - orphanedFolder: is deleted where this process dies before the child; who lives on deletes its own.
    package init(
        _ arguments: [String], environment: [String: String]? = nil, logPath: String, orphanedFolder: String? = nil
    ) throws(LocalServerError) {
        let ends = try Self.lifeline()
        do {
            pid = try Self.spawn(arguments, input: nil, environment: environment, logPath: logPath)
        } catch {
            close(ends.read)
            close(ends.write)
            throw error
        }
        // `read` ends when the last writer is gone. The child's own children too: a database's frozen sessions would
        // never notice that their postmaster is gone.
        let script = """
            read -r _; kill -KILL \(pid) $(cat /proc/\(pid)/task/\(pid)/children); [ -z "$1" ] || rm -rf -- "$1"
            """
        let watchdog = try? Self.spawn(
            ["/bin/sh", "-c", script, "watchdog", orphanedFolder ?? ""], input: ends.read, environment: nil,
            logPath: "/dev/null")
        close(ends.read)
        state = Mutex(State(watchdog: watchdog ?? 0, lifeline: ends.write))
        guard watchdog == nil else { return }
        signal(SIGKILL)
        throw LocalServerError(.system, "expected /bin/sh to watch over \(arguments[0]), could not start it")
    }

    deinit {
        signal(SIGKILL)
        // A killed child is collected at once or, stopped in the kernel, soon: the only wait here, and a short one.
        while !reap() { usleep(1000) }
    }

    /// Sends a signal, if the child still runs.
    package func signal(_ number: Int32) {
        state.withLock { if $0.status == nil { _ = kill(pid, number) } }
    }

    /// Whether the child has ended; collects it the first time, together with its watchdog.
    package func reap() -> Bool {
        state.withLock { state in
            if state.status != nil { return true }
            // Look without collecting: the pid must stay taken until nobody is left who would signal it.
            var info = siginfo_t()
            guard waitid(P_PID, id_t(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0, info.si_signo == SIGCHLD else {
                return false
            }
            if state.watchdog > 0 {
                kill(state.watchdog, SIGKILL)
                _ = waitpid(state.watchdog, nil, 0)
            }
            close(state.lifeline)
            var status: Int32 = 0
            _ = waitpid(pid, &status, 0)
            state.status = status
            return true
        }
    }

    /// Waits until the child has ended.
    ///
    /// - Returns: whether it did within the limit.
    package func waitForEnd(_ limit: Duration) async -> Bool {
        await waitUntil(limit) { self.reap() }
    }

    /// The code it ended with; nil while it runs, and where a signal ended it.
    package var exitCode: Int32? {
        state.withLock { state in
            guard let status = state.status, status & 0x7F == 0 else { return nil }
            return (status >> 8) & 0xFF
        }
    }

    /// Whether the child ended by itself with code 0.
    package var hasSucceeded: Bool { state.withLock { $0.status == 0 } }

    private static func lifeline() throws(LocalServerError) -> (read: Int32, write: Int32) {
        var ends: [Int32] = [0, 0]
        // Close-on-exec from the first moment, or a child started meanwhile would hold this one's lifeline too. A pair of
        // sockets, as `pipe2` is not in Glibc's module.
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, type, 0, &ends) == 0 else {
            throw LocalServerError(.system, "expected a pair of sockets, got \(Filesystem.lastError)")
        }
        return (ends[0], ends[1])
    }

    private static func spawn(
        _ arguments: [String], input: Int32?, environment: [String: String]?, logPath: String
    ) throws(LocalServerError) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        if let input {
            posix_spawn_file_actions_adddup2(&actions, input, 0)
        } else {
            posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        }
        posix_spawn_file_actions_addopen(&actions, 1, logPath, O_WRONLY | O_CREAT | O_APPEND, 0o644)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // A process group of its own: Ctrl-C in a terminal reaches us only, and we decide the order of the end.
        let flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF
        posix_spawnattr_setflags(&attributes, Int16(flags))
        posix_spawnattr_setpgroup(&attributes, 0)
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)

        var argv: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        defer { for argument in argv { free(argument) } }
        var variables: [UnsafeMutablePointer<CChar>?] =
            environment.map { $0.map { strdup("\($0.key)=\($0.value)") } + [nil] } ?? []
        defer { for variable in variables { free(variable) } }
        var pid: pid_t = 0
        let failure = variables.withUnsafeMutableBufferPointer { own in
            posix_spawn(
                &pid, arguments[0], &actions, &attributes, &argv, own.isEmpty ? environ : own.baseAddress)
        }
        guard failure == 0 else {
            let reason = String(cString: strerror(failure))
            throw LocalServerError(.system, "expected to start \(arguments[0]), got: \(reason)")
        }
        return pid
    }
}

/// Asks again every 5 ms until the answer is yes.
///
/// - Returns: whether it was within the limit; `false` early where the task is cancelled.
package func waitUntil(_ limit: Duration, _ condition: () async -> Bool) async -> Bool {
    let end = ContinuousClock.now + limit
    while !(await condition()) {
        guard ContinuousClock.now < end, (try? await Task.sleep(for: .milliseconds(5))) != nil else { return false }
    }
    return true
}
