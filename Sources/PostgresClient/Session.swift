import CPostgres
import Glibc
import Synchronization

/// One session with one server: a libpq connection in non-blocking pipeline mode.
///
/// Belongs to the connection's actor, which calls it on its thread only. After `isLost` it is good for nothing but to
/// be dropped; that closes the socket.
final class Session {
    let pg: OpaquePointer
    var isLost = false
    /// The server lives, but a new session would serve better: plans are stale, or it takes no writes any more.
    var isSpent = false
    var parameters = ParameterBuffer()
    /// What this session has prepared, by name.
    var prepared: [String: Statement] = [:]
    private let socket: SessionSocket

    private init(_ pg: OpaquePointer, socket: SessionSocket) {
        self.pg = pg
        self.socket = socket
        socket.set(PQsocket(pg))
    }

    deinit {
        // Cut before PQfinish says goodbye: a stopped server must not be waited for, nor get the rest of a pipeline.
        if isLost { socket.cut() }
        PQfinish(pg)
        socket.clear()
    }

    var isIdle: Bool { PQtransactionStatus(pg) == PQTRANS_IDLE }
    var isInTransaction: Bool { PQtransactionStatus(pg) == PQTRANS_INTRANS }

    /// Whether the server has ended this session while nobody used it. Costs one `poll` that does not wait.
    func endedWhileIdle() -> Bool {
        var entry = pollfd(fd: PQsocket(pg), events: Int16(POLLIN), revents: 0)
        while !isLost && poll(&entry, 1, 0) > 0 {
            if PQconsumeInput(pg) == 0 || PQstatus(pg) == CONNECTION_BAD {
                isLost = true
            } else {
                while let notice = PQnotifies(pg) { PQfreemem(notice) }
            }
        }
        return isLost
    }
}

// MARK: - Opening

extension Session {
    /// Tries the configured hosts in order, each for `connectTimeout` at most.
    static func open(
        _ configuration: PostgresConfiguration, socket: SessionSocket, deadline: ContinuousClock.Instant
    ) throws(PostgresError) -> Session {
        var failure = PostgresError(.timedOut, "expected a session before the deadline")
        for host in configuration.hosts {
            do throws(PostgresError) {
                let limit = min(deadline, .now + configuration.connectTimeout)
                for address in try HostLookup.resolve(host, deadline: limit) {
                    do throws(PostgresError) {
                        return try open(configuration, at: address, socket: socket, deadline: deadline)
                    } catch {
                        failure = error
                    }
                }
            } catch {
                failure = error
            }
        }
        throw failure
    }

    private static func open(
        _ configuration: PostgresConfiguration, at host: PostgresConfiguration.Host, socket: SessionSocket,
        deadline: ContinuousClock.Instant
    ) throws(PostgresError) -> Session {
        let limit = min(deadline, .now + configuration.connectTimeout)
        guard let pg = start(configuration.connectionOptions(host: host)) else {
            throw PostgresError(.outOfMemory, "expected memory for a connection, got none")
        }
        let session = Session(pg, socket: socket)
        do throws(PostgresError) {
            try session.finishOpening(deadline: limit)
            try session.requireWritable(configuration.requiresWritableServer)
            socket.becameReady()
        } catch {
            session.isLost = true
            throw error
        }
        return session
    }

    private static func start(_ options: [(String, String)]) -> OpaquePointer? {
        let copies = options.map { (strdup($0.0), strdup($0.1)) }
        defer {
            for (keyword, value) in copies {
                free(keyword)
                free(value)
            }
        }
        let keywords: [UnsafePointer<CChar>?] = copies.map { UnsafePointer($0.0) } + [nil]
        let values: [UnsafePointer<CChar>?] = copies.map { UnsafePointer($0.1) } + [nil]
        return PQconnectStartParams(keywords, values, 0)
    }

