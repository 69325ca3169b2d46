/// One connection to PostgreSQL, with a thread of its own on which its methods run to their end.
///
/// It opens a session at its first use. With `reopens`, a session that is lost is replaced at the next use outside of a
/// transaction; without, every later call throws `.connectionLost`, so that what belongs to a session (an advisory
/// lock, a temporary table) cannot vanish unnoticed.
///
/// **Deadlines.** Every call returns by its deadline, also when the server is stopped. When it passes, the socket is
/// closed and the call throws `.timedOut`, or `.commitUnknown` if a commit may have been on its way. Without a deadline
/// the configuration's `callTimeout` counts from when the connection takes the call up.
///
/// **Cancellation.** A cancelled task sends nothing more: its next call throws `.cancelled`. A call that has been sent
/// is not interrupted; its deadline and `statement_timeout` bound it. Interrupting it would save less than that and
/// leave one more way to not know the outcome.
package actor PostgresConnection {
    package nonisolated let configuration: PostgresConfiguration
    private nonisolated let thread: ConnectionThread
    private nonisolated let socket = SessionSocket()
    private let reopens: Bool
    private var session: Session?
    private var hasOpened = false
    /// The transaction that owns this connection now; every call from elsewhere is refused.
    private var transaction: PostgresTransaction?

    package nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    /// Throws `.resourceLimit` if there is no thread to be had. Opens nothing yet.
    package init(_ configuration: PostgresConfiguration, reopens: Bool = false) throws(PostgresError) {
        self.configuration = configuration
        self.reopens = reopens
        thread = try ConnectionThread()
    }

    deinit { thread.stop() }

    /// Whether there is a session, as far as anyone has noticed.
    package nonisolated var isOpen: Bool { socket.isReady }

    /// Opens the session now; does nothing if there is one.
    package func open(deadline: ContinuousClock.Instant? = nil) throws(PostgresError) {
        _ = try idleSession(limit(deadline))
    }

    /// Says goodbye and closes the session. The connection does not open again.
    package func close() {
        session = nil
        transaction = nil
        socket.forbid()
    }

    /// Like `close`, from any thread and at once: a call under way ends as if the network had broken.
    package nonisolated func abort() { socket.forbid() }

    /// One statement in a transaction of its own.
    package func query(
        _ statement: Statement, _ values: [PostgresValue] = [], deadline: ContinuousClock.Instant? = nil
    ) throws(PostgresError) -> PostgresRows {
        try pipeline([Call(statement, values)], deadline: deadline)[0]
    }

    /// All calls in one round trip and one transaction: every one takes effect, or none.
    ///
    /// On an error `callIndex` and `statement` say which call failed; the calls behind it did not run. The calls may
    /// hold `Statement.begin` and `Statement.commit`, but no transaction may be left open.
    package func pipeline(
        _ calls: [Call], deadline: ContinuousClock.Instant? = nil
    ) throws(PostgresError) -> [PostgresRows] {
        try refuseIfCancelled()
        let deadline = limit(deadline)
        let session = try idleSession(deadline)
        defer { dropIfLost() }
        do throws(PostgresError) {
            let rows = try session.run(PipelineRequest(calls: calls), deadline: deadline)
            guard session.isLost || session.isIdle else {
                throw PostgresError(.misuse, "expected the calls to end their transaction; it was rolled back")
            }
            return rows
        } catch {
            cleanUp(session)
            throw error
        }
    }

    /// Several statements of SQL text, for migrations and set-up. Returns no rows.
    package func execute(
        script: String, deadline: ContinuousClock.Instant? = nil
    ) throws(PostgresError) {
        try refuseIfCancelled()
        let deadline = limit(deadline)
        let session = try idleSession(deadline)
        defer { dropIfLost() }
        do throws(PostgresError) {
            try session.run(script: script, deadline: deadline)
            guard session.isIdle else {
                throw PostgresError(.misuse, "expected the script to end its transaction; it was rolled back")
            }
        } catch {
            cleanUp(session)
            throw error
        }
    }
}

// MARK: - On behalf of a transaction

