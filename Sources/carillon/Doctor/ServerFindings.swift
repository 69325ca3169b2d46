/// One nats-server, as it tells of itself.
struct NATSNode: Hashable, Sendable {
    var name = "n1"
    var version = "2.9.10"
    var cluster: String?
}

/// `2.10.19`; what follows a dash is not looked at.
struct ServerVersion: Comparable, Hashable, Sendable, CustomStringConvertible {
    let major: Int
    let minor: Int
    let patch: Int

    init(_ major: Int, _ minor: Int, _ patch: Int) {
        self.major = major
        self.minor = minor
        self.patch = patch
    }

    init?(_ text: String) {
        let parts = text.split(separator: "-", maxSplits: 1)[0].split(separator: ".").map { Int($0) }
        guard parts.count == 3, let major = parts[0], let minor = parts[1], let patch = parts[2] else { return nil }
        self.init(major, minor, patch)
    }

    var description: String { "\(major).\(minor).\(patch)" }

    static func < (left: ServerVersion, right: ServerVersion) -> Bool {
        (left.major, left.minor, left.patch) < (right.major, right.minor, right.patch)
    }
}

/// What is known to be wrong with versions of nats-server.
enum ServerHazards {
    static let least = ServerVersion(2, 9, 10)

    private struct Hazard {
        let concerns: (ServerVersion) -> Bool
        var onClusters = false
        let words: String

        init(_ words: String, onClusters: Bool = false, _ concerns: @escaping (ServerVersion) -> Bool) {
            self.words = words
            self.onClusters = onClusters
            self.concerns = concerns
        }
    }

    private static var known: [Hazard] {
        [
            Hazard("whoever may publish on $JS.> can purge other accounts' streams") {
                $0 < ServerVersion(2, 10, 27) || $0 == ServerVersion(2, 11, 0)
            },
            Hazard("deny rules of permissions can be got around") {
                $0 < ServerVersion(2, 11, 16) || ($0 >= ServerVersion(2, 12, 0) && $0 < ServerVersion(2, 12, 7))
            },
            Hazard("a header whose name or value has 'Nats-' in it can hide the real one; the service refuses such") {
                $0 < ServerVersion(2, 11, 11) || ($0 >= ServerVersion(2, 12, 0) && $0 < ServerVersion(2, 12, 2))
            },
            Hazard("a large publish can harm a stream's files") { $0 < ServerVersion(2, 10, 28) },
            Hazard("a stream can be forgotten when the server is killed") {
                $0 >= ServerVersion(2, 10, 20) && $0 < ServerVersion(2, 10, 23)
            },
            Hazard("an update of a key that is gone succeeds") { $0 == ServerVersion(2, 10, 19) },
            Hazard("two may win one update of a key; leases stand it", onClusters: true) {
                $0 < ServerVersion(2, 9, 21)
            },
            Hazard("votes are not on disk when they are given", onClusters: true) { $0 < ServerVersion(2, 10, 23) },
            Hazard("replicas can come to differ over keys that run out", onClusters: true) {
                $0 < ServerVersion(2, 10, 19)
            },
        ]
    }

    /// - Returns: a sentence for each that concerns this version.
    static func of(_ version: ServerVersion, isReplicated: Bool) -> [String] {
        known.filter { $0.concerns(version) && (isReplicated || !$0.onClusters) }.map(\.words)
    }
}

/// What a nats-server, and the account of the service on it, must be.
enum ServerFindings {
    static func version(_ node: NATSNode, isReplicated: Bool) -> Finding {
        let check = "nats.version"
        // A server without a name has its key for one.
        let found = "\(node.version) (\(node.name.prefix(16)))"
        guard let version = ServerVersion(node.version) else {
            return .warn(check, found, expected: "a version such as 2.11.16", "look whether it is a nats-server")
        }
        guard version >= ServerHazards.least else {
            return .fail(check, found, expected: "\(ServerHazards.least) or later", "upgrade nats-server")
        }
        let hazards = ServerHazards.of(version, isReplicated: isReplicated)
        guard hazards.isEmpty else {
            return .warn(
                check, found, expected: "2.11.16, 2.12.7, 2.14.0 or later of each",
                "upgrade nats-server, for of this one is known: " + hazards.joined(separator: "; "))
        }
        return .ok(check, found)
    }

    /// All nodes of one version, but while they are upgraded.
    static func nodes(_ nodes: [NATSNode], replicas: Int) -> [Finding] {
        var findings = Set(nodes.map(\.version)).sorted().compactMap { version in
            nodes.first { $0.version == version }.map { self.version($0, isReplicated: replicas > 1) }
        }
        if Set(nodes.map(\.version)).count > 1 {
            findings.append(
                .warn(
                    "nats.nodes", nodes.map { "\($0.name) \($0.version)" }.sorted().joined(separator: ", "),
                    expected: "one version once an upgrade is over", "end the upgrade"))
        }
        if replicas > 1, nodes.count < replicas {
            findings.append(
                .warn(
                    "nats.nodes", "\(nodes.count) servers that answer",
                    expected: "STREAM_REPLICAS=\(replicas) at least",
                    "look at 'nats server list', or lower STREAM_REPLICAS"))
        }
        return findings
    }

    /// - Parameters:
    ///   - used: bytes in files of all streams.
    ///   - limit: what the account may use; nil where the server's disk alone bounds it.
    static func storage(used: UInt64, limit: UInt64?) -> Finding {
        let check = "nats.storage"
        guard let limit, limit > 0 else { return .ok(check, "\(size(used)) in use, no limit for the account") }
        let found = "\(size(used)) of \(size(limit)) in use"
        let share = Double(used) / Double(limit)
        guard share >= 0.8 else { return .ok(check, found) }
        let advice = "raise the account's max_file, or shorten what streams keep"
        return share >= 0.95
            ? .fail(check, found, expected: "room: a full account refuses events and submitted commands", advice)
            : .warn(check, found, expected: "under 80 %", advice)
    }

    static func size(_ bytes: UInt64) -> String {
        let units = ["B", "KiB", "MiB", "GiB", "TiB"]
        var (value, unit) = (Double(bytes), 0)
        while value >= 1024, unit < units.count - 1 { (value, unit) = (value / 1024, unit + 1) }
        let tenths = (value * 10).rounded() / 10
        return (tenths == tenths.rounded() ? "\(Int(tenths))" : "\(tenths)") + " " + units[unit]
    }
}
