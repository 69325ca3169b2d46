import Glibc
package import PostgresClient

/// A transaction whose outcome is always learned: where COMMIT's answer is lost, PostgreSQL is asked what became of it.
///
/// Running the work again instead would need work that recognises itself; asking needs nothing but the transaction's
/// id, which is taken before anything is written.
///
/// A crash can take a transaction's records with it, and then its id is given to another one, whose end says nothing of
/// ours. So a record that bears the id is written first: where PostgreSQL has crashed since, the checkpoint with which
/// its recovery ended shows whether that record is still part of its history.
package enum SettledTransaction {
    /// Which run of PostgreSQL this is: another one after a restart, and after a crash of one of its processes, with
    /// which it forgets its statistics.
    private static let run = "pg_postmaster_start_time()::text || (SELECT stats_reset FROM pg_stat_wal)::text"
    private static let timeline = "substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"

    /// The message is a record in the log that bears the id.
    static let idStatement = Statement(
        "transaction_id",
        """
        SELECT pg_current_xact_id()::text, pg_logical_emit_message(true, 'carillon', '')::text, \(run), \(timeline)
        """)
    static let statusStatement = Statement(
        "transaction_status",
        """
        SELECT pg_xact_status($1::text::xid8), \(run), \(timeline),
            (SELECT redo_lsn >= $2::text::pg_lsn FROM pg_control_checkpoint())
        """, types: [.text, .text], isReadOnly: true)
    /// PostgreSQL's refusal of an id that it has not given out.
    private static let idOfTheFuture = "22023"

    /// How long PostgreSQL is asked for the outcome before the caller is told that nobody knows it. A test that makes it
    /// silent has less patience.
    private static let patience = Duration.seconds(
        getenv("CARILLON_COMMIT_PATIENCE").flatMap { Double(String(cString: $0)) } ?? 30)

    /// Runs `body` once, and commits with the calls that it returns.
    /// - Returns: what `body` returned beside the calls, and the calls' rows; nil where their answer was lost and the
    ///   transaction is known to have been committed all the same.
    /// - Throws: what `body` throws; `.connectionLost` where the answer was lost and nothing took place;
    ///   `.commitUnknown` only if PostgreSQL cannot be asked, and then it `isUnsettled`: whoever keeps in memory what the
    ///   transaction wrote must not go on.
    package static func run<Value>(
        on connection: PostgresConnection, isolation: isolated (any Actor)? = #isolation,
        _ body: (PostgresTransaction) async throws -> (value: Value, calls: [Call])
    ) async throws -> (value: Value, rows: [PostgresRows]?) {
        var pending: (value: Value, began: Beginning)?
        do {
            return try await connection.transaction { transaction in
                let began = try Beginning(try await transaction.query(idStatement))
                let (value, calls) = try await body(transaction)
                pending = (value, began)
                return (value, try await transaction.commit(with: calls))
            }
        } catch let error as PostgresError where error.code == .commitUnknown {
            guard let pending else { throw error }
            var error = error
            error.isUnsettled = true
            if try await wasCommitted(pending.began, on: connection, orElse: error) { return (pending.value, nil) }
            throw PostgresError(
                .connectionLost, "the session ended before the commit took place: \(error.message)", cause: error.cause)
        }
    }

    private static func wasCommitted(
        _ began: Beginning, on connection: PostgresConnection, orElse unknown: PostgresError
    ) async throws -> Bool {
        let deadline = ContinuousClock.now + patience
        while ContinuousClock.now < deadline {
            do {
                let rows = try await connection.query(statusStatement, [.text(began.id), .text(began.place)])
                guard let row = rows.first else { throw unknown }
                let found = try Found(row, since: began)
                switch found.verdict {
                case .committed: return true
                case .lost: return false
                case .underWay: try await Task.sleep(for: .milliseconds(10))
                case .unknown: throw unknown
                }
            } catch let error as PostgresError where error.sqlState == idOfTheFuture {
                return false
            } catch let error as PostgresError where error.isConnectionLoss && error.code != .commitUnknown {
                try await Task.sleep(for: .milliseconds(100))
            } catch is PostgresError {
                // Whatever keeps PostgreSQL from answering, the outcome is not known.
                throw unknown
            }
        }
        throw unknown
    }
}

extension SettledTransaction {
    /// What is known of a transaction from its begin on.
    struct Beginning: Sendable {
        var id = ""
        /// Where the record that bears the id ends in the log.
        var place = ""
        var run = ""
        var timeline = ""

        init(_ rows: PostgresRows) throws(PostgresError) {
            guard let row = rows.first else { return }
            (id, place) = (try row.text(0), try row.text(1))
            (run, timeline) = (try row.text(2), try row.text(3))
        }
    }

    enum Verdict: Sendable, Equatable {
        case committed, lost, underWay
        case unknown
    }

    /// What PostgreSQL says of the id afterwards.
    struct Found: Sendable {
        var status: String?
        var isSameRun = true
        var isSameTimeline = true
        /// Whether the history that PostgreSQL recovered to reaches as far as the record that bears the id.
        var hasRecord = true

        init(status: String?, isSameRun: Bool, isSameTimeline: Bool, hasRecord: Bool) {
            self.status = status
            self.isSameRun = isSameRun
            self.isSameTimeline = isSameTimeline
            self.hasRecord = hasRecord
        }

        init(_ row: PostgresRow, since began: Beginning) throws(PostgresError) {
            status = try row.textOrNil(0)
            isSameRun = try row.text(1) == began.run
            isSameTimeline = try row.text(2) == began.timeline
            hasRecord = try row.bool(3)
        }

        /// "Committed" is of ours only if the id is: in the same run, or where the record survived the crash. After a
        /// failover to another server's history nobody can tell.
        var verdict: Verdict {
            switch status {
            case "aborted": return .lost
            case "in progress": return .underWay
            case "committed":
                if isSameRun { return .committed }
                guard isSameTimeline else { return .unknown }
                return hasRecord ? .committed : .lost
            default: return .unknown
            }
        }
    }
}
