/// What a metric is called, what it means, and how it is counted.
///
/// A registry renders what it has definitions of with their help and buckets; what libraries count besides gets a plain
/// help text and the usual buckets.
package struct MetricDefinition: Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        /// Only grows; its name ends with `_total`.
        case counter
        /// Goes up and down.
        case gauge
        /// How often values fell at or below each bound. Bounds ascend, in the metric's unit; `+Inf` is added.
        case histogram([Double])

        /// What `# TYPE` calls it.
        var word: StaticString {
            switch self {
            case .counter: "counter"
            case .gauge: "gauge"
            case .histogram: "histogram"
            }
        }
    }

    package let name: String
    package let kind: Kind
    /// One sentence, without a full stop.
    package let help: String
    /// The names of its labels, in any order.
    package let labels: [String]

    package init(_ name: String, _ kind: Kind, labels: [String] = [], help: String) {
        self.name = name
        self.kind = kind
        self.labels = labels
        self.help = help
    }

    /// Bounds for what nobody defined, in seconds: 1 ms to 10 s.
    static let usualBounds = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10]
}

/// The names and values of one series' labels, in the order of the names.
struct SeriesLabels: Hashable, Sendable {
    let pairs: [Pair]

    struct Pair: Hashable, Sendable {
        let name: String
        let value: String
    }

    /// Of two labels with one name the last one counts.
    init(_ dimensions: [(String, String)]) {
        let byName = Dictionary(dimensions.map { (MetricName.label($0.0), $0.1) }) { $1 }
        pairs = byName.sorted { $0.key < $1.key }.map { Pair(name: $0.key, value: $0.value) }
    }
}

/// Names as Prometheus takes them: what others call `http.server-duration` is `http_server_duration`.
enum MetricName {
    /// `[a-zA-Z_:][a-zA-Z0-9_:]*`.
    static func metric(_ text: String) -> String { clean(text, allowingColons: true) }

    /// `[a-zA-Z_][a-zA-Z0-9_]*`.
    static func label(_ text: String) -> String { clean(text, allowingColons: false) }

    private static func clean(_ text: String, allowingColons: Bool) -> String {
        var bytes = text.utf8.map { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
                byte
            case UInt8(ascii: ":") where allowingColons: byte
            default: UInt8(ascii: "_")
            }
        }
        if bytes.first.map({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) ?? true {
            bytes.insert(UInt8(ascii: "_"), at: 0)
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
