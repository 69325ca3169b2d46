import CoreMetrics
import LocalServers
import PrometheusMetrics
import TestSupport
import Testing

/// The page as Prometheus reads it.
@Suite struct PrometheusTextTests {
    private static let requests = MetricDefinition(
        "app_requests_total", .counter, labels: ["code", "path"], help: "Requests \\ answered\nby code")
    private static let waits = MetricDefinition(
        "app_wait_seconds", .histogram([0.0001, 0.5, 3600]), help: "How long somebody waited")
    private static let depth = MetricDefinition("app_depth", .gauge, help: "What waits")

    private func text(_ registry: PrometheusRegistry) -> String { String(decoding: registry.text(), as: UTF8.self) }

    @Test func countersGaugesAndHistogramsAreRenderedByNameAndLabels() {
        let registry = PrometheusRegistry([Self.waits, Self.requests, Self.depth])
        Counter(label: "app_requests_total", dimensions: [("path", "/b"), ("code", "200")], factory: registry)
            .increment(by: 2)
        Counter(label: "app_requests_total", dimensions: [("code", "200"), ("path", "/a")], factory: registry)
            .increment()
        let waits = Timer(label: "app_wait_seconds", factory: registry)
        waits.recordNanoseconds(100_000)
        waits.recordMilliseconds(250)
        waits.recordSeconds(7200)
        Gauge(label: "app_depth", factory: registry).record(2.5)
        #expect(
            text(registry) == """
                # HELP app_depth What waits
                # TYPE app_depth gauge
                app_depth 2.5
                # HELP app_requests_total Requests \\\\ answered\\nby code
                # TYPE app_requests_total counter
                app_requests_total{code="200",path="/a"} 1
                app_requests_total{code="200",path="/b"} 2
                # HELP app_wait_seconds How long somebody waited
                # TYPE app_wait_seconds histogram
                app_wait_seconds_bucket{le="0.0001"} 1
                app_wait_seconds_bucket{le="0.5"} 2
                app_wait_seconds_bucket{le="3600"} 2
                app_wait_seconds_bucket{le="+Inf"} 3
                app_wait_seconds_sum 7200.2501
                app_wait_seconds_count 3

                """)
    }

    @Test func whatHasNotHappenedYetIsZeroAndWhatNobodyToldIsMissing() {
        let registry = PrometheusRegistry([
            MetricDefinition("app_errors_total", .counter, help: "Errors"), Self.depth, Self.requests,
        ])
        #expect(
            text(registry) == "# HELP app_errors_total Errors\n# TYPE app_errors_total counter\napp_errors_total 0\n")
    }

    @Test func labelValuesAreEscapedAndNamesMadeWhole() {
        let registry = PrometheusRegistry()
        Counter(
            label: "http.server-requests", dimensions: [("a.b", "line\nbreak \"quoted\" back\\slash é")],
            factory: registry
        ).increment()
        #expect(
            text(registry).contains(
                #"http_server_requests{a_b="line\nbreak \"quoted\" back\\slash é"} 1"# + "\n"))
        Gauge(label: "2nd", factory: registry).record(Double.nan)
        Gauge(label: "third", factory: registry).record(-Double.infinity)
        Gauge(label: "tiny", factory: registry).record(0.00001)
        #expect(text(registry).contains("\n_2nd NaN\n"))
        #expect(text(registry).contains("\nthird -Inf\n"))
        #expect(text(registry).contains("\ntiny 1e-05\n"))
    }

    @Test func oneSeriesIsOneWhoeverAsksForIt() {
        let registry = PrometheusRegistry()
        for _ in 0..<3 { Counter(label: "c", dimensions: [("a", "1"), ("b", "2")], factory: registry).increment() }
        Counter(label: "c", dimensions: [("b", "2"), ("a", "1")], factory: registry).increment()
        #expect(text(registry).contains(#"c{a="1",b="2"} 4"#))
    }

    @Test func aNameHasOneKindAndAFloodOfLabelsIsBounded() {
        let registry = PrometheusRegistry([Self.depth])
        Counter(label: "app_depth", factory: registry).increment()
        #expect(text(registry).isEmpty)
        for number in 0..<(PrometheusRegistry.mostSeries + 10) {
            Counter(label: "flood", dimensions: [("n", String(number))], factory: registry).increment()
        }
        #expect(text(registry).split(separator: "\n").count == PrometheusRegistry.mostSeries + 2)
    }

    @Test func whatIsDestroyedIsGone() {
        let registry = PrometheusRegistry()
        let old = Gauge(label: "info", dimensions: [("version", "1")], factory: registry)
        old.record(1)
        Gauge(label: "info", dimensions: [("version", "2")], factory: registry).record(1)
        old.destroy()
        #expect(!text(registry).contains(#"version="1""#))
        #expect(text(registry).contains(#"info{version="2"} 1"#))
    }

    @Test func countsAndSumsOfManyThreadsAddUp() async {
        let registry = PrometheusRegistry([Self.waits])
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    let counter = Counter(label: "n", factory: registry)
                    let timer = Timer(label: "app_wait_seconds", factory: registry)
                    for _ in 0..<1000 {
                        counter.increment()
                        timer.recordMilliseconds(1000)
                    }
                }
            }
        }
        let page = text(registry)
        #expect(page.contains("\nn 8000\n"))
        #expect(page.contains("app_wait_seconds_count 8000\n") && page.contains("app_wait_seconds_sum 8000\n"))
    }

    @Test func negativeAmountsAndWhatIsNoNumberAreLeftOut() {
        let registry = PrometheusRegistry([Self.waits])
        let counter = Counter(label: "n", factory: registry)
        counter.increment(by: 5)
        counter.increment(by: -3)
        Recorder(label: "app_wait_seconds", factory: registry).record(Double.nan)
        #expect(text(registry).contains("\nn 5\n"))
        #expect(text(registry).contains("app_wait_seconds_count 0\n"))
    }

    @Test(.timeLimit(.minutes(1))) func promtoolFindsNothingWrong() async throws {
        let registry = PrometheusRegistry([Self.waits, Self.requests, Self.depth])
        Counter(label: "app_requests_total", dimensions: [("path", "\"\\\n")], factory: registry).increment()
        Timer(label: "app_wait_seconds", factory: registry).recordSeconds(1)
        Gauge(label: "app_depth", factory: registry).record(1)
        try await Promtool.check(metrics: registry.text())
        await #expect(throws: TestSupportError.self) {
            try await Promtool.check(metrics: Array("app_total{ 1\n".utf8))
        }
    }
}