extension PostgresConnection {
    /// Runs calls inside `transaction`; its first ones take BEGIN along, its last ones COMMIT.
    func run(
        _ calls: [Call], commits: Bool, in transaction: PostgresTransaction, deadline: ContinuousClock.Instant?
    ) throws(PostgresError) -> [PostgresRows] {
        try refuseIfCancelled()
        let deadline = min(limit(deadline), transaction.deadline)
        let session = try session(of: transaction, deadline)
        let begins = transaction.progress == .notBegun
        do throws(PostgresError) {
            let request = PipelineRequest(
                begin: begins ? transaction.mode.begin : nil, calls: calls, commits: commits)
            let rows = try session.run(request, deadline: deadline)
            settle(transaction, session, commits ? .committed : .open)
            if !commits && !session.isInTransaction { throw leftTransaction() }
            return rows
        } catch {
            fail(transaction, session)
            throw error
        }
    }

    func run(
        script: String, in transaction: PostgresTransaction, deadline: ContinuousClock.Instant?
    ) throws(PostgresError) {
        if transaction.progress == .notBegun {
            _ = try run([], commits: false, in: transaction, deadline: deadline)
        }
        try refuseIfCancelled()
        let deadline = min(limit(deadline), transaction.deadline)
        let session = try session(of: transaction, deadline)
        do throws(PostgresError) {
            try session.run(script: script, deadline: deadline)
            if !session.isInTransaction { throw leftTransaction() }
        } catch {
            fail(transaction, session)
            throw error
        }
    }

    /// Ends what `transaction` left open. Never throws: what cannot be rolled back is cut, and the server rolls back.
    func rollBack(_ transaction: PostgresTransaction) {
        guard self.transaction === transaction else { return }
        if let session { cleanUp(session) }
        dropIfLost()
        transaction.progress = .rolledBack
        self.transaction = nil
    }

    private func session(
        of transaction: PostgresTransaction, _ deadline: ContinuousClock.Instant
    ) throws(PostgresError) -> Session {
        switch transaction.progress {
        case .notBegun:
            let session = try idleSession(deadline)
            self.transaction = transaction
            return session
        case .open:
            if let session, self.transaction === transaction { return session }
            throw PostgresError(.connectionLost, "expected the session of this transaction, it was closed")
        case .failed, .committed, .rolledBack:
            throw PostgresError(
                .transactionAborted, "expected an open transaction, got one that is \(transaction.progress)")
        }
    }

    private func settle(
        _ transaction: PostgresTransaction, _ session: Session, _ progress: PostgresTransaction.Progress
    ) {
        transaction.progress = progress
        if progress == .committed { self.transaction = nil }
        dropIfLost()
    }

    private func fail(_ transaction: PostgresTransaction, _ session: Session) {
        if session.isLost || session.isIdle {
            transaction.progress = .rolledBack
            self.transaction = nil
        } else if transaction.progress != .rolledBack {
            transaction.progress = .failed
        }
        dropIfLost()
    }

    private func leftTransaction() -> PostgresError {
        PostgresError(.misuse, "expected statements without BEGIN, COMMIT or ROLLBACK inside a transaction")
    }
}

// MARK: - The session

extension PostgresConnection {
    private func limit(_ deadline: ContinuousClock.Instant?) -> ContinuousClock.Instant {
        deadline ?? .now + configuration.callTimeout
    }

    private func refuseIfCancelled() throws(PostgresError) {
        if Task.isCancelled { throw PostgresError(.cancelled, "the task was cancelled; nothing was sent") }
    }

    /// The session, opened if need be, for a call that belongs to no transaction.
    private func idleSession(_ deadline: ContinuousClock.Instant) throws(PostgresError) -> Session {
        guard transaction == nil else {
            throw PostgresError(.misuse, "expected a free connection, got one inside a transaction")
        }
        if let session, !session.endedWhileIdle() { return session }
        session = nil
        guard !socket.isForbidden else {
            throw PostgresError(.connectionLost, "expected an open connection, got a closed one")
        }
        guard reopens || !hasOpened else {
            throw PostgresError(.connectionLost, "the session ended, and this connection does not reopen")
        }
        guard ContinuousClock.now < deadline else {
            throw PostgresError(.timedOut, "expected to start before the deadline; nothing was sent")
        }
        let opened = try Session.open(configuration, socket: socket, deadline: deadline)
        hasOpened = true
        session = opened
        return opened
    }

    /// Rolls back what is open. Given one second: a server that needs longer is not worth waiting for.
    private func cleanUp(_ session: Session) {
        if session.isLost || session.isIdle { return }
        let rollback = PipelineRequest(calls: [Call(.rollback)])
        _ = try? session.run(rollback, deadline: .now + .seconds(1))
        if !session.isIdle { session.isLost = true }
    }

    private func dropIfLost() {
        if session?.isLost == true { session = nil }
    }
}
