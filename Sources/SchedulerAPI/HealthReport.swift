import JSONText
import Migrations
import NATSClient
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import SchedulerWire
import Synchronization
package import ZoneData

/// Everything there is to say about an instance's health, with the named errors that an admin should know of. Asks
/// PostgreSQL and NATS; either may be what is wrong, and the rest is told all the same.
package final class HealthReport: Sendable {
    /// Something that is wrong, by a name that programs may look for.
    package struct Problem: Hashable, Sendable {
        package let name: String
        package let description: String

        package init(_ name: String, _ description: String) {
            self.name = name
            self.description = description
        }
    }

    /// Of `admin.system.status`, what is told here too.
    private static let backlog = [
        "overdue", "claims", "waiting", "in_flight", "unanswered", "due_waiting", "events_owed", "outbox_pending",
        "commands_pending",
    ]
    private static let patience = Duration.seconds(2)
    /// Migrations are looked at so often: each look is a session of its own.
    private static let migrationsAge = Duration.seconds(60)

    private let dispatcher: CommandDispatcher
    private let zones: ZoneDatabase
    private let problems: @Sendable () -> [Problem]
    private let migrations = Mutex<(at: ContinuousClock.Instant, statuses: [MigrationStatus])?>(nil)
    private var engine: Engine { dispatcher.engine }
    private var connection: NATSConnection { dispatcher.connection }

    /// - Parameter problems: what others know to be wrong.
    package init(
        dispatcher: CommandDispatcher, zones: ZoneDatabase, problems: @escaping @Sendable () -> [Problem] = { [] }
    ) {
        self.dispatcher = dispatcher
        self.zones = zones
        self.problems = problems
    }

    /// - Returns: a JSON object, and whether nothing is wrong.
    package func write() async -> (body: [UInt8], isWell: Bool) {
        let faults = engine.faults()
        let answer = await dispatcher.answer(CommandSubject(.administration, noun: "system", verb: "status"), body: [])
        let system = (try? JSONValue.parse(answer.body))?["system"]
        let names = engine.configuration.names
        let found = await ForeignStreams(connection, prefix: names.prefix).find()
        let streams = await streams([names.eventsStream, names.commandsStream, names.deadLetterStream])
        let schema = await migrationStatuses()
        var problems = found.map { Problem("foreign_stream", $0) } + self.problems()
        if !connection.isConnected { problems.append(Problem("nats_away", "NATS does not answer")) }
        if system?["overdue"] == nil {
            problems.append(Problem("postgresql_away", "PostgreSQL does not answer, or the instance is joining"))
        }
        let told = problems
        let members = system?["members"].map { $0.elements.compactMap { $0["instance"]?.string } } ?? []
        let isMember = system?["instance"]?.string.map(members.contains) ?? false
        var writer = JSONWriter(capacity: 4096)
        let server = connection.serverInfo
        writer.object { writer in
            writer.member("status", !faults.isEmpty ? "unavailable" : told.isEmpty ? "ok" : "degraded")
            writer.member("version", dispatcher.settings.version)
            writer.member("instance_name", engine.configuration.instanceName)
            writer.member("instance", ifPresent: system?["instance"]?.string)
            writer.strings("reasons", faults)
            writer.name("problems")
            writer.array { writer in for problem in told { writer.value(problem) } }
            writer.object("nats") { writer in
                writer.member("connected", connection.isConnected)
                writer.member("server", ifPresent: server.map { Self.place(of: $0.url) })
                writer.member("reconnects", connection.counters.reconnects + connection.counters.rebuilds)
            }
            writer.object("postgresql") { $0.member("answers", system?["overdue"] != nil) }
            writer.object("lease") { writer in
                writer.member("bucket", names.lockBucket)
                writer.member("held", isMember)
            }
            writer.member("clock_offset_ms", ifPresent: system?["clock_skew_ms"]?.int64)
            writer.object("backlog") { $0.members(of: system, Self.backlog) }
            writer.object("streams") { writer in
                for (name, info) in streams {
                    writer.name(dynamic: name)
                    writer.value(info)
                }
            }
            writer.object("tzdata") { writer in
                writer.member("version", ifPresent: zones.version)
                writer.member("folder", zones.root)
            }
            writer.object("migrations") { $0.members(of: schema) }
            writer.members(of: system, ["members", "warnings", "schedules"])
        }
        return (writer.bytes, faults.isEmpty && told.isEmpty)
    }

    private func streams(_ names: [String]) async -> [(name: String, info: StreamInfo?)] {
        var api = JetStreamAPI(connection)
        api.timeout = Self.patience
        var found: [(name: String, info: StreamInfo?)] = []
        for name in names { found.append((name, (try? await api.streamInfo(name)) ?? nil)) }
        return found
    }

    private func migrationStatuses() async -> [MigrationStatus]? {
        if let known = migrations.withLock({ $0 }), .now - known.at < Self.migrationsAge { return known.statuses }
        guard let statuses = try? await Schema.migrator(engine.configuration.postgres).status() else { return nil }
        migrations.withLock { $0 = (.now, statuses) }
        return statuses
    }

    /// Without the user and what else may stand before an `@`.
    private static func place(of url: String) -> String {
        url.split(separator: "@", omittingEmptySubsequences: false).last.map(String.init) ?? url
    }
}

extension JSONWriter {
    fileprivate mutating func value(_ problem: HealthReport.Problem) {
        object { writer in
            writer.member("name", problem.name)
            writer.member("description", problem.description)
        }
    }

    fileprivate mutating func value(_ stream: StreamInfo?) {
        object { writer in
            writer.member("found", stream != nil)
            guard let stream else { return }
            writer.member("messages", stream.messages)
            writer.member("first_sequence", stream.firstSequence)
            writer.member("last_sequence", stream.lastSequence)
            writer.member("replicas", stream.replicas)
            writer.member("leader", ifPresent: stream.leader)
        }
    }

    fileprivate mutating func members(of value: JSONValue?, _ names: [String]) {
        for name in names {
            guard let member = value?[name] else { continue }
            self.name(dynamic: name)
            self.value(member)
        }
    }

    fileprivate mutating func members(of statuses: [MigrationStatus]?) {
        guard let statuses else { return }
        member("applied", statuses.count { $0.state == .applied })
        name("others")
        array { writer in
            for status in statuses where status.state != .applied {
                writer.object { writer in
                    writer.member("version", status.version)
                    writer.member("name", status.name)
                    writer.member("state", status.state.rawValue)
                }
            }
        }
    }
}
