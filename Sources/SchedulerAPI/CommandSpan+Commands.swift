import SchedulerCore
import SchedulerEngine
import SchedulerWire
import ServiceTracing

// Spans of commands, by the names of the catalogue: what anybody may write into a subject names no span.

extension ServiceTracer {
    func begin(
        _ command: CommandSubject, by road: CommandRoad, within trace: TraceContext?, of engine: Engine
    ) -> CommandSpan? {
        guard follows(trace) else { return nil }
        let page = CommandCatalogue.page(command.pageKind, noun: command.noun, verb: command.verb)
        return begin(
            command: page?.name ?? CommandSpan.unknown, namespace: command.namespaceToken,
            on: command.subject(prefix: engine.configuration.subjectPrefix), by: road, within: trace,
            at: engine.microseconds)
    }

    func begin(_ command: SubmittedCommand, of engine: Engine) -> CommandSpan? {
        guard follows(command.trace) else { return nil }
        return begin(
            command: command.name ?? CommandSpan.unknown, namespace: command.namespace?.description,
            on: command.subject, by: .submitted, within: command.trace, at: engine.microseconds)
    }
}

extension CommandSpan {
    fileprivate static let unknown = "unknown"

    func end(_ failure: WireError?, of engine: Engine) {
        end(failure: failure.map { ($0.code.errCode, $0.code.httpStatus) }, at: engine.microseconds)
    }
}

extension CommandSubject {
    fileprivate var pageKind: CommandPage.Kind {
        switch kind {
        case .command: .command
        case .administration: .administration
        }
    }

    fileprivate var namespaceToken: String? {
        if case .command(let namespace) = kind { namespace } else { nil }
    }

    fileprivate func subject(prefix: String) -> String {
        switch kind {
        case .command(let namespace): "\(prefix).cmd.\(namespace).\(noun).\(verb)"
        case .administration: "\(prefix).admin.\(noun).\(verb)"
        }
    }
}
