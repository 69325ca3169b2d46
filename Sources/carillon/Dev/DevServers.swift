import Glibc
import LocalServers

/// The private nats-server and PostgreSQL of `carillon dev`, in one data folder.
///
/// Without a folder of the user's they live in a temporary one that goes with them. They end with this process,
/// however it ends.
struct DevServers: Sendable {
    /// Absolute.
    let folder: String
    let isTemporary: Bool
    let nats: NATSServer
    let postgres: PostgresServer
    private let ports: (nats: UInt16?, postgres: UInt16?)
    /// Held while a folder of the user's is in use.
    private let lock: FolderLock?

    /// - Parameters:
    ///   - folder: where data stays; nil for a temporary folder.
    ///   - natsPort: nil for a free one.
    ///   - postgresPort: nil for a free one.
    init(folder chosen: String?, natsPort: UInt16?, postgresPort: UInt16?) throws {
        if let chosen {
            folder = try Self.prepare(chosen)
            lock = try FolderLock(folder)
        } else {
            folder = try Filesystem.makeTemporaryFolder()
            lock = nil
        }
        isTemporary = chosen == nil
        ports = (natsPort, postgresPort)
        nats = try NATSServer(folder: folder + "/nats", port: natsPort)
        postgres = try PostgresServer(folder: folder + "/postgres", port: postgresPort)
    }

    /// Starts both side by side, and returns when both answer.
    func start() async throws(DevFault) {
        async let natsStarted: Void = nats.start()
        async let postgresStarted: Void = postgres.start()
        do { try await natsStarted } catch {
            throw fault(error, server: "nats-server", port: ports.nats, "--nats-port")
        }
        do { try await postgresStarted } catch {
            throw fault(error, server: "PostgreSQL", port: ports.postgres, "--postgres-port")
        }
    }

    /// Ends both; a temporary folder goes with them.
    func stop() async {
        async let natsStopped: Void = nats.stop()
        async let postgresStopped: Void = postgres.stop()
        _ = await (natsStopped, postgresStopped)
        if isTemporary { Filesystem.remove(folder) }
    }

    private func fault(_ error: any Error, server: String, port: UInt16?, _ flag: String) -> DevFault {
        guard let error = error as? LocalServerError else { return DevFault("\(server): \(error)") }
        if let port, error.log.contains("already in use") {
            return DevFault("port \(port) is taken: choose another with \(flag), or leave it out for a free one")
        }
        if error.code == .missing { return DevFault(error.message) }
        let lastWord = error.log.split(separator: "\n").last.map { "; its last word: \($0)" } ?? ""
        return DevFault("\(server) did not start: \(error.message)\(lastWord)")
    }

    /// Makes the folder where it is missing. - Returns: its absolute path.
    private static func prepare(_ path: String) throws -> String {
        let absolute: String
        if path.hasPrefix("/") {
            absolute = path
        } else {
            guard let current = getcwd(nil, 0) else { throw DevFault("the working directory is gone") }
            defer { free(current) }
            absolute = String(cString: current) + "/" + path
        }
        let isNew = access(absolute, F_OK) != 0
        do { try Filesystem.makeFolder(absolute) } catch { throw DevFault("--data-dir: \(error.message)") }
        // Whatever the umask: as root, PostgreSQL runs as another user, who must pass through.
        if isNew { chmod(absolute, 0o755) }
        try Filesystem.makeFolder(absolute + "/postgres")
        if geteuid() == 0 {
            chmod(absolute + "/postgres", 0o755)
            try expectPassable(absolute)
        }
        return absolute
    }

    /// As root, PostgreSQL runs as the user `postgres`: every folder on the way must let others through.
    private static func expectPassable(_ path: String) throws(DevFault) {
        var folder = ""
        for part in path.split(separator: "/") {
            folder += "/\(part)"
            var status = stat()
            guard stat(folder, &status) == 0, status.st_mode & 0o001 == 0 else { continue }
            throw DevFault(
                "--data-dir: as root, PostgreSQL runs as the user postgres, and \(folder) lets nobody through: choose a "
                    + "folder below /var/lib or /tmp, or run: chmod o+x \(folder)")
        }
    }
}

/// Why `carillon dev` cannot run, in one line.
struct DevFault: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// Keeps a second `carillon dev` off the same data. The lock goes with the process.
private final class FolderLock: Sendable {
    private let file: Int32

    init(_ folder: String) throws(DevFault) {
        let path = folder + "/lock"
        file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard file >= 0 else {
            throw DevFault("--data-dir: expected to write \(path), got: \(String(cString: strerror(errno)))")
        }
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
            close(file)
            throw DevFault("--data-dir: \(folder) is in use by another carillon dev")
        }
    }

    deinit { close(file) }
}
