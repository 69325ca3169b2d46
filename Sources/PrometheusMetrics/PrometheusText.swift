/// Writes Prometheus' text exposition format, version 0.0.4.
///
///     # HELP name what it means
///     # TYPE name counter
///     name{label="value"} 3
struct PrometheusText {
    /// What an answer with it is called (`Content-Type`).
    static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    private(set) var bytes: [UInt8] = []

    init() { bytes.reserveCapacity(16_384) }

    /// The lines before a metric's samples.
    mutating func begin(_ definition: MetricDefinition) {
        put("# HELP ")
        put(definition.name)
        put(" ")
        putEscaped(definition.help, quotes: false)
        put("\n# TYPE ")
        put(definition.name)
        put(" ")
        put(definition.kind.word.description)
        put("\n")
    }

    mutating func sample(_ name: String, _ labels: SeriesLabels, value: Int64) {
        line(name, labels, value: String(value))
    }

    mutating func sample(_ name: String, _ labels: SeriesLabels, value: Double) {
        line(name, labels, value: Self.text(value))
    }

    /// Buckets are summed up: each counts what lies at or below its bound.
    mutating func histogram(
        _ name: String, _ labels: SeriesLabels, bounds: [Double], _ snapshot: HistogramSeries.Snapshot
    ) {
        var total: Int64 = 0
        for (bound, count) in zip(bounds.map(Self.text) + ["+Inf"], snapshot.counts) {
            total += count
            line(name + "_bucket", labels, bound: bound, value: String(total))
        }
        line(name + "_sum", labels, value: Self.text(snapshot.sum))
        line(name + "_count", labels, value: String(total))
    }

    private mutating func line(_ name: String, _ labels: SeriesLabels, bound: String? = nil, value: String) {
        put(name)
        if !labels.pairs.isEmpty || bound != nil {
            put("{")
            var isFirst = true
            for pair in labels.pairs {
                if !isFirst { put(",") }
                isFirst = false
                put(pair.name)
                put("=\"")
                putEscaped(pair.value, quotes: true)
                put("\"")
            }
            if let bound {
                put(isFirst ? "le=\"" : ",le=\"")
                put(bound)
                put("\"")
            }
            put("}")
        }
        put(" ")
        put(value)
        put("\n")
    }

    /// As Go's `ParseFloat` reads it; whole numbers without a fraction.
    private static func text(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        if value.magnitude < 1e15, value == value.rounded() { return String(Int64(value)) }
        return value.description
    }

    private mutating func put(_ text: String) { bytes.append(contentsOf: text.utf8) }

    private mutating func putEscaped(_ text: String, quotes: Bool) {
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\\"): put("\\\\")
            case UInt8(ascii: "\n"): put("\\n")
            case UInt8(ascii: "\"") where quotes: put("\\\"")
            default: bytes.append(byte)
            }
        }
    }
}

extension PrometheusRegistry {
    /// The `Content-Type` of ``text()``.
    package static let contentType = PrometheusText.contentType
}
