import JSONText
import LocalServers
import PrometheusMetrics
import ServiceMetrics
import TestSupport
import Testing

/// Alerts, dashboard and documentation name what there is, and all of it.
@Suite struct WrittenNamesTests {
    private static let alerts = "docker/prometheus/alerts.yaml"

    private func contents(_ path: String) throws -> String {
        let text = Filesystem.tail(path, bytes: 1 << 20)
        try #require(!text.isEmpty, "\(path)")
        return text
    }

    /// The words `scheduler_…` of a text, once each.
    private func names(in text: String) -> Set<String> {
        let words = text.split { !($0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_")) }
        return Set(words.filter { $0.hasPrefix("scheduler_") }.map(String.init))
    }

    /// As Prometheus knows them: a histogram is three metrics.
    private static let series: [String: MetricDefinition] = {
        var series: [String: MetricDefinition] = [:]
        for metric in MetricCatalogue.all {
            guard case .histogram = metric.kind else {
                series[metric.name] = metric
                continue
            }
            for suffix in ["_bucket", "_sum", "_count"] { series[metric.name + suffix] = metric }
        }
        return series
    }()

    /// The queries of the dashboard, with its variables as Grafana would set them.
    private func queries() throws -> [String] {
        let dashboard = try JSONValue.parse(Array(contents("docker/grafana/dashboard.json").utf8))
        let panels = try #require(dashboard["panels"]).elements
        return panels.flatMap { $0["targets"].map { Array($0.elements) } ?? [] }.compactMap { $0["expr"]?.string }
            .map { $0.replacing("$__rate_interval", with: "5m").replacing("$job", with: ".*") }
    }

    @Test func theDashboardAsksForWhatIsExported() throws {
        let queries = try queries()
        #expect(queries.count > 20)
        let named = names(in: queries.joined(separator: "\n"))
        for name in named { #expect(Self.series[name] != nil, "\(name)") }
        // What nobody would see need not be counted.
        let shown = Set(named.compactMap { Self.series[$0]?.name })
        for metric in MetricCatalogue.all { #expect(shown.contains(metric.name), "\(metric.name)") }
    }

    /// Labels stand in braces, and after `by`.
    @Test(arguments: ["docker/grafana/dashboard.json", Self.alerts]) func labelsAreThoseThatThereAre(path: String)
        throws
    {
        let known = Set(MetricCatalogue.all.flatMap(\.labels) + ["job", "instance", "le"])
        let text = try path == Self.alerts ? contents(path) : queries().joined(separator: "\n")
        for match in text.matches(of: /by \(([a-z_, ]*)\)/) {
            let labels = match.1.split(separator: ",").map { $0.filter { $0 != " " } }
            for label in labels { #expect(known.contains(label), "\(label)") }
        }
        for match in text.matches(of: /([a-z_]+)\{([^}]*)\}/) {
            guard let metric = Self.series[String(match.1)] else { continue }
            let labels = match.2.split(separator: ",").map { $0.prefix { $0 != "=" && $0 != "!" } }
            for label in labels {
                let allowed = metric.labels + ["job", "instance", "le"]
                #expect(allowed.contains(String(label)), "\(metric.name): \(label)")
            }
        }
    }

    @Test func theAlertsAskForWhatIsExported() throws {
        for name in names(in: try contents(Self.alerts)) { #expect(Self.series[name] != nil, "\(name)") }
    }

    /// Each metric has its row: name, kind, labels. And nothing else has one.
    @Test func thePageListsEachMetric() throws {
        let page = try contents("docs/metrics.md")
        for metric in MetricCatalogue.all {
            let labels = metric.labels.isEmpty ? "" : "{" + metric.labels.joined(separator: ",") + "}"
            #expect(page.contains("| `\(metric.name)\(labels)` |"), "\(metric.name)\(labels)")
        }
        for name in names(in: page) {
            #expect(Self.series[name] != nil || MetricCatalogue.all.contains { $0.name == name }, "\(name)")
        }
    }

    @Test(.timeLimit(.minutes(1))) func theAlertsFireWhenTheyShould() async throws {
        try await Promtool.check(rules: Self.alerts)
        try await Promtool.test(rules: "docker/prometheus/alerts.test.yaml")
    }
}
