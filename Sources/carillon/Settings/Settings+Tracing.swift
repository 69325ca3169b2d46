import Logging
import NATSClient
import SpanExport

/// Where spans go, as OpenTelemetry's own variables say it.
struct CollectorSetting: Sendable {
    /// As they were given.
    var common: String?
    var traces: String?
    var endpoint: CollectorEndpoint
    var headers: [(name: String, value: String)] = []
}

extension Settings {
    mutating func readCollector(_ reader: inout SettingsReader) {
        let common = endpoint(.collector, suffix: "v1/traces", &reader)
        let traces = endpoint(.traceCollector, suffix: nil, &reader)
        var headers: [(name: String, value: String)] = []
        if let text = reader.text(.collectorHeaders) {
            do { headers = try CollectorHeaders.read(text) } catch {
                reader.report(.collectorHeaders, "expected \(error.expected)")
            }
        }
        guard let endpoint = traces ?? common else { return }
        collector = CollectorSetting(
            common: reader.text(.collector), traces: reader.text(.traceCollector), endpoint: endpoint, headers: headers)
    }

    /// What is wrong is told without the text: somebody may have put a password into it.
    private func endpoint(
        _ name: SettingName, suffix: String?, _ reader: inout SettingsReader
    ) -> CollectorEndpoint? {
        guard let text = reader.text(name) else { return nil }
        do { return try CollectorEndpoint(text, suffix: suffix) } catch {
            reader.report(name, "expected \(error.expected)")
            return nil
        }
    }

    /// What carries spans to the collector; nil where there is none.
    func spanExporter(logger: Logger) -> SpanExporter? {
        guard let collector else { return nil }
        let resource = SpanResource(
            attributes: [
                ("service.name", "carillon"), ("service.version", Carillon.version),
                ("service.instance.id", serviceName), ("service.namespace", subjectPrefix),
            ], scope: "carillon", version: Carillon.version)
        let clock: @Sendable () -> Int64 = { MonotonicClock.now() }
        return SpanExporter(
            to: collector.endpoint, headers: collector.headers, resource: resource, queue: SpanQueue(clock: clock),
            clock: clock, logger: logger)
    }
}
