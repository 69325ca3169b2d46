import JSONText
package import Logging
package import NATSClient
package import SchedulerCore
package import SchedulerEngine
package import SchedulerWire
package import ServiceTracing

/// Carries commands out for every face that takes them, over NATS or HTTP: one set of handlers, one count, one rate.
package struct CommandDispatcher: Sendable {
    package struct Answer: Sendable {
        /// The reply, whether it tells a result or a failure.
        package let body: [UInt8]
        package let failure: WireError?
    }

    let engine: Engine
    package let connection: NATSConnection
    let settings: CommandService.Settings
    let statistics: CommandStatistics
    private let rates: CommandRates
    private let life: TargetLife
    private let logger: Logger

    package init(engine: Engine, connection: NATSConnection, settings: CommandService.Settings, logger: Logger) {
        self.engine = engine
        self.connection = connection
        self.settings = settings
        self.logger = logger
        statistics = CommandStatistics(meters: engine.meters)
        rates = CommandRates(engine)
        life = TargetLife(connection)
    }

    /// The longest body that any command reads: the server's `max_payload`, as one that comes over NATS has it.
    package var mostBytes: Int { max(CommandRequest.mostBytes, mostMessageBytes) }

    private var mostMessageBytes: Int { Int(connection.serverInfo?.maximumPayload ?? 1 << 20) }

    /// Answers a command, counts it, and tells the log what no requester is told.
    /// - Parameter trace: the context that it came in; where somebody records it, what the command does belongs to a span
    ///   of its own within.
    package func answer(
        _ command: CommandSubject, body: [UInt8], trace: TraceContext? = nil,
        by road: ServiceTracer.CommandRoad = .nats
    ) async -> Answer {
        let begun = MonotonicClock.now()
        let span = engine.tracer.begin(command, by: road, within: trace, of: engine)
        let trace = span?.trace ?? trace
        let answer: Answer
        do {
            let reply = try await Correlation.$current.withValue(Correlation(trace: trace)) {
                try await carryOut(command, body)
            }
            answer = Answer(body: reply, failure: nil)
        } catch {
            let failure = WireError(mapping: error)
            if failure.code == .internalError {
                Correlation.$current.withValue(Self.correlation(trace, body)) {
                    logger.error("a command failed", metadata: ["command": "\(command.command)", "error": "\(error)"])
                }
            }
            var writer = JSONWriter(capacity: 512)
            Envelope(noun: command.noun, verb: command.verb).failure(failure, into: &writer)
            answer = Answer(body: writer.bytes, failure: failure)
        }
        span?.end(answer.failure, of: engine)
        log(command, body, trace, answer.failure, since: begun)
        statistics.record(command.command, nanoseconds: MonotonicClock.now() - begun, error: answer.failure)
        return answer
    }

    private static func correlation(_ trace: TraceContext?, _ body: [UInt8]) -> Correlation {
        Correlation(trace: trace, requestID: CommandRequest.requestID(of: body))
    }

    /// A line for each command, for who looks for one.
    private func log(
        _ command: CommandSubject, _ body: [UInt8], _ trace: TraceContext?, _ failure: WireError?, since begun: Int64
    ) {
        guard logger.logLevel <= .debug else { return }
        Correlation.$current.withValue(Self.correlation(trace, body)) {
            logger.debug(
                "a command was answered",
                metadata: [
                    "command": "\(command.command)", "code": "\(failure?.code.httpStatus ?? 200)",
                    "microseconds": "\((MonotonicClock.now() - begun) / 1000)",
                ])
        }
    }

    private func carryOut(_ command: CommandSubject, _ body: [UInt8]) async throws -> [UInt8] {
        switch command.kind {
        case .administration:
            let commands = AdministrationCommands(
                engine: engine, mostSchedules: settings.mostSchedules, mostMessageBytes: mostMessageBytes)
            return try await commands.answer(noun: command.noun, verb: command.verb, body: body)
        case .command(let token):
            let namespace: Namespace
            do { namespace = try Namespace(token) } catch { throw WireError(.badSubject, "\(error), got '\(token)'") }
            // Before anything is read: who sends too much costs nobody more than this.
            try rates.expect(namespace)
            let request = try CommandRequest(
                namespace: namespace, noun: command.noun, verb: command.verb, bytes: body)
            let context = settings.context(try engine.requireSession(), on: connection, life: life)
            return try await CommandHandlers.answer(request, in: context)
        }
    }
}
