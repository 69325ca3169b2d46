import Glibc

/// A private PostgreSQL cluster on 127.0.0.1 and a Unix socket, with one superuser `postgres` who needs no password.
///
/// The programs are those of the newest version in `/usr/lib/postgresql`, else those on the PATH. PostgreSQL refuses
/// to run as root: as root it runs as the system's user `postgres`, who must be able to reach the folder. Port and data
/// stay the same over `stop`, `kill` and `start`. It dies with this process.
package actor PostgresServer {
    package nonisolated let folder: String
    /// Where its Unix socket is; `nil` where the folder's path is too long for one.
    package nonisolated let socketFolder: String?
    /// `name=value` settings on top of the defaults.
    private let settings: [String]
    /// `NAME=value` variables of the server's environment, besides this process's.
    private let environment: [String]
    private let chosenPort: UInt16?
    private let isTemporary: Bool
    private var process: ChildProcess?
    /// The port that it listens on; 0 before the first start where none was chosen.
    package private(set) var port: UInt16

    /// - Parameters:
    ///   - folder: an absolute path, made where it is missing, kept when the server stops; without one a temporary
    ///     folder, which is deleted with it.
    ///   - port: 1 to 65535; without one a free port.
    ///   - fsync: without it a crash of the machine loses data, and commits cost less.
    ///   - settings: further `name=value` settings.
    ///   - environment: further variables of its environment.
    package init(
        folder: String? = nil, port: UInt16? = nil, fsync: Bool = true, settings: [String] = [],
        environment: [String: String] = [:]
    ) throws(LocalServerError) {
        isTemporary = folder == nil
        self.folder = if let folder { folder } else { try Filesystem.makeTemporaryFolder() }
        // A socket's path has 107 bytes, of which ".s.PGSQL.65535.lock" takes 20.
        socketFolder = self.folder.utf8.count <= 80 ? "\(self.folder)/socket" : nil
        self.settings = settings + (fsync ? [] : ["fsync=off", "synchronous_commit=off", "full_page_writes=off"])
        self.environment = environment.map { "\($0.key)=\($0.value)" }
        chosenPort = port
        self.port = port ?? 0
    }

    deinit {
        process = nil
        if isTemporary { Filesystem.remove(folder) }
    }

    package var pid: Int32? { process?.pid }

    package nonisolated var logPath: String { "\(folder)/postgres.log" }

    /// The last lines of its log.
    package nonisolated var logTail: String { Filesystem.tail(logPath) }

    /// `postgresql://postgres@127.0.0.1:<port>/<database>`
    package func url(database: String = "postgres") -> String {
        "postgresql://postgres@127.0.0.1:\(port)/\(database)"
    }

    /// Starts it, on a new cluster where there is none, and returns when it takes connections, within 60 s.
    package func start() async throws(LocalServerError) {
        guard process == nil else { throw LocalServerError(.wrongState, "expected PostgreSQL stopped, it runs") }
        try await prepare()
        for attempt in 1... {
            if port == 0 { port = try Loopback.freePort() }
            do {
                return try await startPrepared()
            } catch {
                guard chosenPort == nil, attempt < 3, error.log.contains("already in use") else { throw error }
                port = 0
            }
        }
    }

    /// Makes the folders and, in an empty one, a cluster.
    private func prepare() async throws(LocalServerError) {
        try Filesystem.makeFolder(folder)
        for path in ["\(folder)/data", socketFolder].compactMap(\.self) {
            try Filesystem.makeFolder(path)
            chmod(path, 0o700)
            try account?.own(path)
        }
        guard access("\(folder)/data/PG_VERSION", F_OK) != 0 else { return }
        // Made aside and renamed: one that was cut short is made again, not taken for a cluster.
        let fresh = "\(folder)/data.new"
        Filesystem.remove(fresh)
        try Filesystem.makeFolder(fresh)
        chmod(fresh, 0o700)
        try account?.own(fresh)
        let options = ["-D", fresh, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-locale", "-N"]
        try await run("initdb", options, .seconds(60))
        rmdir("\(folder)/data")
        guard rename(fresh, "\(folder)/data") == 0 else {
            throw LocalServerError(.system, "expected to rename \(fresh), got \(Filesystem.lastError)")
        }
    }

    private func startPrepared() async throws(LocalServerError) {
        let statusPath = "\(folder)/data/postmaster.pid"
        let standard = [
            "listen_addresses=127.0.0.1", "unix_socket_directories=\(socketFolder ?? "")", "logging_collector=off",
        ]
        let options = (standard + settings).flatMap { ["-c", $0] }
        let program = try Self.program("postgres")
        // Like setpriv, env replaces itself with the program.
        let variables = environment.isEmpty ? [] : ["/usr/bin/env"] + environment
        let arguments = asUser(variables + [program, "-D", "\(folder)/data", "-p", "\(port)"] + options)
        let child = try ChildProcess(arguments, logPath: logPath, orphanedFolder: isTemporary ? folder : nil)
        process = child
        // The postmaster writes its pid first and "ready" last; a file of an earlier run has another pid.
        let isReady = await waitUntil(.seconds(60)) {
            if child.reap() { return true }
            let lines = Filesystem.tail(statusPath).split(separator: "\n")
            return lines.first == "\(child.pid)" && lines.last?.hasPrefix("ready") == true
        }
        if isReady, !child.reap() { return }
        await kill()
        throw LocalServerError(.notReady, "expected PostgreSQL to take connections within 60 s", log: logTail)
    }

    /// Makes a database.
    package func createDatabase(_ name: String) async throws(LocalServerError) {
        guard process != nil else { throw LocalServerError(.wrongState, "expected PostgreSQL to run") }
        try await run("createdb", ["-h", "127.0.0.1", "-p", "\(port)", "-U", "postgres", name], .seconds(30))
    }

    /// Ends it in good order, without waiting for clients (SIGINT), by force after 20 s.
    package func stop() async {
        guard let child = process else { return }
        resume()
        child.signal(SIGINT)
        guard await child.waitForEnd(.seconds(20)) else { return await kill() }
        process = nil
    }

    /// Ends it and all its sessions as a crash of the machine would (SIGKILL), and returns when they are gone.
    package func kill() async {
        guard let child = process else { return }
        await pause()
        let sessions = ProcessTable.children(of: child.pid)
        for pid in [child.pid] + sessions { Glibc.kill(pid, SIGKILL) }
        _ = await child.waitForEnd(.seconds(5))
        // A session that still holds the shared memory would keep the next start from it.
        _ = await waitUntil(.seconds(5)) { sessions.allSatisfy { ProcessTable.state(of: $0) == .gone } }
        process = nil
    }

    /// Stops and starts it, on the same port and data.
    package func restart() async throws(LocalServerError) {
        await stop()
        try await start()
    }

    /// Freezes it and all its sessions (SIGSTOP), and returns when they stand still: connections stay, nothing answers.
    package func pause() async {
        guard let child = process else { return }
        // The postmaster first: once it stands still it starts no session that would be missed.
        child.signal(SIGSTOP)
        _ = await waitUntil(.seconds(5)) { ProcessTable.state(of: child.pid) != .running }
        let sessions = ProcessTable.children(of: child.pid)
        for pid in sessions { Glibc.kill(pid, SIGSTOP) }
        _ = await waitUntil(.seconds(5)) { sessions.allSatisfy { ProcessTable.state(of: $0) != .running } }
    }

    /// Lets it go on after `pause`.
    package func resume() {
        guard let child = process else { return }
        for pid in ProcessTable.children(of: child.pid) { Glibc.kill(pid, SIGCONT) }
        child.signal(SIGCONT)
    }

    /// Stops it and deletes its folder, if that was a temporary one.
    package func remove() async {
        await stop()
        if isTemporary { Filesystem.remove(folder) }
    }
}

// MARK: - Programs and processes

extension PostgresServer {
    /// The user that it runs as where we are root.
    private var account: Account? { geteuid() == 0 ? Account(name: "postgres") : nil }

    private func asUser(_ arguments: [String]) -> [String] {
        guard let account else { return arguments }
        // setpriv replaces itself with the program, so the pid is the server's own.
        let name = account.name
        return ["/usr/bin/setpriv", "--reuid=\(name)", "--regid=\(name)", "--init-groups", "--"] + arguments
    }

    private func run(_ name: String, _ options: [String], _ limit: Duration) async throws(LocalServerError) {
        let output = "\(folder)/\(name).log"
        let child = try ChildProcess(asUser([try Self.program(name)] + options), logPath: output)
        let hasEnded = await child.waitForEnd(limit)
        guard hasEnded, child.hasSucceeded else {
            let outcome = hasEnded ? "it failed" : "it took longer"
            throw LocalServerError(
                .notReady, "expected \(name) to succeed within \(limit), \(outcome)", log: Filesystem.tail(output))
        }
    }

    private static func program(_ name: String) throws(LocalServerError) -> String {
        let root = "/usr/lib/postgresql"
        let versions = Filesystem.names(in: root).compactMap { Int($0) }.sorted(by: >)
        let paths = versions.map { "\(root)/\($0)/bin/\(name)" }
        if let path = paths.first(where: { access($0, X_OK) == 0 }) ?? Filesystem.program(name) { return path }
        throw LocalServerError(.missing, "expected PostgreSQL's program \(name): apt-get install postgresql")
    }
}

/// A user of the system.
private struct Account {
    let name: String

    func own(_ path: String) throws(LocalServerError) {
        guard let entry = getpwnam(name) else {
            throw LocalServerError(.missing, "expected the system's user \(name): apt-get install postgresql")
        }
        guard chown(path, entry.pointee.pw_uid, entry.pointee.pw_gid) == 0 else {
            throw LocalServerError(.system, "expected to give \(path) to \(name), got \(Filesystem.lastError)")
        }
    }
}
