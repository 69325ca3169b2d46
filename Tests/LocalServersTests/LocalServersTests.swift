import Glibc
import LocalServers
import Testing

/// Real servers: nats-server and PostgreSQL must be installed.
@Suite("Private servers", .timeLimit(.minutes(2)))
struct LocalServersTests {
    @Test("nats-server starts, answers, comes back on the same port and data, and leaves nothing")
    func runsNATS() async throws {
        let server = try NATSServer(configuration: "max_payload: 4096")
        try await server.start()
        let (port, first) = (await server.port, try #require(await server.pid))
        #expect(greeting(port)?.contains("\"max_payload\":4096") == true)
        #expect(greeting(port)?.contains("\"jetstream\":true") == true)
        try await server.restart()
        let second = try #require(await server.pid)
        #expect(await server.port == port)
        #expect((second != first, isGone(first)) == (true, true))
        await server.kill()
        #expect((isGone(second), greeting(port)) == (true, nil))
        try await server.start()
        #expect(greeting(port) != nil)
        let third = try #require(await server.pid)
        let watched = processes(mentioning: server.folder)
        #expect(watched.contains(third))
        await server.remove()
        #expect(isGone(third))
        #expect(processes(mentioning: server.folder).isEmpty)
        #expect(access(server.folder, F_OK) != 0)
    }

    @Test("A paused nats-server keeps its port and says nothing until it is resumed")
    func pausesNATS() async throws {
        let server = try NATSServer()
        try await server.start()
        let port = await server.port
        await server.pause()
        #expect(greeting(port) == nil)
        await server.resume()
        #expect(greeting(port, seconds: 10) != nil)
        await server.pause()
        await server.remove()
        #expect(greeting(port) == nil)
    }

    @Test("Three nodes know each other, and one that is killed comes back under its name; none is left")
    func runsACluster() async throws {
        let cluster = try await NATSCluster.start()
        var ports: [UInt16] = []
        for node in cluster.nodes { ports.append(await node.port) }
        let addresses = Set(ports.map { "127.0.0.1:\($0)" })
        for (index, port) in ports.enumerated() {
            #expect(greeting(port)?.contains("\"server_name\":\"n\(index + 1)\"") == true)
            #expect(await until(10) { addresses.allSatisfy { greeting(port)?.contains($0) == true } })
        }
        let second = try #require(cluster.node(named: "n2"))
        await second.kill()
        #expect((greeting(ports[1]), cluster.node(named: "n4") == nil) == (nil, true))
        try await second.start()
        #expect(await until(10) { addresses.allSatisfy { greeting(ports[1])?.contains($0) == true } })
        #expect(greeting(ports[1])?.contains("\"server_name\":\"n2\"") == true)
        var pids: [pid_t] = []
        for node in cluster.nodes { pids.append(try #require(await node.pid)) }
        await cluster.remove()
        #expect(pids.allSatisfy(isGone))
        #expect(cluster.nodes.allSatisfy { access($0.folder, F_OK) != 0 })
    }

    @Test("PostgreSQL starts, keeps its data through a crash, and leaves nothing")
    func runsPostgres() async throws {
        let server = try PostgresServer(fsync: false)
        try await server.start()
        try await server.createDatabase("kept")
        let first = try #require(await server.pid)
        let sessions = children(of: first)
        #expect(!sessions.isEmpty)
        await server.kill()
        #expect(([first] + sessions).allSatisfy(isGone))
        let port = await server.port
        try await server.start()
        #expect(await server.port == port)
        // The database outlived the crash: another of its name is refused, in words that name it.
        let refusal = await #expect(throws: LocalServerError.self) { try await server.createDatabase("kept") }
        #expect(refusal?.log.contains("database \"kept\" already exists") == true)
        try await server.restart()
        let all = [try #require(await server.pid)] + children(of: try #require(await server.pid))
        await server.remove()
        #expect(all.allSatisfy(isGone))
        #expect(access(server.folder, F_OK) != 0)
    }

    @Test("Pausing PostgreSQL stops its sessions too, and it can be stopped while paused")
    func pausesPostgres() async throws {
        let server = try PostgresServer(fsync: false)
        try await server.start()
        let pid = try #require(await server.pid)
        let all = [pid] + children(of: pid)
        await server.pause()
        #expect(await until(5) { all.allSatisfy { state($0) == "T" } })
        await server.resume()
        #expect(await until(5) { all.allSatisfy { state($0) != "T" } })
        await server.pause()
        await server.remove()
        #expect(all.allSatisfy(isGone))
    }

    @Test("Two of each at once do not collide")
    func runsTwoAtOnce() async throws {
        let nats = [try NATSServer(), try NATSServer()]
        let postgres = [try PostgresServer(fsync: false), try PostgresServer(fsync: false)]
        try await withThrowingTaskGroup(of: Void.self) { group in
            for server in nats { group.addTask { try await server.start() } }
            for server in postgres { group.addTask { try await server.start() } }
            try await group.waitForAll()
        }
        let ports = [await nats[0].port, await nats[1].port, await postgres[0].port, await postgres[1].port]
        #expect(Set(ports).count == 4)
        for server in nats { await server.remove() }
        for server in postgres { await server.remove() }
    }

    @Test("A configuration that the server refuses is an error with the server's own words")
    func reportsRefusals() async throws {
        let nats = try NATSServer(configuration: "max_payload: { no")
        let error = await #expect(throws: LocalServerError.self) { try await nats.start() }
        #expect(error?.code == .notReady)
        #expect(error?.log.isEmpty == false)
        #expect(await nats.pid == nil)
        await nats.remove()
        let postgres = try PostgresServer(settings: ["no_such_setting=1"])
        let refusal = await #expect(throws: LocalServerError.self) { try await postgres.start() }
        #expect(refusal?.log.contains("no_such_setting") == true)
        await postgres.remove()
    }

    @Test("A chosen port that is taken is an error, not another port")
    func keepsToTheChosenPort() async throws {
        let first = try NATSServer()
        try await first.start()
        let second = try NATSServer(port: await first.port)
        await #expect(throws: LocalServerError.self) { try await second.start() }
        #expect(greeting(await first.port) != nil)
        await second.remove()
        await first.remove()
    }

    @Test("A server that nobody holds any more is gone")
    func diesWithItsOwner() async throws {
        var server: NATSServer? = try NATSServer()
        try await server?.start()
        let pid = try #require(await server?.pid)
        let folder = try #require(server?.folder)
        server = nil
        #expect(await until(5) { isGone(pid) && processes(mentioning: folder).isEmpty && access(folder, F_OK) != 0 })
    }
}
