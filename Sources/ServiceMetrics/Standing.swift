package import PrometheusMetrics

/// How things stand at one moment: the values of all gauges that are known then.
package struct Standing: Sendable {
    package struct Value: Sendable {
        package let metric: MetricDefinition
        /// In the order of the metric's own.
        package let labels: [String]
        package let value: Double
    }

    package private(set) var values: [Value] = []

    package init() {}

    package mutating func set(_ metric: MetricDefinition, _ value: Double) {
        values.append(Value(metric: metric, labels: [], value: value))
    }

    package mutating func set(_ metric: MetricDefinition, _ value: some BinaryInteger) { set(metric, Double(value)) }

    /// - Parameter labels: as many as the metric's, in their order.
    package mutating func set(_ metric: MetricDefinition, _ labels: [String], _ value: some BinaryInteger) {
        values.append(Value(metric: metric, labels: labels, value: Double(value)))
    }
}

/// When the database may be asked again how things stand: not sooner than ``shortest`` after the last time, however
/// often somebody looks, and not sooner than fifty times what the last answer took. So no number of readers and no size of
/// the tables makes it more than a fiftieth of one connection's time.
package struct QuestionPace: Sendable {
    package static let shortest: Int64 = 15_000_000_000
    private static let rest: Int64 = 50

    private var askedAt: Int64?
    private var took: Int64 = 0

    package init() {}

    /// - Parameter now: monotonic nanoseconds.
    package func isDue(at now: Int64) -> Bool {
        guard let askedAt else { return true }
        return now - askedAt >= max(Self.shortest, took * Self.rest)
    }

    /// A question was begun; it takes as long as the last one until ``answered(at:)`` says otherwise.
    package mutating func asked(at now: Int64) { askedAt = now }

    package mutating func answered(at now: Int64) {
        guard let askedAt else { return }
        took = max(0, now - askedAt)
    }
}
