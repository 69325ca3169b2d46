import LocalServers
import PrometheusMetrics
import ServiceMetrics
import TestSupport
import Testing

/// A real Prometheus reads the page, an alert fires in it, and the dashboard's queries all answer something.
struct RealPrometheusTests {
    /// A page on which everything has happened once.
    private func page() -> [UInt8] {
        let registry = PrometheusRegistry(MetricCatalogue.all)
        let meters = ServiceMeters(registry)
        var standing = Standing()
        for metric in MetricCatalogue.all where metric.kind == .gauge {
            standing.set(metric, metric.labels.map { _ in "x" }, 1)
        }
        standing.set(MetricCatalogue.oldestRun, 4000)
        meters.show(standing)
        meters.answered("schedule.create", code: 200, nanoseconds: 2_000_000)
        meters.executions(
            ExecutionTally(
                ["delivered", "dead", "skipped"].map {
                    ExecutionSample(type: "cron", ended: $0, lateness: 2, duration: 300)
                }))
        meters.misfired(1)
        return registry.text()
    }

    @Test(.timeLimit(.minutes(2))) func itReadsThePageAndAnAlertFires() async throws {
        let folder = try Filesystem.makeTemporaryFolder()
        defer { Filesystem.remove(folder) }
        try Filesystem.write(String(decoding: page(), as: UTF8.self), to: folder + "/metrics")
        try await Tool.run(
            Tool.python,
            [
                "Tests/python/real_prometheus.py", try Promtool.program("prometheus"), folder,
                "docker/prometheus/alerts.yaml", "docker/grafana/dashboard.json", "CarillonLongRuns",
            ], in: folder)
    }
}
