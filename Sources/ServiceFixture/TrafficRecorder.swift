import Glibc
import JSONText
import LocalServers
package import NATSClient
import Synchronization

/// Notes what is said, so that the schemas can be held to it afterwards: commands and their replies, events, fired
/// messages and discovery, one JSON object a line. `Tests/python/validate_traffic.py` reads it.
///
/// It takes the first of each kind, so that what tests send by the thousand costs little. A subscriber changes what a test
/// sees: where somebody listens NATS says "no responders" no more. So a fixture's requests are noted by the connection that
/// makes them, its events are read from their stream at the end, and ``listen(_:prefix:inboxes:fired:)`` is for systems
/// whose instances and streams are never gone.
package final class TrafficRecorder: Sendable {
    /// The inboxes of the fixtures' own connections. What instances ask of NATS is not noted.
    package static let inboxPrefix = "_INBOX.fixture"

    /// How many of one kind are noted.
    private enum Most {
        static let commands = 300
        static let events = 40
        static let fired = 30
        /// Longer bodies are noted by their length alone.
        static let bytes = 131_072
    }

    private static let eventsStream = "SCHEDULER_EVENTS"
    private static let events = [
        "schedule.*", "system.*", "execution.delivered", "execution.running", "execution.succeeded", "execution.failed",
        "execution.retrying", "execution.timed_out", "execution.cancelled", "execution.skipped", "execution.dead",
        "execution.report_problem", "schedule.absent",
        "schedule.exhausted", "schedule.invalidated", "schedule.times_removed", "schedule.deleted", "schedule.updated",
        "schedule.paused", "schedule.resumed", "schedule.command_accepted", "schedule.command_rejected",
    ]

    private let file: Int32
    private let counts = Mutex<[String: Int]>([:])
    private let subscriptions = Mutex<[NATSSubscription]>([])
    private let tasks = Mutex<[Task<Void, Never>]>([])

    /// A recorder into a new file of the folder that `CARILLON_RECORD_TRAFFIC` names; nil where nobody asked for one.
    package static func ifWanted() throws -> TrafficRecorder? {
        guard let folder = Filesystem.environment("CARILLON_RECORD_TRAFFIC") else { return nil }
        try Filesystem.makeFolder(folder)
        let name = "\(folder)/\(getpid())-\(UInt64.random(in: 0...UInt64.max)).ndjson"
        let file = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw FixtureError(description: "cannot write '\(name)': error \(errno)") }
        return TrafficRecorder(file: file)
    }

    private init(file: Int32) { self.file = file }

    deinit { close(file) }

    // MARK: What a connection asks

    /// Lets a connection note what it asks and what it is answered.
    package func record(_ configuration: inout NATSConfiguration) {
        configuration.onAnswer = { [self] subject, payload, answer in
            guard !subject.description.hasPrefix("$JS."), let (kind, most) = Self.kind(answer.payload),
                isWanted("\(subject) \(kind)", most)
            else { return }
            write(subject: subject.description, reply: answer.subject, payload, [])
            write(subject: answer.subject, reply: nil, answer.payload, answer.headers.map { ($0.name, $0.value) })
        }
    }

    /// A reply's kind: its type and its error; nil for what NATS itself answers.
    private static func kind(_ payload: [UInt8]) -> (String, Int)? {
        guard !payload.isEmpty, !payload.starts(with: #"{"type":"io.nats.jetstream"#.utf8) else { return nil }
        guard payload.count <= Most.bytes, let body = try? JSONValue.parse(payload) else {
            return ("text", Most.events)
        }
        let code = body["error"]?["err_code"]?.int64 ?? 0
        return ("reply \(body["type"]?.string ?? "") \(code)", Most.commands)
    }

    // MARK: What a stream holds

    /// Notes some events of each kind. Ends at the first thing that goes wrong: the server may be gone.
    package func readEvents(_ connection: NATSConnection, prefix: String = "scheduler") async {
        guard connection.isConnected else { return }
        let api = JetStreamAPI(connection, timeout: .seconds(1))
        for event in Self.events {
            var next: UInt64 = 1
            for _ in 0..<Most.events {
                do {
                    let filter = try SubjectFilter("\(prefix).evt.*.\(event).*")
                    let message = try await api.nextMessage(in: Self.eventsStream, on: filter, from: next)
                    let id = message.header("Nats-Msg-Id") ?? ""
                    write(subject: message.subject, reply: nil, message.payload, [("Nats-Msg-Id", id)])
                    next = message.sequence + 1
                } catch let error where error.code == .keyNotFound {
                    break
                } catch {
                    return
                }
            }
        }
    }

    // MARK: What passes by

    /// Notes what is said by anybody, until ``stop()``.
    /// - Parameters:
    ///   - inboxes: whose replies are noted.
    ///   - fired: what is fired at; subjects that somebody takes anyway.
    package func listen(
        _ connection: NATSConnection, prefix: String = "scheduler", inboxes: String = inboxPrefix, fired: String
    ) async throws {
        for tail in ["cmd.>", "admin.>", "submit.>", "help"] {
            try note("\(prefix).\(tail)", on: connection) { message in
                (message.subject.split(separator: ".").suffix(2).joined(separator: "."), Most.commands)
            }
        }
        try note(inboxes + ".>", on: connection) { Self.kind($0.payload) }
        for filter in ["$SRV.>", "\(prefix).evt.>", "\(prefix).dlq.>", "\(prefix).run.>"] {
            try note(filter, on: connection) { message in
                let tokens = message.subject.split(separator: ".")
                return ((tokens.prefix(2) + tokens.dropFirst(3).prefix(2)).joined(separator: "."), 2 * Most.events)
            }
        }
        try note(fired, on: connection) { _ in ("fired", Most.fired) }
        // From here on nothing is missed.
        try await connection.flush()
    }

    /// Notes what is on its way, then listens no more.
    package func stop() async {
        for subscription in subscriptions.withLock({ $0 }) { subscription.cancel() }
        for task in tasks.withLock({ $0 }) { await task.value }
    }

    /// - Parameter kind: a message's kind and how many of that kind are noted in all; nil: it is not noted.
    private func note(
        _ filter: String, on connection: NATSConnection, kind: @escaping @Sendable (NATSMessage) -> (String, Int)?
    ) throws {
        let messages = try connection.subscribe(try SubjectFilter(filter))
        let task = Task { [self] in
            for await message in messages {
                guard let (kind, most) = kind(message), isWanted("\(filter) \(kind)", most) else { continue }
                let headers = message.headers.map { ($0.name, $0.value) }
                write(subject: message.subject, reply: message.reply, message.payload, headers)
            }
        }
        subscriptions.withLock { $0.append(messages) }
        tasks.withLock { $0.append(task) }
    }

    // MARK: Lines

    private func isWanted(_ kind: String, _ most: Int) -> Bool {
        counts.withLock { counts in
            counts[kind, default: 0] += 1
            return counts[kind, default: 0] <= most
        }
    }

    private func write(subject: String, reply: String?, _ payload: [UInt8], _ headers: [(name: String, value: String)])
    {
        var writer = JSONWriter(capacity: payload.count + 512)
        writer.object { writer in
            writer.member("subject", subject)
            writer.member("reply", ifPresent: reply)
            writer.member("bytes", payload.count)
            writer.object("headers") { writer in
                // The first of a name counts, as it does for who reads them.
                var names: Set<String> = []
                for header in headers where names.insert(header.name).inserted {
                    writer.name(dynamic: header.name)
                    writer.value(header.value)
                }
            }
            // Of a body that is no UTF-8 nothing is to be validated.
            if payload.count <= Most.bytes {
                writer.member("body", ifPresent: String(validating: payload, as: UTF8.self))
            }
        }
        let line = writer.bytes + [UInt8(ascii: "\n")]
        _ = line.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
    }
}