    private func finishOpening(deadline: ContinuousClock.Instant) throws(PostgresError) {
        // Verbose, because a refused start-up has no result to ask for its SQLSTATE: it stands in the text only.
        PQsetErrorVerbosity(pg, PQERRORS_VERBOSE)
        // Without a receiver libpq prints notices to stderr.
        PQsetNoticeReceiver(pg, { _, _ in }, nil)
        var state = PQstatus(pg) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING
        while state != PGRES_POLLING_OK {
            guard state != PGRES_POLLING_FAILED else { throw startFailure() }
            let events = state == PGRES_POLLING_READING ? POLLIN : POLLOUT
            guard waitForSocket(PQsocket(pg), Int16(events), until: deadline) != 0 else {
                throw PostgresError(.timedOut, "expected a session before the deadline")
            }
            state = PQconnectPoll(pg)
            // libpq may have moved on to another socket (SSL refused, then plain).
            socket.set(PQsocket(pg))
        }
        PQsetErrorVerbosity(pg, PQERRORS_DEFAULT)
        guard PQsetnonblocking(pg, 1) == 0, PQenterPipelineMode(pg) == 1 else {
            throw PostgresError(.protocolViolation, "expected libpq to enter pipeline mode")
        }
    }

    private func startFailure() -> PostgresError {
        let lines = errorText.split(separator: "\n")
        // `… FATAL:  53300: sorry, too many clients already`
        for line in lines {
            for part in line.split(separator: ":").dropFirst() {
                let state = part.drop { $0 == " " }
                let isState = state.utf8.count == 5 && state.utf8.allSatisfy { (48...57) ~= $0 || (65...90) ~= $0 }
                guard isState, state.utf8.contains(where: { (48...57) ~= $0 }) else { continue }
                let code = PostgresError.Code(sqlState: String(state))
                let message = line[part.endIndex...].drop { $0 == ":" || $0 == " " }
                return PostgresError(code, String(message), sqlState: String(state))
            }
        }
        return PostgresError(.connectionRefused, lines.first.map(String.init) ?? "the server could not be reached")
    }

    /// Servers since version 14 report both settings by themselves; older ones are taken as they are.
    private func requireWritable(_ required: Bool) throws(PostgresError) {
        guard required else { return }
        for setting in ["in_hot_standby", "default_transaction_read_only"] {
            if let value = PQparameterStatus(pg, setting), strcmp(value, "on") == 0 {
                throw PostgresError(.readOnly, "expected a server that takes writes, got one with \(setting) on")
            }
        }
    }

    var errorText: String { PQerrorMessage(pg).map { String(cString: $0) } ?? "" }
}

/// The socket of the session that there is now, for those who must cut it from another thread.
///
/// Holds a duplicate of libpq's descriptor: libpq closes its own whenever a connection breaks, and the number may be
/// another connection's before anyone here knows.
final class SessionSocket: Sendable {
    private struct State {
        var duplicate: Int32 = -1
        var isReady = false
        var isForbidden = false

        func cut() { if duplicate >= 0 { _ = shutdown(duplicate, Int32(SHUT_RDWR)) } }

        mutating func clear() {
            if duplicate >= 0 { close(duplicate) }
            duplicate = -1
            isReady = false
        }
    }

    private let state = Mutex(State())

    deinit { clear() }

    /// Whether a session stands on the socket, not merely an attempt at one.
    var isReady: Bool { state.withLock { $0.isReady } }

    var isForbidden: Bool { state.withLock { $0.isForbidden } }

    func set(_ socket: Int32) {
        state.withLock { state in
            state.clear()
            if socket >= 0 { state.duplicate = fcntl(socket, F_DUPFD_CLOEXEC, 0) }
            if state.isForbidden { state.cut() }
        }
    }

    func clear() { state.withLock { $0.clear() } }

    func becameReady() { state.withLock { $0.isReady = true } }

    /// Ends all traffic: whoever waits for the socket wakes and finds it closed.
    func cut() { state.withLock { $0.cut() } }

    /// Cuts this session and every later one.
    func forbid() {
        state.withLock { state in
            state.isForbidden = true
            state.cut()
        }
    }
}
