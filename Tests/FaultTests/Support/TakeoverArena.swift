import KeyValueLock
import LocalServers
import NATSClient
import PostgresClient
import SchedulerStore
import ServiceFixture
import Testing

/// Locks that many fight for, and PostgreSQL, which has the last word.
struct TakeoverArena: Sendable {
    /// Shorter than any lease in use, so that holders lose it by mere slowness too.
    static let lease = Duration.milliseconds(450)
    static let bucket = "LOCKS"
    /// What KeyValueLock is given in the product.
    typealias EpochSource = @Sendable (_ role: String, _ pool: PostgresPool) async throws -> Int64

    let nodes: [NATSServer]
    let pool: PostgresPool
    let log = TakeoverLog()
    var epochSource: EpochSource = { role, pool in
        try await pool.withConnection { try await LockTable.nextEpoch(of: role, on: $0) }
    }

    func nextEpoch(of role: String) async throws -> Int64 {
        let askedAt = MonotonicClock.now()
        let epoch = try await epochSource(role, pool)
        log.issued(epoch, of: role, askedAt: askedAt)
        return epoch
    }

    /// A connection that begins with one node and knows the others.
    func connect(to first: Int) async throws -> NATSConnection {
        var urls: [String] = []
        for offset in nodes.indices { urls.append(await nodes[(first + offset) % nodes.count].url) }
        var configuration = NATSConfiguration(servers: urls, name: "contender")
        configuration.sendAsap = true
        configuration.reconnectWait = .milliseconds(50)
        return try await NATSConnection.connect(configuration, within: .seconds(20))
    }

    /// Works under an epoch, if it is the latest; that is asked in the work's own transaction.
    func act(_ role: String, _ epoch: Int64, as holder: String) async throws {
        let begunAt = MonotonicClock.now()
        let isAdmitted = try await pool.withTransaction { transaction in
            guard try await LockTable.holds(role, epoch: epoch, in: transaction) else { return false }
            _ = try await transaction.query(Self.deed, [.text(role), .int64(epoch), .text(holder)])
            return true
        }
        log.did(role, epoch, begunAt: begunAt, isAdmitted: isAdmitted)
    }

    private static let deed = Statement(
        "deed", "INSERT INTO public.deeds (role, epoch, holder) VALUES ($1, $2, $3)", types: [.text, .int64, .text])
    static let deedsTable =
        "CREATE TABLE public.deeds (serial bigserial PRIMARY KEY, role text, epoch bigint, holder text)"

    /// Deeds that stand behind one of a later epoch, and epochs that several holders worked under.
    func problemsOfDeeds() async throws -> [String] {
        let sql = """
            SELECT role || ': a deed of ' || epoch || ' stands behind one of ' || former FROM (
                SELECT role, epoch, lag(epoch) OVER (PARTITION BY role ORDER BY serial) AS former FROM public.deeds) AS d
            WHERE epoch < former
            UNION ALL SELECT role || ': several worked under ' || epoch FROM public.deeds
            GROUP BY role, epoch HAVING count(DISTINCT holder) > 1
            """
        let rows = try await pool.withConnection { try await $0.query(Statement("problems", sql)) }
        return try rows.map { try $0.text(0) }
    }
}

/// Fights for one lock, again and again, and hardly ever lets go: mostly it dies with the lock in its hands.
struct Contender: Sendable {
    let arena: TakeoverArena
    let role: String
    let name: String
    private var random: any RandomNumberGenerator & Sendable

    init(_ arena: TakeoverArena, role: String, name: String, random: any RandomNumberGenerator & Sendable) {
        self.arena = arena
        self.role = role
        self.name = name
        self.random = random
    }

    /// Until the task is cancelled. Each life has a connection of its own, to any of the nodes.
    mutating func run() async {
        while !Task.isCancelled {
            let node = Int.random(in: 0..<arena.nodes.count, using: &random)
            guard let connection = try? await arena.connect(to: node) else { continue }
            try? await live(on: connection)
            await connection.close()
        }
    }

    private mutating func live(on connection: NATSConnection) async throws {
        let arena = arena
        let api = JetStreamAPI(connection, timeout: .seconds(1))
        let lock = KeyValueLock(
            try await KeyValueBucket.bind(TakeoverArena.bucket, api), owner: name, lease: TakeoverArena.lease,
            epochSource: { try await arena.nextEpoch(of: $0) })
        while !Task.isCancelled {
            guard let token = try await lock.acquire(role, waitingUpTo: .seconds(20)) else { continue }
            let former = arena.log.acquired(token, by: name)
            try await arena.act(role, token.epoch, as: name)
            // The former holder wakes, knows of nothing, and goes on.
            if let former { try await arena.act(role, former.epoch, as: former.holder) }
            for _ in 0..<Int.random(in: 0...3, using: &random) { _ = try? await lock.extend(token) }
            guard Int.random(in: 0..<5, using: &random) == 0 else { return }
            arena.log.releases(token)
            try? await lock.release(token)
        }
    }
}
