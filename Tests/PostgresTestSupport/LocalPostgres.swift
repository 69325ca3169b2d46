import Glibc
package import PostgresClient
import Synchronization

/// A PostgreSQL server of our own for tests: a fresh cluster in a temporary directory, on a free port of 127.0.0.1 and
/// a socket. Not durable (`fsync = off`).
package final class LocalPostgres: Sendable {
    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    private static let binaries = "/usr/lib/postgresql/15/bin"
    private static let running = Mutex<Set<Int32>>([])
    /// All ever made; removed when the process exits.
    private static let directories = Mutex<[String]>([])

    package let directory: String
    package let port: Int
    private let process = Mutex<pid_t>(0)

    /// One server for all tests of the process that do it no harm.
    package static let shared = Task { try await LocalPostgres.start() }

    /// The process id of the postmaster; 0 when it is stopped.
    package var pid: Int32 { process.withLock { $0 } }

    package static func start(settings: [String] = []) async throws -> LocalPostgres {
        try await onThread {
            let server = try LocalPostgres()
            try server.initialise(settings)
            try server.launch()
            return server
        }
    }

    private init() throws {
        var template = Array("/tmp/pgtest.XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Failure(description: "mkdtemp: errno \(errno)") }
        directory = String(decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        chmod(directory, 0o755)
        Self.remember(directory)
        port = try Self.freePort()
    }

    /// Through the socket (the default) or TCP.
    package func configuration(tcp: Bool = false, port: Int? = nil) throws -> PostgresConfiguration {
        let host = tcp ? "127.0.0.1" : directory
        var configuration = try PostgresConfiguration(
            "host=\(host) port=\(port ?? self.port) user=postgres dbname=postgres sslmode=disable")
        configuration.searchPath = "public"
        return configuration
    }

    package func stop(immediately: Bool = false) async throws {
        try await Self.onThread {
            let pid = self.process.withLock { pid in
                defer { pid = 0 }
                return pid
            }
            guard pid > 0 else { return }
            _ = kill(pid, immediately ? SIGQUIT : SIGINT)
            var status: Int32 = 0
            while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
            _ = Self.running.withLock { $0.remove(pid) }
        }
    }

    package func restart() async throws { try await Self.onThread { try self.launch() } }

    private func initialise(_ settings: [String]) throws {
        if getuid() == 0, let user = getpwnam("postgres") { chown(directory, user.pointee.pw_uid, user.pointee.pw_gid) }
        try Self.run([
            "\(Self.binaries)/initdb", "-D", "\(directory)/data", "-A", "trust", "-U", "postgres", "-N", "-E", "UTF8",
            "--locale=C.UTF-8",
        ])
        let lines =
            [
                "listen_addresses = '127.0.0.1'", "port = \(port)", "unix_socket_directories = '\(directory)'",
                "fsync = off", "max_connections = 300", "shared_buffers = 64MB", "deadlock_timeout = 100ms",
            ] + settings
        guard let file = fopen("\(directory)/data/postgresql.conf", "a") else {
            throw Failure(description: "postgresql.conf: errno \(errno)")
        }
        fputs(lines.joined(separator: "\n") + "\n", file)
        fclose(file)
    }

    private func launch() throws {
        let pid = try Self.spawn([
            "\(Self.binaries)/postgres", "-D", "\(directory)/data",
        ])
        process.withLock { $0 = pid }
        _ = Self.running.withLock { $0.insert(pid) }
        // Asks the way pg_ctl -w does; a limit, not a guess.
        for _ in 0..<300 {
            let ready = [
                "\(Self.binaries)/pg_isready", "-q", "-h", directory, "-p", "\(port)", "-U", "postgres",
            ]
            if (try? Self.run(ready)) != nil { return }
            usleep(50_000)
        }
        throw Failure(description: "expected the server to accept connections within 15 s")
    }
}

// MARK: - Processes

extension LocalPostgres {
    /// Runs blocking `body` on a thread of its own, away from Swift's.
    package static func onThread<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
        try await withCheckedThrowingContinuation { continuation in
            startThread { continuation.resume(with: Result(catching: body)) }
        }
    }

    @discardableResult
    private static func run(_ command: [String]) throws -> Int32 {
        let pid = try spawn(command)
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
        guard status == 0 else { throw Failure(description: "\(command[0]) ended with status \(status)") }
        return status
    }

    /// PostgreSQL refuses to run as root: setpriv changes the user and then becomes the command, keeping the pid.
    private static func spawn(_ command: [String]) throws -> pid_t {
        let user = ["/usr/bin/setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--"]
        let prefix = ["/usr/bin/env", "--chdir=/", "LC_ALL=C.UTF-8"] + (getuid() == 0 ? user : [])
        var arguments: [UnsafeMutablePointer<CChar>?] = (prefix + command).map { strdup($0) } + [nil]
        defer { for entry in arguments { free(entry) } }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        var pid = pid_t()
        let status = posix_spawn(&pid, arguments[0]!, &actions, nil, &arguments, environ)
        guard status == 0 else { throw Failure(description: "\(command[0]): errno \(status)") }
        return pid
    }

    /// Ends our servers, and only ours, when the process exits.
    private static func remember(_ directory: String) {
        let isFirst = directories.withLock { directories in
            defer { directories.append(directory) }
            return directories.isEmpty
        }
        if isFirst { atexit { LocalPostgres.endAll() } }
    }

    private static func endAll() {
        var status: Int32 = 0
        for pid in running.withLock({ $0 }) {
            kill(pid, SIGCONT)
            kill(pid, SIGQUIT)
            waitpid(pid, &status, 0)
        }
        let removal = try? spawn(["/bin/rm", "-rf"] + directories.withLock { $0 })
        if let removal { waitpid(removal, &status, 0) }
    }

    private static func freePort() throws -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(INADDR_LOOPBACK).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) + getsockname(descriptor, $0, &length)
            }
        }
        guard status == 0 else { throw Failure(description: "no free port: errno \(errno)") }
        return Int(UInt16(bigEndian: address.sin_port))
    }
}

/// Runs `body` on a thread of its own.
func startThread(_ body: @escaping @Sendable () -> Void) {
    let work = ThreadWork(body)
    var thread = pthread_t()
    pthread_create(
        &thread, nil,
        { context in
            Unmanaged<ThreadWork>.fromOpaque(context!).takeRetainedValue().run()
            return nil
        }, Unmanaged.passRetained(work).toOpaque())
    pthread_detach(thread)
}

private final class ThreadWork: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}
