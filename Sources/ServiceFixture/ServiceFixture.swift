import Glibc
package import JSONText
package import LocalServers
import Migrations
package import NATSClient
package import PostgresClient
import SchedulerStore

/// A whole system on real servers: a nats-server, a PostgreSQL with the schema applied, and as many instances of the
/// service as asked for, each a process of its own. For tests and benchmarks.
///
/// It ends everything it started when it goes.
package final class ServiceFixture: Sendable {
    /// What a fixture is made of.
    package struct Options: Sendable {
        package var instances = 1
        package var leaseSeconds = 2.0
        /// Further settings of the instances' environment.
        package var environment: [String: String] = [:]
        /// fsync of PostgreSQL; off where the machine does not crash.
        package var fsync = false
        package var natsConfiguration = ""
        /// What the test's own connection needs to be let in.
        package var identify: @Sendable (inout NATSConfiguration) -> Void = { _ in }
        /// Further `name=value` settings of PostgreSQL.
        package var postgresSettings: [String] = []
        /// Further variables of PostgreSQL's environment.
        package var postgresEnvironment: [String: String] = [:]
        /// Where the nats-server keeps its data; nil: a folder of its own.
        package var natsFolder: String?
        /// Above 1: so many nats-servers, a cluster; all streams are replicated on as many.
        package var natsNodes = 1
        package var targets = """
            targets:
              - namespace: "*"
                subject: demo.>
                delivery: [jetstream, core, request]
              - namespace: refusals
                subject: elsewhere.>
                delivery: [core]
            sources:
              - namespace: "*"
                subject: demo.>
            """

        package init() {}
    }

    /// The first node where there is a cluster.
    package let nats: NATSServer
    package let cluster: NATSCluster?
    package let postgres: PostgresServer
    package let options: Options
    /// A connection of the test's own.
    package let client: NATSConnection
    package let database: PostgresConnection
    /// Where the instances' logs and files lie.
    package let folder: String
    private let recorder: TrafficRecorder?

    private init(
        nats: [NATSServer], cluster: NATSCluster?, postgres: PostgresServer, options: Options, client: NATSConnection,
        database: PostgresConnection, folder: String, recorder: TrafficRecorder?
    ) {
        self.nats = nats[0]
        self.cluster = cluster
        self.postgres = postgres
        self.options = options
        self.client = client
        self.database = database
        self.folder = folder
        self.recorder = recorder
    }

    /// Starts servers and applies the schema; starts no instance yet.
    package static func start(_ options: Options = Options()) async throws -> ServiceFixture {
        let postgres = try PostgresServer(
            fsync: options.fsync, settings: options.postgresSettings, environment: options.postgresEnvironment)
        async let natsStarted = startNATS(options)
        async let postgresStarted: Void = postgres.start()
        let ((nats, cluster), _) = try await (natsStarted, postgresStarted)
        try await postgres.createDatabase("carillon")
        let url = await postgres.url(database: "carillon")
        _ = try await Schema.update(Schema.migrator(PostgresConfiguration(url)))
        var configuration = NATSConfiguration(servers: await urls(nats), name: "fixture")
        configuration.sendAsap = true
        configuration.inboxPrefix = TrafficRecorder.inboxPrefix
        options.identify(&configuration)
        let recorder = try TrafficRecorder.ifWanted()
        recorder?.record(&configuration)
        let client = try await NATSConnection.connect(configuration, within: .seconds(10))
        if let cluster, !(await cluster.settles(client)) {
            throw FixtureError(description: "expected the cluster to have a leader within 30 s")
        }
        let database = try PostgresConnection(PostgresConfiguration(url), reopens: true)
        let folder = try Filesystem.makeTemporaryFolder()
        try Filesystem.write(options.targets, to: folder + "/targets.yaml")
        return ServiceFixture(
            nats: nats, cluster: cluster, postgres: postgres, options: options, client: client, database: database,
            folder: folder, recorder: recorder)
    }

    private static func startNATS(_ options: Options) async throws -> ([NATSServer], NATSCluster?) {
        if options.natsNodes > 1 {
            let cluster = try await NATSCluster.start(
                nodes: options.natsNodes, configuration: options.natsConfiguration)
            return (cluster.nodes, cluster)
        }
        let nats = try NATSServer(folder: options.natsFolder, configuration: options.natsConfiguration)
        try await nats.start()
        return ([nats], nil)
    }

    private static func urls(_ nodes: [NATSServer]) async -> [String] {
        var urls: [String] = []
        for node in nodes { urls.append(await node.url) }
        return urls
    }

    deinit { Filesystem.remove(folder) }

    /// Ends the servers; call it after the instances are gone.
    package func stop() async {
        await recorder?.stop()
        await recorder?.readEvents(client)
        await client.close()
        await database.close()
        await cluster?.remove()
        await nats.remove()
        await postgres.remove()
    }

    /// The program under test: beside the running test or benchmark, or what `CARILLON_BIN` names.
    package static var program: String {
        if let path = getenv("CARILLON_BIN") { return String(cString: path) }
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        let own = String(decoding: buffer[..<max(0, count)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let folder = own.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
        // Under `swift test` the runner is the toolchain's; the build folder is the working directory's.
        let beside = folder + "/carillon"
        return access(beside, X_OK) == 0 ? beside : ".build/debug/carillon"
    }

    /// Notes what is said by others than ``client`` too, where somebody asked for it: in a system whose instances and
    /// streams are never gone.
    /// - Parameter fired: what is fired at, as a stream takes it.
    package func listen(fired: String) async throws { try await recorder?.listen(client, fired: fired) }

    /// Starts one instance and waits until it is a ready member.
    /// - Parameter program: another build of the service than the one under test.
    package func startInstance(
        _ name: String = "one", environment: [String: String] = [:], waits: Bool = true,
        program: String = ServiceFixture.program
    ) async throws -> ServiceInstance {
        var variables = [
            "PATH": getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin",
            "NATS_URL": await Self.urls(cluster?.nodes ?? [nats]).joined(separator: ","),
            "STREAM_REPLICAS": "\(options.natsNodes)",
            "DATABASE_URL": await postgres.url(database: "carillon"),
            "API_PORT": "off", "SERVICE_NAME": name, "TARGETS_FILE": folder + "/targets.yaml",
            "LOCK_TIMEOUT_SECONDS": String(options.leaseSeconds), "MAX_SCHEDULES_PER_CREATOR": "1000000",
        ]
        variables.merge(options.environment) { $1 }
        variables.merge(environment) { $1 }
        let log = folder + "/\(name).log"
        let process = try ChildProcess([program, "serve"], environment: variables, logPath: log)
        let instance = ServiceInstance(name: name, process: process, logPath: log)
        if waits { try await waitUntilReady(instance) }
        return instance
    }

    /// Waits until an instance says that it is ready.
    package func waitUntilReady(_ instance: ServiceInstance, within limit: Duration = .seconds(20)) async throws {
        let name = instance.name
        let isReady = await waitUntil(limit) {
            guard let statuses = try? await self.statuses() else { return false }
            return statuses.contains { $0["instance_name"]?.string == name && $0["ready"]?.bool == true }
        }
        guard isReady else {
            throw FixtureError(description: "'\(name)' did not become ready:\n\(instance.logTail)")
        }
    }

    /// What `admin.system.status` says; with several instances, ask often enough to hear each.
    package func statuses() async throws -> [JSONValue] {
        var statuses: [JSONValue] = []
        for _ in 0..<4 {
            let reply = try await client.request(try Subject("scheduler.admin.system.status"), timeout: .seconds(2))
            if let status = try JSONValue.parse(reply.payload)["system"] { statuses.append(status) }
        }
        return statuses
    }

    /// What one instance of several says of itself; nil where it did not answer.
    package func status(of instance: ServiceInstance) async throws -> JSONValue? {
        // Any member may take the question.
        for _ in 0..<8 {
            let found = try await statuses().first { $0["instance_name"]?.string == instance.name }
            if let found { return found }
        }
        return nil
    }

    /// Sends a command of a namespace. - Returns: the reply, whether a success or an error.
    package func command(
        _ command: String, _ body: String, namespace: String = "test", timeout: Duration = .seconds(5)
    ) async throws -> JSONValue {
        let reply = try await client.request(
            try Subject("scheduler.cmd.\(namespace).\(command)"), payload: Array(body.utf8), timeout: timeout)
        return try JSONValue.parse(reply.payload)
    }

    /// Makes a stream for targets.
    package func makeStream(_ name: String = "DEMO", subjects: String = "demo.js.>") async throws {
        _ = try await JetStreamAPI(client).createStream(
            name,
            configuration: """
                {"name":"\(name)","subjects":["\(subjects)"],"retention":"limits","storage":"file","discard":"old",\
                "max_msgs":-1,"max_bytes":-1,"max_age":0,"duplicate_window":120000000000,\
                "num_replicas":\(options.natsNodes)}
                """)
    }

    /// What a stream holds, in its order, read from its leader; with a filter nothing else is carried over.
    package func messages(of stream: String, on filter: String = ">") async throws -> [StoredMessage] {
        let api = JetStreamAPI(client)
        guard let last = try await api.streamInfo(stream)?.lastSequence else { return [] }
        let filter = try SubjectFilter(filter)
        var messages: [StoredMessage] = []
        var next: UInt64 = 1
        while next <= last {
            do throws(NATSError) {
                let message = try await api.nextMessage(in: stream, on: filter, from: next)
                messages.append(message)
                next = message.sequence + 1
            } catch {
                guard error.code == .keyNotFound else { throw error }
                break
            }
        }
        return messages
    }

    /// The events on one subject, which ends with the id of a schedule, as they were told.
    package func eventMessages(of schedule: String) async throws -> [StoredMessage] {
        try await messages(of: "SCHEDULER_EVENTS", on: "scheduler.evt.*.*.*.\(schedule)")
    }

    /// Runs one SQL query that reads; every column is read as text.
    package func rows(_ sql: String) async throws -> [[String?]] {
        let rows = try await database.query(Statement("fixture \(sql.hashValue)", sql))
        return try rows.map { row in try (0..<rows.columnCount).map { try row.textOrNil($0) } }
    }

    /// One number out of the database.
    package func count(_ sql: String) async throws -> Int64 {
        try await database.query(Statement("fixture \(sql.hashValue)", sql)).first?.int64(0) ?? 0
    }
}

/// One running instance of the service.
package struct ServiceInstance: Sendable {
    package let name: String
    package let process: ChildProcess
    package let logPath: String

    package var logTail: String { Filesystem.tail(logPath) }

    /// Ends it in good order.
    package func stop(within limit: Duration = .seconds(15)) async -> Bool {
        process.signal(SIGTERM)
        return await process.waitForEnd(limit)
    }

    /// As a crash would.
    package func kill() async {
        process.signal(SIGKILL)
        _ = await process.waitForEnd(.seconds(5))
    }

    package func pause() { process.signal(SIGSTOP) }
    package func resume() { process.signal(SIGCONT) }
}

/// What a fixture could not do.
package struct FixtureError: Error, CustomStringConvertible {
    package let description: String

    package init(description: String) { self.description = description }
}
