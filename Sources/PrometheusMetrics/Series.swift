import CoreMetrics
import Synchronization

/// A count that only grows. An atomic addition each time.
final class CounterSeries: CounterHandler {
    private let total = Atomic<Int64>(0)

    var value: Int64 { total.load(ordering: .relaxed) }

    /// What is negative is no increment, and is left out.
    func increment(by amount: Int64) {
        guard amount > 0 else { return }
        total.add(amount, ordering: .relaxed)
    }

    func reset() { total.store(0, ordering: .relaxed) }
}

/// The same for fractions.
final class FractionSeries: FloatingPointCounterHandler {
    private let total = Mutex(0.0)

    var value: Double { total.withLock { $0 } }

    func increment(by amount: Double) {
        guard amount > 0, amount.isFinite else { return }
        total.withLock { $0 += amount }
    }

    func reset() { total.withLock { $0 = 0 } }
}

/// A value as it was told last.
final class GaugeSeries: RecorderHandler, MeterHandler {
    private let current = Mutex(0.0)

    var value: Double { current.withLock { $0 } }

    func record(_ value: Int64) { set(Double(value)) }
    func record(_ value: Double) { set(value) }
    func set(_ value: Int64) { set(Double(value)) }
    func set(_ value: Double) { current.withLock { $0 = value } }
    func increment(by amount: Double) { current.withLock { $0 += amount } }
    func decrement(by amount: Double) { current.withLock { $0 -= amount } }
}

/// How often values fell below each bound, and their sum. A lock that is held for a search among a few bounds.
final class HistogramSeries: TimerHandler, RecorderHandler {
    /// As it stood at one moment: the count belongs to the buckets and the sum.
    struct Snapshot: Hashable, Sendable {
        /// Of each bound, and one more for what lies above all; not yet summed up.
        var counts: [Int64]
        var sum: Double

        var count: Int64 { counts.reduce(0, +) }
    }

    let bounds: [Double]
    private let state: Mutex<Snapshot>

    /// - Parameter bounds: ascending.
    init(bounds: [Double]) {
        self.bounds = bounds
        state = Mutex(Snapshot(counts: [Int64](repeating: 0, count: bounds.count + 1), sum: 0))
    }

    var snapshot: Snapshot { state.withLock { $0 } }

    /// A value that is equal to a bound belongs below it. What is no number is left out.
    func record(_ value: Double) {
        guard value.isFinite else { return }
        let bucket = bucket(of: value)
        state.withLock { state in
            state.counts[bucket] += 1
            state.sum += value
        }
    }

    func record(_ value: Int64) { record(Double(value)) }
    func recordNanoseconds(_ duration: Int64) { record(Double(duration) / 1e9) }

    /// Binary search for the first bound that is not below the value.
    private func bucket(of value: Double) -> Int {
        var (low, high) = (0, bounds.count)
        while low < high {
            let middle = (low + high) / 2
            if bounds[middle] < value { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
