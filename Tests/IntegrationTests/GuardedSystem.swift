import LocalServers
import NATSClient
import PostgresClient
import SchedulerStore
import ServiceFixture

/// A system in which everybody has the least that they need: an instance as the role `scheduler` of `docker/nats` and as
/// a member of `carillon_app`; the other roles beside it. Started at its first use, ended with the process.
struct GuardedSystem {
    let fixture: ServiceFixture
    let instance: ServiceInstance

    private static let starting = Task { () async throws -> GuardedSystem in
        let fixture = try await ServiceFixture.start(try options())
        try await fixture.makeStream("BILLING", subjects: "cmd.billing.js.>")
        try await fixture.makeStream("ORDERS", subjects: "orders.js.>")
        try await fixture.database.execute(
            script: """
                CREATE ROLE service LOGIN IN ROLE carillon_app;
                CREATE ROLE watcher LOGIN IN ROLE carillon_reader
                """)
        let instance = try await fixture.startInstance(
            environment: ["DATABASE_URL": await url(of: "service", fixture)].merging(
                try HTTPFace.environment(fixture)
            ) { _, new in new })
        return GuardedSystem(fixture: fixture, instance: instance)
    }

    static var running: GuardedSystem { get async throws { try await starting.value } }

    // MARK: NATS

    /// The users of `docker/nats/accounts.conf`.
    enum Role: String, CaseIterable {
        case scheduler, billing, worker, auditor, admin

        var user: String { self == .worker ? "billing-worker" : rawValue }
        var inboxPrefix: String { "_INBOX." + user }
    }

    private static func options() throws -> ServiceFixture.Options {
        var options = ServiceFixture.Options()
        options.natsConfiguration = try natsConfiguration()
        options.identify = { $0.authentication = .user("everybody", password: "word-everybody") }
        options.environment = ["NATS_USER": "scheduler", "NATS_PASSWORD": "word-scheduler"]
        options.targets = """
            targets:
              - namespace: billing
                subject: cmd.billing.>
                delivery: [jetstream, core, request]
              - namespace: billing
                subject: elsewhere.>
                delivery: [jetstream, core, request]
            sources:
              - namespace: billing
                subject: orders.>
            """
        return options
    }

    /// The files of `docker/nats` as they are, with the passwords that a server would have from its environment, and one
    /// user more: the test's own, who may do everything in the account.
    private static func natsConfiguration() throws -> String {
        let root = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")
        let files = ["permissions", "accounts"].map {
            Filesystem.tail(root + "/docker/nats/\($0).conf", bytes: 1 << 16)
        }
        let include = #"include "permissions.conf""#
        guard files[1].contains(include), files[1].contains("users: [") else {
            throw FixtureError(description: "docker/nats/accounts.conf is not what this test knows")
        }
        let users = Role.allCases.map(\.user) + ["system"]
        let words = users.map {
            "NATS_\($0.uppercased().replacing("-", with: "_"))_PASSWORD: \"word-\($0)\""
        }
        let everybody = "users: [ { user: everybody, password: word-everybody }"
        return words.joined(separator: "\n") + "\n" + files[0]
            + files[1].replacing(include, with: "").replacing("users: [", with: everybody, maxReplacements: 1)
    }

    func connect(as role: Role) async throws -> NATSConnection {
        var configuration = NATSConfiguration(servers: [await fixture.nats.url], name: role.user)
        configuration.authentication = .user(role.user, password: "word-\(role.user)")
        configuration.inboxPrefix = role.inboxPrefix
        configuration.sendAsap = true
        return try await NATSConnection.connect(configuration, within: .seconds(5))
    }

    // MARK: PostgreSQL

    static func url(of user: String, _ fixture: ServiceFixture) async -> String {
        await fixture.postgres.url(database: "carillon").replacing("postgres@", with: "\(user)@")
    }

    func database(as user: String) async throws -> PostgresConnection {
        try PostgresConnection(PostgresConfiguration(await Self.url(of: user, fixture)))
    }
}
