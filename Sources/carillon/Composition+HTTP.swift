import SchedulerAPI
import SchedulerCore
import SchedulerEngine
import SchedulerHTTP
import SchedulerWire
import ServiceTracing
import ZoneData

extension Composition {
    /// HTTP over the same commands; nil where it is off.
    func http(
        _ dispatcher: CommandDispatcher, _ engine: Engine, _ zones: ZoneDatabase, _ metrics: MetricsPage
    ) -> HTTPService? {
        guard let wanted = settings.http(instance: engine.configuration.instanceName) else { return nil }
        let names = engine.configuration.names
        let feed = EventFeed(dispatcher.connection, stream: names.eventsStream, prefix: names.prefix)
        let report = HealthReport(dispatcher: dispatcher, zones: zones) { [tokens] in
            guard let fault = tokens.fault else { return [] }
            return [HealthReport.Problem("tokens_file", "API_TOKENS_FILE is not used as it is now: \(fault)")]
        }
        let backend = HTTPBackend(
            command: { command in
                let kind: CommandSubject.Kind =
                    command.namespace.map { .command(namespace: $0.description) } ?? .administration
                let subject = CommandSubject(kind, noun: command.page.noun, verb: command.page.verb)
                let answer = await dispatcher.answer(
                    subject, body: command.body, trace: command.trace, by: .http)
                return HTTPBackend.Answer(body: answer.body, failure: answer.failure)
            },
            mostBytes: { dispatcher.mostBytes }, faults: { engine.faults() }, health: { await report.write() },
            metrics: { await metrics.text() }, events: { try await feed.open($0) })
        return HTTPService(wanted, backend: backend, tokens: tokens, logger: logger)
    }
}
