package import CoreMetrics
import Synchronization

/// All that was counted, as a backend of swift-metrics that Prometheus reads.
///
/// Whoever counts holds a series of its own and meets nobody else there; the registry's lock is taken where a series is
/// made, and where all are read.
///
/// A metric has one kind, the one it was defined or first made with, and at most ``mostSeries`` series: what comes
/// besides is counted where nobody reads it, so that no caller, and no flood of label values, can break the page.
package final class PrometheusRegistry: MetricsFactory {
    /// One metric's series.
    private struct Family {
        let definition: MetricDefinition
        var series: [SeriesLabels: any Rendered] = [:]
    }

    /// Series of one metric. Ours have a few dozen at most.
    package static let mostSeries = 1000

    private let definitions: [String: MetricDefinition]
    private let families: Mutex<[String: Family]>

    /// - Parameter definitions: of the metrics that are rendered from the beginning on, be there nothing to say of them yet,
    ///   where they have no labels: a count that is 0 is a count.
    package init(_ definitions: [MetricDefinition] = []) {
        self.definitions = Dictionary(definitions.map { ($0.name, $0) }) { first, _ in first }
        families = Mutex([:])
        for definition in definitions where definition.labels.isEmpty {
            switch definition.kind {
            case .counter: _ = makeCounter(label: definition.name, dimensions: [])
            case .histogram: _ = makeTimer(label: definition.name, dimensions: [])
            // Nobody knows it before it is told.
            case .gauge: continue
            }
        }
    }

    /// The page as Prometheus reads it: text format 0.0.4 (``PrometheusText``). By name, then by labels.
    package func text() -> [UInt8] {
        let all = families.withLock { families in
            families.values.map { family in
                (
                    family.definition,
                    family.series.map { (labels: $0.key, series: $0.value) }
                )
            }
        }
        var text = PrometheusText()
        for (definition, series) in all.sorted(by: { $0.0.name < $1.0.name }) where !series.isEmpty {
            text.begin(definition)
            for (labels, series) in series.sorted(by: { $0.labels < $1.labels }) {
                series.render(definition.name, labels, into: &text)
            }
        }
        return text.bytes
    }

    /// The series of a metric with these labels, made where it is missing; nil where it may not be.
    private func series<Series: Rendered>(
        _ label: String, _ dimensions: [(String, String)], _ kind: MetricDefinition.Kind,
        _ make: (MetricDefinition) -> Series
    ) -> Series? {
        let name = MetricName.metric(label)
        let labels = SeriesLabels(dimensions)
        return families.withLock { families in
            let definition =
                families[name]?.definition ?? definitions[name]
                ?? MetricDefinition(name, kind, help: "Counted by a library")
            guard definition.kind.word.description == kind.word.description else { return nil }
            var family = families[name] ?? Family(definition: definition)
            if let known = family.series[labels] { return known as? Series }
            guard family.series.count < Self.mostSeries else { return nil }
            let series = make(definition)
            family.series[labels] = series
            families[name] = family
            return series
        }
    }

    private func remove(_ handler: AnyObject) {
        families.withLock { families in
            for name in families.keys {
                guard let labels = families[name]?.series.first(where: { $0.value === handler })?.key else { continue }
                families[name]?.series[labels] = nil
            }
        }
    }
}

// MARK: - MetricsFactory

extension PrometheusRegistry {
    package func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        series(label, dimensions, .counter) { _ in CounterSeries() } ?? CounterSeries()
    }

    package func makeFloatingPointCounter(
        label: String, dimensions: [(String, String)]
    ) -> any FloatingPointCounterHandler {
        series(label, dimensions, .counter) { _ in FractionSeries() } ?? FractionSeries()
    }

    package func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        series(label, dimensions, .gauge) { _ in GaugeSeries() } ?? GaugeSeries()
    }

    package func makeRecorder(
        label: String, dimensions: [(String, String)], aggregate: Bool
    ) -> any RecorderHandler {
        if aggregate { return histogram(label, dimensions) }
        return series(label, dimensions, .gauge) { _ in GaugeSeries() } ?? GaugeSeries()
    }

    package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        histogram(label, dimensions)
    }

    private func histogram(_ label: String, _ dimensions: [(String, String)]) -> HistogramSeries {
        let usual = MetricDefinition.usualBounds
        return series(label, dimensions, .histogram(usual)) { definition in
            guard case .histogram(let bounds) = definition.kind else { return HistogramSeries(bounds: usual) }
            return HistogramSeries(bounds: bounds)
        } ?? HistogramSeries(bounds: usual)
    }

    package func destroyCounter(_ handler: any CounterHandler) { remove(handler) }
    package func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) { remove(handler) }
    package func destroyMeter(_ handler: any MeterHandler) { remove(handler) }
    package func destroyRecorder(_ handler: any RecorderHandler) { remove(handler) }
    package func destroyTimer(_ handler: any TimerHandler) { remove(handler) }
}

/// A series that knows its lines.
protocol Rendered: AnyObject, Sendable {
    func render(_ name: String, _ labels: SeriesLabels, into text: inout PrometheusText)
}

extension CounterSeries: Rendered {
    func render(_ name: String, _ labels: SeriesLabels, into text: inout PrometheusText) {
        text.sample(name, labels, value: value)
    }
}

extension FractionSeries: Rendered {
    func render(_ name: String, _ labels: SeriesLabels, into text: inout PrometheusText) {
        text.sample(name, labels, value: value)
    }
}

extension GaugeSeries: Rendered {
    func render(_ name: String, _ labels: SeriesLabels, into text: inout PrometheusText) {
        text.sample(name, labels, value: value)
    }
}

extension HistogramSeries: Rendered {
    func render(_ name: String, _ labels: SeriesLabels, into text: inout PrometheusText) {
        text.histogram(name, labels, bounds: bounds, snapshot)
    }
}

extension SeriesLabels: Comparable {
    static func < (left: SeriesLabels, right: SeriesLabels) -> Bool {
        left.pairs.lexicographicallyPrecedes(right.pairs) { ($0.name, $0.value) < ($1.name, $1.value) }
    }
}
