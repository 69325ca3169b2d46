import CPostgres
import Glibc

/// What goes to the server in one round trip, ended by one sync.
struct PipelineRequest {
    /// Sent before the calls.
    var begin: Statement?
    var calls: [Call]
    /// Whether COMMIT follows the calls.
    var commits = false
}

/// The steps of one pipeline and how far the answers to them have come.
///
/// Answers come in order. That decides what a lost session means: see `leavesCommitInDoubt`.
private struct PipelineProgress {
    struct Step {
        let call: Call
        /// The index in `PipelineRequest.calls`; nil for BEGIN and COMMIT.
        let index: Int?
        let isPreparation: Bool
        var isCommit: Bool { !isPreparation && call.statement == .commit }
    }

    let steps: [Step]
    /// Whether the sync commits: no transaction was open, and none is opened here.
    let isImplicit: Bool
    /// Steps answered so far.
    var answered = 0
    var rows: [PostgresRows] = []
    /// The first error, and whether the server ended the session with it.
    var failure: PostgresError?
    var isFatal = false

    private var commitIndex: Int? { steps.lastIndex { $0.isCommit } }

    var step: Step? { answered < steps.count ? steps[answered] : nil }

    /// Whether an explicit COMMIT, the last step, was confirmed: what is lost after it is only the end of the answer.
    var isCommitted: Bool { failure == nil && answered == steps.count && commitIndex == steps.count - 1 }

    /// Whether the server may have committed although nobody heard of it.
    /// - An ERROR (not FATAL): the server skips the rest, so no.
    /// - A FATAL report: it says at which step the server stopped; in doubt only if that step commits.
    /// - No report: the answers may have been lost, so every commit that was not confirmed is in doubt.
    var leavesCommitInDoubt: Bool {
        if failure != nil && !isFatal { return false }
        if let commitIndex { return isFatal ? answered == commitIndex : answered <= commitIndex }
        let writes = steps.contains { !$0.isPreparation && !$0.call.statement.isReadOnly }
        return isImplicit && writes && (!isFatal || answered == steps.count)
    }
}

extension Session {
    /// Sends everything, then reads until the sync's answer. Returns the rows of `request.calls`, one for each.
    ///
    /// Throws the first error with the call it belongs to. `isLost` says whether the session survived.
    func run(
        _ request: PipelineRequest, deadline: ContinuousClock.Instant
    ) throws(PostgresError) -> [PostgresRows] {
        guard ContinuousClock.now < deadline else {
            throw PostgresError(.timedOut, "expected to start before the deadline; nothing was sent")
        }
        let steps = try plan(request)
        let opens = request.begin != nil || request.calls.contains { $0.statement == .begin }
        var progress = PipelineProgress(steps: steps, isImplicit: isIdle && !opens)
        progress.rows.reserveCapacity(request.calls.count)
        guard send(steps) else { throw lost(progress, nil) }
        while true {
            while PQisBusy(pg) == 1 {
                if let end = exchange(until: deadline) { throw lost(progress, end) }
            }
            guard let result = PQgetResult(pg) else {
                if PQstatus(pg) != CONNECTION_BAD { continue }
                if progress.isCommitted { break }
                throw lost(progress, nil)
            }
            if take(result, &progress) { break }
        }
        if PQstatus(pg) == CONNECTION_BAD || isSpent { isLost = true }
        if let failure = progress.failure { throw failure }
        return progress.rows
    }

    /// Adds a preparation before the first use of each statement this session does not know yet.
    private func plan(_ request: PipelineRequest) throws(PostgresError) -> [PipelineProgress.Step] {
        var steps: [PipelineProgress.Step] = []
        steps.reserveCapacity(request.calls.count + 2)
        var new: [String: Statement] = [:]
        func add(_ call: Call, _ index: Int?) throws(PostgresError) {
            let statement = call.statement
            if let known = prepared[statement.name] ?? new[statement.name] {
                guard known == statement else {
                    throw PostgresError(
                        .misuse, "expected one statement by this name, got two", statement: statement.name)
                }
            } else {
                new[statement.name] = statement
                steps.append(.init(call: call, index: index, isPreparation: true))
            }
            steps.append(.init(call: call, index: index, isPreparation: false))
        }
        if let begin = request.begin { try add(Call(begin), nil) }
        for (index, call) in request.calls.enumerated() { try add(call, index) }
        if request.commits { try add(Call(.commit), nil) }
        return steps
    }

    private func send(_ steps: [PipelineProgress.Step]) -> Bool {
        for step in steps {
            let statement = step.call.statement
            let sent: Int32
            if step.isPreparation {
                let types = statement.parameterTypes.map(\.rawValue)
                sent = PQsendPrepare(pg, statement.name, statement.sql, Int32(types.count), types)
            } else {
                sent = parameters.withEncoded(step.call.values) { count, values, lengths, formats in
                    PQsendQueryPrepared(pg, statement.name, count, values, lengths, formats, 1)
                }
            }
            if sent == 0 { return false }
        }
        return PQpipelineSync(pg) == 1
    }

