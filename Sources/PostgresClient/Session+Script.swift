import CPostgres

extension Session {
    /// Runs several statements of SQL text without parameters, in the simple protocol.
    ///
    /// Outside of a transaction PostgreSQL runs them as one, unless the text holds BEGIN or COMMIT itself. Losing the
    /// session then leaves the outcome in doubt.
    func run(script: String, deadline: ContinuousClock.Instant) throws(PostgresError) {
        guard ContinuousClock.now < deadline else {
            throw PostgresError(.timedOut, "expected to start before the deadline; nothing was sent")
        }
        let mayCommit = isIdle
        // libpq refuses the simple protocol in pipeline mode.
        guard PQexitPipelineMode(pg) == 1 else {
            throw PostgresError(.protocolViolation, "expected libpq to leave pipeline mode")
        }
        var failure: PostgresError?
        var end: SessionEnd? = PQsendQuery(pg, script) == 1 ? nil : .broken
        reading: while end == nil {
            while PQisBusy(pg) == 1 {
                end = exchange(until: deadline)
                if end != nil { break reading }
            }
            guard let result = PQgetResult(pg) else { break }
            switch PQresultStatus(result) {
            case PGRES_FATAL_ERROR: failure = failure ?? Self.error(from: result)
            case PGRES_COPY_IN, PGRES_COPY_OUT, PGRES_COPY_BOTH:
                failure = PostgresError(.misuse, "expected SQL without COPY, got COPY")
                isLost = true
            default: break
            }
            PQclear(result)
            if isLost { break }
        }
        if end != nil || PQstatus(pg) == CONNECTION_BAD {
            isLost = true
            var error = failure ?? endError(end)
            if mayCommit && (failure == nil || error.isConnectionLoss) {
                error.cause = error.code
                error.code = .commitUnknown
            }
            throw error
        }
        if !isLost && PQenterPipelineMode(pg) == 0 { isLost = true }
        if let failure { throw failure }
    }
}
