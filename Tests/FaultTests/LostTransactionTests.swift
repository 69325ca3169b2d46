import LocalServers
import PostgresClient
import Testing

@testable import SchedulerStore

/// A crash of PostgreSQL takes transactions with it, whose ids it then gives to others.
@Suite struct LostTransactionTests {
    @Test(.timeLimit(.minutes(1)), arguments: [true, false])
    func theEndOfAnotherIsNotTakenForIts(_ isIDGivenAgain: Bool) async throws {
        // Nothing is written to the log before somebody commits.
        let server = try PostgresServer(fsync: false, settings: ["wal_writer_delay=10s", "autovacuum=off"])
        try await server.start()
        try await server.createDatabase("carillon")
        let configuration = try PostgresConfiguration(await server.url(database: "carillon"))
        let connection = try PostgresConnection(configuration, reopens: true)
        let other = try PostgresConnection(configuration, reopens: true)
        try await other.execute(script: "CREATE TABLE public.t (a int)")
        let insert = Statement("insert", "INSERT INTO public.t VALUES (1) RETURNING pg_current_xact_id()::text")
        var ids: [String] = []
        let error = await #expect(throws: PostgresError.self) {
            _ = try await SettledTransaction.run(on: connection) { transaction in
                ids.append(try await transaction.query(insert).first?.text(0) ?? "none")
                if !isIDGivenAgain { try await other.execute(script: "INSERT INTO public.t VALUES (2)") }
                await server.kill()
                try await server.start()
                while true {
                    do {
                        ids.append(try await other.query(insert).first?.text(0) ?? "none")
                        break
                    } catch let error as PostgresError where error.isConnectionLoss {}
                }
                return ((), [])
            }
        }
        #expect((ids.first == ids.last) == isIDGivenAgain, "\(ids)")
        #expect(error?.code == .connectionLost, "\(String(describing: error))")
        await connection.close()
        await other.close()
        await server.remove()
    }

    @Test(arguments: [
        ("committed", true, true, false, SettledTransaction.Verdict.committed),
        ("committed", false, true, true, .committed),
        ("committed", false, true, false, .lost),
        ("committed", false, false, true, .unknown),
        ("aborted", false, false, false, .lost),
        ("in progress", true, true, true, .underWay),
    ])
    func isCommittedOnlyUnderItsOwnID(
        _ status: String, _ isSameRun: Bool, _ isSameTimeline: Bool, _ hasRecord: Bool,
        _ verdict: SettledTransaction.Verdict
    ) {
        let found = SettledTransaction.Found(
            status: status, isSameRun: isSameRun, isSameTimeline: isSameTimeline, hasRecord: hasRecord)
        #expect(found.verdict == verdict)
    }
}
