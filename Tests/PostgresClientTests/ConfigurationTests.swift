import PostgresClient
import PostgresTestSupport
import Testing

struct ConfigurationTests {
    private static let secret = "s3cr3t-word"

    @Test(arguments: [
        "postgres://me:\(secret)@db.example:6432/jobs",
        "host=db.example port=6432 user=me password=\(secret) dbname=jobs",
        "postgres://me@db.example:6432/jobs?password=\(secret)",
    ])
    func thePasswordIsNeverShown(_ url: String) throws {
        let configuration = try PostgresConfiguration(url)
        #expect("\(configuration)" == "PostgreSQL me@db.example:6432/jobs")
        var dumped = ""
        dump(configuration, to: &dumped)
        dump(["nested": configuration], to: &dumped)
        dumped += String(reflecting: configuration) + String(describing: [configuration])
        #expect(!dumped.contains(Self.secret))
    }

    @Test(arguments: [
        "\(secret)", "postgres://me:\(secret)@db.example:6432/jobs?nonsense=\(secret)", "host=a \(secret)=b",
        "postgres://me:\(secret)@[::1/jobs", "host=a,b,c port=1,2 password=\(secret)",
        "host=a target_session_attrs=standby password=\(secret)",
    ])
    func aBadStringIsRefusedWithoutRepeatingIt(_ url: String) {
        #expect {
            try PostgresConfiguration(url)
        } throws: { error in
            (error as? PostgresError)?.code == .invalidConfiguration && !"\(error)".contains(Self.secret)
        }
    }

    @Test func severalHostsAreTriedInOrder() async throws {
        let server = try await LocalPostgres.shared.value
        let url = "host=127.0.0.1,localhost port=1,\(server.port) user=postgres dbname=postgres sslmode=disable"
        let connection = try PostgresConnection(try PostgresConfiguration(url))
        #expect(try await connection.query(selectOne).count == 1)
    }

    @Test func aSessionHasItsSettings() async throws {
        var configuration = try await LocalPostgres.shared.value.configuration()
        configuration.applicationName = "carillon test"
        configuration.searchPath = "pg_catalog, pg_temp"
        configuration.planCacheMode = "force_generic_plan"
        configuration.settings = ["enable_hashjoin": "off", "work_mem": "5MB"]
        let connection = try PostgresConnection(configuration)
        let expected = [
            "application_name": "carillon test", "statement_timeout": "5s", "lock_timeout": "2s",
            "idle_in_transaction_session_timeout": "8s", "client_connection_check_interval": "2s",
            "client_encoding": "UTF8", "TimeZone": "UTC", "search_path": "pg_catalog, pg_temp",
            "plan_cache_mode": "force_generic_plan", "enable_hashjoin": "off", "work_mem": "5MB",
            "default_transaction_isolation": "read committed", "synchronous_commit": "on",
        ]
        for (name, value) in expected {
            let setting = Statement("setting", "SELECT current_setting($1::text)", isReadOnly: true)
            #expect(try await connection.query(setting, [.text(name)])[0].text(0) == value, "\(name)")
        }
    }

    @Test func aServerThatTakesNoWritesIsRefused() async throws {
        var configuration = try await LocalPostgres.shared.value.configuration()
        configuration.settings = ["default_transaction_read_only": "on"]
        let connection = try PostgresConnection(configuration)
        let error = await failure { try await connection.open() }
        #expect(error?.code == .readOnly)
        configuration.requiresWritableServer = false
        #expect(try await PostgresConnection(configuration).query(selectOne).count == 1)
    }

    static let refusals: [(String, PostgresError.Code)] = [
        ("dbname=nowhere", .unknownDatabase), ("user=nobody_here", .authenticationFailed),
        ("user=full", .tooManyConnections), ("port=1", .connectionRefused),
        ("host=no-such-host.invalid", .connectionRefused),
    ]

    @Test(arguments: refusals)
    func aRefusedSessionHasItsCode(_ change: String, _ code: PostgresError.Code) async throws {
        let server = try await LocalPostgres.shared.value
        if change == "user=full" {
            let admin = try PostgresConnection(try server.configuration())
            try await admin.execute(script: "CREATE ROLE \"full\" LOGIN CONNECTION LIMIT 0")
        }
        let url = "host=127.0.0.1 port=\(server.port) user=postgres dbname=postgres sslmode=disable \(change)"
        let connection = try PostgresConnection(try PostgresConfiguration(url))
        let error = await failure { try await connection.open() }
        #expect(error?.code == code)
        #expect(error?.message.isEmpty == false)
        #expect(!connection.isOpen)
    }
}