    /// Takes over one result. Returns whether it was the answer to the sync.
    private func take(_ result: OpaquePointer, _ progress: inout PipelineProgress) -> Bool {
        let status = PQresultStatus(result)
        if status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK, let step = progress.step {
            progress.answered += 1
            if step.isPreparation {
                prepared[step.call.statement.name] = step.call.statement
            } else if step.isCommit && strcmp(PQcmdStatus(result), "ROLLBACK") == 0 {
                progress.failure = PostgresError(
                    .transactionAborted, "expected COMMIT to commit, got a rollback: a statement had failed before")
            } else if step.index != nil {
                progress.rows.append(PostgresRows(result))
                return false
            }
        } else if status == PGRES_FATAL_ERROR {
            takeError(result, &progress)
        } else if status != PGRES_PIPELINE_SYNC && status != PGRES_PIPELINE_ABORTED && progress.failure == nil {
            progress.failure = PostgresError(
                .misuse, "expected rows or a command's end, got \(String(cString: PQresStatus(status)))",
                statement: progress.step?.call.statement.name, callIndex: progress.step?.index)
            isLost = true
        }
        PQclear(result)
        return status == PGRES_PIPELINE_SYNC || isLost
    }

    private func takeError(_ result: OpaquePointer, _ progress: inout PipelineProgress) {
        // Without a SQLSTATE it is libpq's own word that the connection broke: `lost` finds that out.
        guard progress.failure == nil, var error = Self.error(from: result) else { return }
        error.statement = progress.step?.call.statement.name
        error.callIndex = progress.step?.index
        progress.failure = error
        progress.isFatal = Self.isFatal(result)
        isSpent = isSpent || error.code == .stalePlan || error.code == .readOnly
    }

    /// Marks the session as lost and says what that means for the pipeline it was lost in.
    private func lost(_ progress: PipelineProgress, _ end: SessionEnd?) -> PostgresError {
        isLost = true
        var error = progress.failure ?? endError(end)
        if progress.leavesCommitInDoubt {
            error.cause = error.code
            error.code = .commitUnknown
            error.message = "expected the answer to a commit, got: \(error.message)"
        }
        return error
    }
}

// MARK: - Traffic

/// Why a session had no answer.
enum SessionEnd {
    case deadline
    case broken
}

extension Session {
    /// Waits for the socket, then moves what can be moved in both directions. Returns nil as long as there is hope.
    func exchange(until deadline: ContinuousClock.Instant) -> SessionEnd? {
        let unsent = PQflush(pg)
        // After a failed write there may still be an error report to read: PQgetResult finds it without waiting.
        let events = unsent == 1 ? POLLIN | POLLOUT : POLLIN
        let socket = PQsocket(pg)
        guard socket >= 0 else { return .broken }
        let ready = waitForSocket(socket, Int16(events), until: deadline)
        guard ready != 0 else { return .deadline }
        if ready & ~Int16(POLLOUT) != 0 && PQconsumeInput(pg) == 0 {
            // What came before the end is kept; PQisBusy now tells whether it holds another result.
            return PQisBusy(pg) == 1 ? .broken : nil
        }
        return nil
    }

    func endError(_ end: SessionEnd?) -> PostgresError {
        switch end {
        case .deadline:
            PostgresError(.timedOut, "expected an answer before the deadline, got none; the session was closed")
        case .broken, nil:
            PostgresError(
                .connectionLost, errorText.split(separator: "\n").first.map(String.init) ?? "the session ended")
        }
    }

    /// The server's error report; nil for an error that libpq made up itself.
    static func error(from result: OpaquePointer) -> PostgresError? {
        func field(_ code: Int) -> String? {
            PQresultErrorField(result, Int32(code)).map { String(cString: $0) }
        }
        guard let sqlState = field(CPG_DIAG_SQLSTATE), field(CPG_DIAG_SOURCE_FUNCTION) != nil else { return nil }
        var code = PostgresError.Code(sqlState: sqlState)
        // `cached plan must not change result type`
        if sqlState == "0A000" && field(CPG_DIAG_SOURCE_FUNCTION) == "RevalidateCachedQuery" { code = .stalePlan }
        return PostgresError(
            code, field(CPG_DIAG_MESSAGE_PRIMARY) ?? "the server gave no message", sqlState: sqlState,
            detail: field(CPG_DIAG_MESSAGE_DETAIL), constraint: field(CPG_DIAG_CONSTRAINT_NAME))
    }

    static func isFatal(_ result: OpaquePointer) -> Bool {
        guard let severity = PQresultErrorField(result, Int32(CPG_DIAG_SEVERITY_NONLOCALIZED)) else { return false }
        return strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0
    }
}
