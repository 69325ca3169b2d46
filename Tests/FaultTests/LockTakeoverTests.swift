import LocalServers
import Migrations
import NATSClient
import PostgresClient
import SchedulerStore
import ServiceFixture
import TestSupport
import Testing

/// Locks are fought for, over one server and over three, while holders die and servers are killed: never two holders
/// of one epoch, epochs only grow, and nothing is done under one that is past (decision 0004).
@Suite(.serialized) struct LockTakeoverTests {
    static let takeovers = TestForm.count(250, long: 10_000)
    static let roles = 40
    static let contenders = 3
    /// Takeovers from one kill to the next.
    static let untilKill = TestForm.count(120, long: 600)

    @Test(.timeLimit(.minutes(13))) func onOneServerThatIsKilled() async throws {
        let server = try NATSServer()
        try await server.start()
        try await fight(over: [server]) { _, _ in
            await server.kill()
            try await server.start()
        }
        await server.remove()
    }

    @Test(.timeLimit(.minutes(13))) func onThreeServersThatAreKilled() async throws {
        let cluster = try await NATSCluster.start()
        try await fight(over: cluster.nodes) { kill, connection in
            // An election takes up to ten seconds: the short form has none.
            let leader = await cluster.electedLeader(of: "KV_" + TakeoverArena.bucket, connection)
            let others = cluster.nodes.filter { $0 !== leader }
            let victim = TestForm.isLong && kill.isMultiple(of: 2) ? leader : others[kill / 2 % others.count]
            await victim?.kill()
            #expect(await cluster.electedLeader(of: "KV_" + TakeoverArena.bucket, connection) != nil)
            try await victim?.start()
        }
        await cluster.remove()
    }

    /// - Parameter kill: kills a server and starts it again; is given a number, from 0, and a connection to ask by.
    private func fight(
        over nodes: [NATSServer], kill: @escaping @Sendable (Int, NATSConnection) async throws -> Void
    ) async throws {
        let postgres = try PostgresServer(fsync: false)
        try await postgres.start()
        try await postgres.createDatabase("carillon")
        let configuration = try PostgresConfiguration(await postgres.url(database: "carillon"))
        _ = try await Schema.migrator(configuration).up()
        let arena = TakeoverArena(nodes: nodes, pool: PostgresPool(configuration, size: 4, maximumWaiters: 1000))
        try await arena.pool.withConnection { try await $0.execute(script: TakeoverArena.deedsTable) }
        let connection = try await arena.connect(to: 0)
        try await makeBucket(connection, replicas: nodes.count)

        let begin = ContinuousClock.now
        try await withThrowingTaskGroup(of: Void.self) { group in
            var random = TestForm.generator(for: "takeovers")
            for number in 0..<Self.roles * Self.contenders {
                var contender = Contender(
                    arena, role: "r\(number % Self.roles)", name: "c\(number)",
                    random: SeededGenerator(seed: random.next()))
                group.addTask { await contender.run() }
            }
            for number in 0..<(Self.takeovers - 1) / Self.untilKill {
                try await arena.reach((number + 1) * Self.untilKill)
                try await kill(number, connection)
                arena.log.killed()
            }
            try await arena.reach(Self.takeovers)
            group.cancelAll()
        }
        let log = arena.log
        print(
            "\(log.forced) forced takeovers of \(log.acquired) on \(nodes.count) in \(ContinuousClock.now - begin):",
            "\(log.kills) kills, highest epoch \(log.highestEpoch), \(log.doubted) while the former trusted itself,",
            "\(log.refusedDeeds) deeds refused")
        let problems = log.problems() + (try await arena.problemsOfDeeds())
        #expect(problems.isEmpty, "\(problems.count): \(problems.prefix(8).joined(separator: "\n"))")
        // The ghosts of former holders were there, and were refused.
        #expect(log.refusedDeeds >= log.forced)
        await connection.close()
        await arena.pool.shutDown(deadline: .now + .seconds(2))
        await postgres.remove()
    }

    /// JetStream answers some seconds after its servers do.
    private func makeBucket(_ connection: NATSConnection, replicas: Int) async throws {
        var bucket: KeyValueBucket?
        let isMade = await waitUntil(.seconds(30)) {
            let api = JetStreamAPI(connection, timeout: .seconds(2))
            bucket = try? await KeyValueBucket.bindOrCreate(
                TakeoverArena.bucket, api, timeToLive: TakeoverArena.lease * 10, replicas: replicas)
            return bucket != nil
        }
        try #require(isMade)
        #expect(bucket?.info.replicas == replicas)
    }
}

extension TakeoverArena {
    /// Waits until so many takeovers were forced.
    fileprivate func reach(_ count: Int) async throws {
        let isReached = await waitUntil(.seconds(120)) { log.forced >= count }
        try #require(isReached, "\(log.forced) of \(count) takeovers in time")
    }
}
