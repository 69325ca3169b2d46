import Glibc

/// A private nats-server with JetStream on 127.0.0.1.
///
/// The binary is `NATS_SERVER_BIN`, else `nats-server` on the PATH. Port and data stay the same over `stop`, `kill`
/// and `start`. It dies with this process, or when the last reference to it is dropped.
package actor NATSServer {
    /// Where its configuration, log and JetStream data are.
    package nonisolated let folder: String
    /// Configuration that is added to the server's own: users, permissions, `max_payload`, a cluster.
    private var configuration: String
    private let chosenPort: UInt16?
    private let isTemporary: Bool
    private var process: ChildProcess?
    /// The port that it listens on; 0 before the first start where none was chosen.
    package private(set) var port: UInt16

    /// - Parameters:
    ///   - folder: an absolute path, made where it is missing, kept when the server stops; without one a temporary
    ///     folder, which is deleted with it.
    ///   - port: 1 to 65535; without one a free port.
    package init(folder: String? = nil, port: UInt16? = nil, configuration: String = "") throws(LocalServerError) {
        isTemporary = folder == nil
        self.folder = if let folder { folder } else { try Filesystem.makeTemporaryFolder() }
        self.configuration = configuration
        chosenPort = port
        self.port = port ?? 0
    }

    /// `nats://127.0.0.1:<port>`
    package var url: String { "nats://127.0.0.1:\(port)" }

    deinit {
        process = nil
        if isTemporary { Filesystem.remove(folder) }
    }

    package var pid: Int32? { process?.pid }

    package nonisolated var logPath: String { "\(folder)/nats-server.log" }

    /// The last lines of its log.
    package nonisolated var logTail: String { Filesystem.tail(logPath) }

    /// Starts it and returns when it answers, within 10 s.
    package func start() async throws(LocalServerError) {
        guard process == nil else { throw LocalServerError(.wrongState, "expected nats-server stopped, it runs") }
        let name = Filesystem.environment("NATS_SERVER_BIN") ?? "nats-server"
        guard let program = Filesystem.program(name) else {
            throw LocalServerError(
                .missing, "expected the program \(name): apt-get install nats-server, or set NATS_SERVER_BIN")
        }
        try Filesystem.makeFolder(folder)
        // A free port can be taken until the server binds it; a chosen one is the caller's word.
        for attempt in 1... {
            if port == 0 { port = try Loopback.freePort() }
            do {
                return try await start(program)
            } catch {
                guard chosenPort == nil, attempt < 3, error.log.contains("address already in use") else { throw error }
                port = 0
            }
        }
    }

    private func start(_ program: String) async throws(LocalServerError) {
        try writeConfiguration()
        // The server names this file after its own pid once it listens: a greeting on the port would prove nothing, it
        // could come from another server there.
        let ports = "\(folder)/ports"
        Filesystem.remove(ports)
        try Filesystem.makeFolder(ports)
        let arguments = [program, "-c", "\(folder)/nats-server.conf", "--ports_file_dir", ports]
        let child = try ChildProcess(arguments, logPath: logPath, orphanedFolder: isTemporary ? folder : nil)
        process = child
        let isReady = await waitUntil(.seconds(10)) {
            child.reap() || Filesystem.names(in: ports).contains { $0.hasSuffix("_\(child.pid).ports") }
        }
        if isReady, !child.reap() { return }
        child.signal(SIGKILL)
        _ = await child.waitForEnd(.seconds(5))
        process = nil
        throw LocalServerError(.notReady, "expected nats-server to answer on port \(port) within 10 s", log: logTail)
    }

    private func writeConfiguration() throws(LocalServerError) {
        let text = """
            listen: "127.0.0.1:\(port)"
            jetstream { store_dir: "\(folder)/jetstream" }
            \(configuration)
            """
        try Filesystem.write(text, to: "\(folder)/nats-server.conf")
    }

    /// Puts another configuration in the place of what was added to its own, for its next start.
    package func reconfigure(_ configuration: String) { self.configuration = configuration }

    /// The same, and has it read while it runs (SIGHUP). Returns when it holds.
    package func reload(configuration: String) async throws(LocalServerError) {
        guard let child = process else { throw LocalServerError(.wrongState, "expected nats-server to run") }
        reconfigure(configuration)
        try writeConfiguration()
        let path = logPath
        let before = Self.reloads(path)
        child.signal(SIGHUP)
        let isReloaded = await waitUntil(.seconds(5)) { Self.reloads(path) > before }
        guard isReloaded else {
            throw LocalServerError(.notReady, "expected nats-server to take its configuration anew", log: logTail)
        }
    }

    /// How often a log says that the server took its configuration anew.
    private static func reloads(_ path: String) -> Int {
        Filesystem.tail(path, bytes: 1 << 20).split(separator: "\n").count { $0.contains("Reloaded server config") }
    }

    /// Ends it in good order, by force after 10 s. Nothing happens where it does not run.
    package func stop() async {
        guard let child = process else { return }
        child.signal(SIGCONT)
        child.signal(SIGTERM)
        if !(await child.waitForEnd(.seconds(10))) {
            child.signal(SIGKILL)
            _ = await child.waitForEnd(.seconds(5))
        }
        process = nil
    }

    /// Ends it as a crash would (SIGKILL), and returns when it is gone.
    package func kill() async {
        guard let child = process else { return }
        child.signal(SIGKILL)
        _ = await child.waitForEnd(.seconds(5))
        process = nil
    }

    /// Stops and starts it, on the same port and data.
    package func restart() async throws(LocalServerError) {
        await stop()
        try await start()
    }

    /// Freezes it (SIGSTOP), and returns when it stands still: connections stay, nothing answers.
    package func pause() async {
        guard let child = process else { return }
        child.signal(SIGSTOP)
        _ = await waitUntil(.seconds(5)) { ProcessTable.state(of: child.pid) != .running }
    }

    /// Lets it go on after `pause`.
    package func resume() { process?.signal(SIGCONT) }

    /// Stops it and deletes its folder, if that was a temporary one.
    package func remove() async {
        await stop()
        if isTemporary { Filesystem.remove(folder) }
    }
}
