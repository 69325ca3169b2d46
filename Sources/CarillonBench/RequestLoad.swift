import LocalServers
import NATSClient
import PostgresClient
import ServiceFixture

/// Clients that each send one request after the other for a time.
struct RequestLoad {
    let clients: Int
    let seconds: Int

    struct Result {
        let perSecond: Double
        /// Microseconds, ascending.
        let took: [Int64]

        var line: String {
            let (median, late) = (took[took.count / 2], took[min(took.count - 1, took.count * 99 / 100)])
            return "\(Int(perSecond))/s, p50 \(milliseconds(median)), p99 \(milliseconds(late))"
        }
    }

    /// - Parameter body: one request of a client; both are numbered from 0.
    func run(_ body: @escaping @Sendable (_ client: Int, _ number: Int) async throws -> Void) async throws -> Result {
        let begun = wallClock()
        let end = begun + Int64(seconds) * 1_000_000
        let took = try await withThrowingTaskGroup(of: [Int64].self) { tasks in
            for client in 0..<clients {
                tasks.addTask {
                    var took: [Int64] = []
                    while wallClock() < end {
                        let sent = wallClock()
                        try await body(client, took.count)
                        took.append(wallClock() - sent)
                    }
                    return took
                }
            }
            return try await tasks.reduce(into: []) { $0 += $1 }
        }
        return Result(perSecond: Double(took.count) / (Double(wallClock() - begun) / 1e6), took: took.sorted())
    }
}

/// The least that a durable command can take: a request and its reply over NATS, and one row of the size of a schedule,
/// committed over as many connections as the service's commands have.
struct CommandFloor {
    private static let subject = "floor.command"
    private static let insert = Statement(
        "floor_command", "INSERT INTO public.floor_commands (body) VALUES ($1)", types: [.text])
    private static let body = String(repeating: "x", count: 1200)

    private let fixture: ServiceFixture
    private let pool: PostgresPool
    private let echo: NATSCallbackSubscription

    init(fixture: ServiceFixture) async throws {
        self.fixture = fixture
        try await fixture.database.execute(
            script:
                "CREATE TABLE public.floor_commands (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text)",
            deadline: .now + .seconds(10))
        pool = PostgresPool(
            try PostgresConfiguration(await fixture.postgres.url(database: "carillon")), size: 4, maximumWaiters: 1024)
        let client = fixture.client
        echo = try client.subscribe(try SubjectFilter(Self.subject)) { message in
            guard let reply = try? Subject(String(decoding: message.reply, as: UTF8.self)) else { return }
            _ = try? client.publish(reply, payload: [])
        }
    }

    func once(_ number: Int) async throws {
        try await pool.withConnection { _ = try await $0.query(Self.insert, [.text(Self.body)]) }
        _ = try await fixture.client.request(try Subject(Self.subject), timeout: .seconds(5))
    }

    func close() async {
        echo.cancel()
        await pool.shutDown(deadline: .now + .seconds(2))
    }
}
