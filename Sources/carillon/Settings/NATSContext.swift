import JSONText

/// A context of the `nats` command line: a server and an identity under a name, in a file of JSON.
struct NATSContext: Sendable, Equatable {
    var url: String?
    var user: String?
    var password: String?
    var token: String?
    /// Paths.
    var credentials: String?
    var nkey: String?
    var authorities: String?
    var certificate: String?
    var key: String?
    var inboxPrefix: String?

    /// What is wrong with one, without a word of its content.
    struct Problem: Error, Equatable {
        let message: String
    }

    /// Fields that say nothing about whom to reach and as whom.
    private static let ignored: Set<String> = ["name", "description", "color_scheme"]

    /// Where a context is kept: a path where it looks like one, else `nats/context/<name>.json` in the folder of the
    /// user's configuration.
    /// - Parameter environment: `XDG_CONFIG_HOME` and `HOME` count.
    static func path(of name: String, environment: [String: String]) throws(Problem) -> String {
        if name.contains("/") || name.hasSuffix(".json") { return expanded(name, environment) }
        guard name != ".", name != "..", name.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw Problem(message: "expected a context's name or the path of its file, got '\(name)'")
        }
        let home = environment["HOME"].flatMap { $0.isEmpty ? nil : $0 }
        let folder = environment["XDG_CONFIG_HOME"].flatMap { $0.isEmpty ? nil : $0 } ?? home.map { $0 + "/.config" }
        guard let folder else {
            throw Problem(message: "expected HOME to find the context '\(name)', or the path of its file")
        }
        return "\(folder)/nats/context/\(name).json"
    }

    /// - Parameter text: nil where the file could not be read.
    init(_ text: String?, path: String, environment: [String: String]) throws(Problem) {
        guard let text else { throw Problem(message: "expected a context in the readable file '\(path)'") }
        guard let value = try? JSONValue.parse(text), value.kind == .object else {
            throw Problem(message: "expected a context's JSON object in '\(path)'")
        }
        var refused: [String] = []
        var misread: [String] = []
        for member in value.members {
            let name = member.name
            guard !Self.ignored.contains(name), !Self.isEmpty(member.value) else { continue }
            guard let field = Self.fields[name] else {
                refused.append(name)
                continue
            }
            guard let text = member.value.string else {
                misread.append(name)
                continue
            }
            self[keyPath: field] = text
        }
        // Left out, each of these would mean another server, or another identity.
        guard refused.isEmpty else {
            throw Problem(
                message: "'\(path)' has what is not supported here: \(refused.sorted().joined(separator: ", "))")
        }
        guard misread.isEmpty else {
            throw Problem(message: "expected texts in '\(path)' for \(misread.sorted().joined(separator: ", "))")
        }
        for field in Self.paths { self[keyPath: field] = self[keyPath: field].map { Self.expanded($0, environment) } }
    }

    private static var fields: [String: WritableKeyPath<NATSContext, String?>] {
        [
            "url": \.url, "user": \.user, "password": \.password, "token": \.token, "creds": \.credentials,
            "nkey": \.nkey, "ca": \.authorities, "cert": \.certificate, "key": \.key, "inbox_prefix": \.inboxPrefix,
        ]
    }

    private static var paths: [WritableKeyPath<NATSContext, String?>] {
        [\.credentials, \.nkey, \.authorities, \.certificate, \.key]
    }

    /// As good as absent: the `nats` command line writes every field it knows.
    private static func isEmpty(_ value: JSONValue) -> Bool {
        value.isNull || value.string?.isEmpty == true || value.bool == false
    }

    private static func expanded(_ path: String, _ environment: [String: String]) -> String {
        guard path.hasPrefix("~/"), let home = environment["HOME"], !home.isEmpty else { return path }
        return home + path.dropFirst()
    }
}

extension NATSContext {
    /// The settings that it stands for, under their names.
    ///
    /// What is set besides comes first: its server, its identity as a whole, its certificates.
    func filling(_ values: [String: String]) -> [String: String] {
        func isSet(_ names: SettingName...) -> Bool { names.contains { values[$0.rawValue]?.isEmpty == false } }
        var given: [SettingName: String?] = [.natsInboxPrefix: inboxPrefix]
        if !isSet(.natsURL) { given[.natsURL] = url }
        let isNamed = values[SettingName.natsURL.rawValue]?.contains("@") == true
        if !isNamed, !isSet(.natsCredentials, .natsNKey, .natsUser, .natsPassword, .natsToken) {
            given.merge([
                .natsCredentials: credentials, .natsNKey: nkey, .natsUser: user, .natsPassword: password,
                .natsToken: token,
            ]) { $1 }
        }
        if !isSet(.natsAuthorities) { given[.natsAuthorities] = authorities }
        if !isSet(.natsCertificate, .natsKey) {
            given[.natsCertificate] = certificate
            given[.natsKey] = key
        }
        var filled = values
        for (name, text) in given {
            guard let text, !text.isEmpty, !isSet(name) else { continue }
            filled[name.rawValue] = text
        }
        return filled
    }
}
