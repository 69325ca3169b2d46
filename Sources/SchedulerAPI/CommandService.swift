import JSONText
package import Logging
import NATSClient
import SchedulerCore
import SchedulerEngine
package import SchedulerWire
import ServiceLifecycle
import Synchronization

/// Answers commands over NATS: any instance of the queue group takes one, carries it out, and replies.
package struct CommandService: Service {
    package struct Settings: Sendable {
        package var defaults: DefinitionDefaults
        package var mostSchedules: Int64
        package var version: String

        package init(defaults: DefinitionDefaults, mostSchedules: Int64, version: String) {
            self.defaults = defaults
            self.mostSchedules = mostSchedules
            self.version = version
        }

        /// - Parameter life: who is asked whether anybody takes what is fired; nil where nobody reads the answer.
        func context(
            _ session: Session, on connection: NATSConnection, life: TargetLife? = nil
        ) -> CommandContext {
            CommandContext(
                session: session, defaults: defaults, mostSchedules: mostSchedules,
                mostMessageBytes: Int(connection.serverInfo?.maximumPayload ?? 1 << 20), life: life)
        }
    }

    /// Commands carried out side by side; further ones wait in the subscription.
    private static let mostAtOnce = 32
    static let queueGroup = "carillon"

    private let dispatcher: CommandDispatcher
    private let logger: Logger
    private var engine: Engine { dispatcher.engine }
    private var connection: NATSConnection { dispatcher.connection }
    private var settings: Settings { dispatcher.settings }
    private var statistics: CommandStatistics { dispatcher.statistics }

    package init(dispatcher: CommandDispatcher, logger: Logger) {
        self.dispatcher = dispatcher
        self.logger = logger
    }

    package func run() async throws {
        let names = engine.configuration.names
        let group = try Subject(Self.queueGroup)
        let commands = try connection.subscribe(try SubjectFilter(names.commands), queue: group)
        let administration = try connection.subscribe(try SubjectFilter(names.administration), queue: group)
        let micro = MicroResponder(
            connection: connection, statistics: statistics, names: names, version: settings.version)
        try micro.subscribe()
        let help = HelpResponder(connection: connection, statistics: statistics, prefix: names.prefix)
        try help.subscribe(queue: group)
        for sentence in await ForeignStreams(connection, prefix: names.prefix).find() {
            logger.error("a stream of somebody else takes requests", metadata: ["reason": "\(sentence)"])
        }
        await withGracefulShutdownHandler {
            await withDiscardingTaskGroup { tasks in
                tasks.addTask { await serve(commands) }
                tasks.addTask { await serve(administration) }
                tasks.addTask {
                    await untilDraining()
                    commands.cancel()
                    administration.cancel()
                }
                tasks.addTask { await PauseKeeper(engine: engine, logger: logger).run() }
                tasks.addTask { await FailureKeeper(engine: engine, logger: logger).run() }
                tasks.addTask {
                    await ChainKeeper(engine: engine, context: { settings.context($0, on: connection) }, logger: logger)
                        .run()
                }
            }
        } onGracefulShutdown: {
            commands.cancel()
            administration.cancel()
        }
        micro.cancel()
        help.cancel()
    }

    /// Waits until this instance is asked to go: it answers no more, what it has taken on it ends, and then the process
    /// stops as it does by a signal.
    private func untilDraining() async {
        while !engine.isDraining, !Task.isShuttingDownGracefully, !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(50))
        }
    }

    /// Takes messages while there is room for another; then the subscription waits, and NATS with it.
    private func serve(_ messages: NATSSubscription) async {
        await withTaskGroup(of: Void.self) { tasks in
            var running = 0
            for await message in messages {
                if running >= Self.mostAtOnce {
                    await tasks.next()
                    running -= 1
                }
                tasks.addTask { await answer(message) }
                running += 1
            }
        }
    }

    private func answer(_ message: NATSMessage) async {
        guard let subject = CommandSubject(message.subject, prefix: engine.configuration.subjectPrefix) else {
            let failure = WireError(
                .badSubject, "expected <prefix>.cmd.<namespace>.<noun>.<verb>, got '\(message.subject)'")
            var writer = JSONWriter(capacity: 512)
            Envelope(noun: "unknown", verb: "command").failure(failure, into: &writer)
            return send(writer.bytes, failure, to: message)
        }
        let answer = await dispatcher.answer(subject, body: message.payload, trace: TraceContext(message))
        send(answer.body, answer.failure, to: message)
    }

    /// A reply that no message can carry is told as such: who waits for it must not wait in vain.
    private func fitting(_ reply: [UInt8], to message: NATSMessage) -> [UInt8] {
        let most = Int(connection.serverInfo?.maximumPayload ?? 1 << 20)
        guard reply.count > most else { return reply }
        let subject = CommandSubject(message.subject, prefix: engine.configuration.subjectPrefix)
        let failure = WireError(
            .tooManyItems, "the reply takes \(reply.count) bytes, the server's max_payload is \(most): ask for fewer")
        var writer = JSONWriter(capacity: 512)
        Envelope(noun: subject?.noun ?? "unknown", verb: subject?.verb ?? "command").failure(failure, into: &writer)
        return writer.bytes
    }

    /// A request without a reply subject works; its outcome is in the events.
    private func send(_ reply: [UInt8], _ failure: WireError?, to message: NATSMessage) {
        guard let subject = Subject(replyOf: message.reply, prefix: engine.configuration.subjectPrefix) else { return }
        do {
            var headers = NATSHeaders()
            for header in failure.map(Envelope.headers) ?? [] {
                try headers.append(try HeaderName(header.name), header.value)
            }
            try connection.publish(subject, headers: headers, payload: fitting(reply, to: message))
        } catch {
            logger.warning(
                "a reply could not be sent", metadata: ["subject": "\(message.subject)", "error": "\(error)"])
        }
    }
}
