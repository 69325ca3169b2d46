import PostgresClient
import PostgresTestSupport
import Testing

/// A table of its own for one test, on the shared server.
struct Scratch {
    let server: LocalPostgres
    let connection: PostgresConnection
    let table: String

    init(_ columns: String = "id bigint PRIMARY KEY, note text", server: LocalPostgres? = nil) async throws {
        if let server { self.server = server } else { self.server = try await LocalPostgres.shared.value }
        connection = try PostgresConnection(try self.server.configuration(), reopens: true)
        table = "t\(UInt64.random(in: 0 ... .max))"
        try await connection.execute(script: "CREATE TABLE \(table) (\(columns))")
    }

    var insert: Statement { Statement("insert", "INSERT INTO \(table) (id) VALUES ($1::bigint)") }
    var ids: Statement { Statement("ids", "SELECT id FROM \(table) ORDER BY id", isReadOnly: true) }

    /// What is in the table, read on a session of its own.
    func stored() async throws -> [Int64] {
        let observer = try PostgresConnection(try server.configuration())
        return try await observer.query(ids).map { try $0.int64(0) }
    }
}

let selectOne = Statement("one", "SELECT 1", isReadOnly: true)
let sleepTen = Statement("sleep", "SELECT pg_sleep(10)", isReadOnly: true)
let backend = Statement("backend", "SELECT pg_backend_pid()", isReadOnly: true)

/// The `PostgresError` that `body` throws; records an issue if there is none.
func failure(
    _ location: SourceLocation = #_sourceLocation, _ body: () async throws -> Void
) async -> PostgresError? {
    do {
        try await body()
        Issue.record("expected an error", sourceLocation: location)
    } catch let error as PostgresError {
        return error
    } catch {
        Issue.record("expected a PostgresError, got \(error)", sourceLocation: location)
    }
    return nil
}

/// Runs `body` and returns how long it took.
func duration(_ body: () async throws -> Void) async rethrows -> Duration {
    let start = ContinuousClock.now
    try await body()
    return ContinuousClock.now - start
}
