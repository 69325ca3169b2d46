import CPostgres

/// Where the server is and what every session of ours starts with.
///
/// Sources, later ones win: libpq's defaults and the `PG*` variables of the environment, the URL or conninfo string,
/// the settings below. The password stays inside: no description and no error shows it.
package struct PostgresConfiguration: Sendable {
    struct Host: Sendable, Equatable {
        var name: String
        var port: String
        /// A numeric address that spares the lookup of `name`.
        var address: String?
    }

    /// Shown in `pg_stat_activity`.
    package var applicationName = "postgres-client"
    /// How long one server may take to accept a session. The deadline of a call still comes first.
    package var connectTimeout: Duration = .seconds(3)
    /// The deadline of a call that names none. Longer than `statementTimeout`, so that PostgreSQL's own limit, which
    /// leaves no doubt about the outcome, comes first.
    package var callTimeout: Duration = .seconds(7)
    package var statementTimeout: Duration = .seconds(5)
    package var lockTimeout: Duration = .seconds(2)
    /// Bounds how long a client that was paused inside a transaction can hold its locks.
    package var idleInTransactionTimeout: Duration = .seconds(8)
    /// How often a running statement checks that its client is still there.
    package var connectionCheckInterval: Duration = .seconds(2)
    /// How long sent data may stay unacknowledged before the kernel gives the connection up.
    package var tcpUserTimeout: Duration = .seconds(10)
    /// Pinned, so that no object in another schema can stand in for one of ours. Name the schema in SQL.
    package var searchPath = "pg_catalog, pg_temp"
    /// `auto`, `force_custom_plan` or `force_generic_plan`.
    package var planCacheMode: String?
    /// Further settings of the session, by name (`enable_hashjoin`: `off`). They win over those above.
    package var settings: [String: String] = [:]
    /// Whether a server that takes no writes (a standby) is refused.
    package var requiresWritableServer = true

    private(set) var hosts: [Host]
    /// libpq's keywords and values, without hosts and what `connectionOptions` sets.
    private var options: [String: String]

    /// Throws `.invalidConfiguration`, without a word of `url`, which may hold a password.
    ///
    /// - Parameter url: `postgres://…` or `host=… dbname=…`; nil or empty for the environment alone.
    package init(_ url: String? = nil) throws(PostgresError) {
        var options = Self.read(PQconndefaults())
        // libpq's own default is "any": only who writes it down means it.
        options["target_session_attrs"] = nil
        if let url, !url.isEmpty {
            let parsed = PQconninfoParse(url, nil)
            guard parsed != nil else {
                throw PostgresError(
                    .invalidConfiguration, "expected postgres://user@host:port/database or key=value pairs")
            }
            options.merge(Self.read(parsed)) { $1 }
        }
        hosts = try Self.hosts(in: options)
        switch options["target_session_attrs"] {
        case nil, "read-write", "primary": break
        case "any": requiresWritableServer = false
        case .some(let other):
            throw PostgresError(
                .invalidConfiguration, "expected target_session_attrs read-write, primary or any, got \(other)")
        }
        if let name = options["application_name"] { applicationName = name }
        let handledHere = ["host", "hostaddr", "port", "target_session_attrs", "application_name", "connect_timeout"]
        for key in handledHere { options[key] = nil }
        self.options = options
    }

    private static func read(_ list: UnsafeMutablePointer<PQconninfoOption>?) -> [String: String] {
        guard let list else { return [:] }
        defer { PQconninfoFree(list) }
        var values: [String: String] = [:]
        var option = list
        while let keyword = option.pointee.keyword {
            if let value = option.pointee.val { values[String(cString: keyword)] = String(cString: value) }
            option += 1
        }
        return values
    }

    private static func hosts(in options: [String: String]) throws(PostgresError) -> [Host] {
        func list(_ key: String) -> [String] {
            guard let value = options[key], !value.isEmpty else { return [] }
            return value.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        }
        let names = list("host")
        let addresses = list("hostaddr")
        let ports = list("port")
        let count = max(names.count, addresses.count)
        guard [1, count].contains(names.count) || names.isEmpty, addresses.isEmpty || addresses.count == count,
            ports.count <= 1 || ports.count == count
        else {
            throw PostgresError(
                .invalidConfiguration,
                "expected as many ports and addresses as hosts, got \(names.count) hosts, \(addresses.count) "
                    + "addresses, \(ports.count) ports")
        }
        return (0..<max(count, 1)).map { index in
            let port = ports.count > 1 ? ports[index] : ports.first ?? ""
            let address = index < addresses.count ? addresses[index] : ""
            return Host(
                name: index < names.count ? names[index] : names.first ?? "", port: port.isEmpty ? "5432" : port,
                address: address.isEmpty ? nil : address)
        }
    }
}

extension PostgresConfiguration {
    /// The keywords and values for one attempt at one host.
    func connectionOptions(host: Host) -> [(String, String)] {
        var all = options
        all["host"] = host.name.isEmpty ? nil : host.name
        all["hostaddr"] = host.address
        all["port"] = host.port
        all["application_name"] = applicationName
        all["client_encoding"] = "UTF8"
        // Kerberos would block inside libpq; who needs it says so.
        if all["gssencmode"] == nil || all["gssencmode"] == "prefer" { all["gssencmode"] = "disable" }
        all["keepalives"] = "1"
        for (key, value) in ["keepalives_idle": "5", "keepalives_interval": "2", "keepalives_count": "3"]
        where all[key] == nil {
            all[key] = value
        }
        if all["tcp_user_timeout"] == nil { all["tcp_user_timeout"] = "\(tcpUserTimeout.wholeMilliseconds)" }
        all["options"] = startupOptions(all["options"])
        return all.sorted { $0.key < $1.key }
    }

    private func startupOptions(_ given: String?) -> String {
        var values = [
            "statement_timeout": "\(statementTimeout.wholeMilliseconds)",
            "lock_timeout": "\(lockTimeout.wholeMilliseconds)",
            "idle_in_transaction_session_timeout": "\(idleInTransactionTimeout.wholeMilliseconds)",
            "client_connection_check_interval": "\(connectionCheckInterval.wholeMilliseconds)",
            "timezone": "UTC",
            "search_path": searchPath,
            "default_transaction_isolation": "read committed",
            "synchronous_commit": "on",
        ]
        values["plan_cache_mode"] = planCacheMode
        values.merge(settings) { $1 }
        let ours = values.sorted { $0.key < $1.key }.map { "-c \($0.key)=\(Self.escape($0.value))" }
        return ([given].compactMap { $0 } + ours).joined(separator: " ")
    }

    /// In `options` a space ends an argument and a backslash protects the next character.
    private static func escape(_ value: String) -> String {
        var escaped = ""
        for character in value {
            if character == " " || character == "\\" { escaped.append("\\") }
            escaped.append(character)
        }
        return escaped
    }
}

extension PostgresConfiguration: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String {
        let places = hosts.map { "\($0.name.isEmpty ? $0.address ?? "local socket" : $0.name):\($0.port)" }
        let user = options["user"] ?? ""
        let database = options["dbname"] ?? user
        return "PostgreSQL \(user)@\(places.joined(separator: ","))/\(database)"
    }

    package var debugDescription: String { description }

    /// Without children: `dump` and string interpolation of a container must not find the password either.
    package var customMirror: Mirror { Mirror(self, children: []) }
}

extension Duration {
    var wholeMilliseconds: Int64 {
        components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
    }
}
