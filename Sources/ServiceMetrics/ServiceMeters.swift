package import CoreMetrics
import PrometheusMetrics
import Synchronization

/// What the service counts, by names that say what happened: one line where the engine decides, and no name of a metric
/// outside of ``MetricCatalogue``.
///
/// One for a process, whatever incarnations it lives through: counts go on. Without a factory nothing is counted.
package final class ServiceMeters: Sendable {
    /// What became of a lock that was wanted, or held.
    package enum LockEvent: Sendable {
        case acquired
        /// Another held it for as long as this one waited.
        case conflict
        /// It was held, and ran out or was lost before its work was done.
        case timedOut
    }

    /// The labels of one counted command.
    private struct CommandKey: Hashable {
        let noun: String
        let verb: String
        let code: Int
    }

    private let factory: any MetricsFactory
    private let ends = Mutex<[ExecutionTally.End: Counter]>([:])
    private let commands = Mutex<[CommandKey: Counter]>([:])
    private let gauges = Mutex<[Series: Gauge]>([:])
    private let lateness: Timer
    private let duration: Timer
    private let commandDuration: Timer
    private let misfires: Counter
    private let locksAcquired: Counter
    private let lockConflicts: Counter
    private let lockTimeouts: Counter
    private let reconnects: Counter
    private let reconnectsTold = Mutex<UInt64>(0)

    package init(_ factory: any MetricsFactory = NOOPMetricsHandler.instance) {
        self.factory = factory
        lateness = Timer(label: MetricCatalogue.lateness.name, factory: factory)
        duration = Timer(label: MetricCatalogue.duration.name, factory: factory)
        commandDuration = Timer(label: MetricCatalogue.commandDuration.name, factory: factory)
        misfires = Counter(label: MetricCatalogue.misfires.name, factory: factory)
        locksAcquired = Counter(label: MetricCatalogue.locksAcquired.name, factory: factory)
        lockConflicts = Counter(label: MetricCatalogue.lockConflicts.name, factory: factory)
        lockTimeouts = Counter(label: MetricCatalogue.lockTimeouts.name, factory: factory)
        reconnects = Counter(label: MetricCatalogue.reconnects.name, factory: factory)
    }
}

// MARK: - What happened

extension ServiceMeters {
    /// Executions were delivered or ended, all of a batch.
    package func executions(_ tally: ExecutionTally) {
        for (end, count) in tally.ends { counter(of: end).increment(by: count) }
        for milliseconds in tally.lateness { lateness.recordNanoseconds(max(0, milliseconds) * 1_000_000) }
        for milliseconds in tally.durations { duration.recordNanoseconds(max(0, milliseconds) * 1_000_000) }
    }

    private func counter(of end: ExecutionTally.End) -> Counter {
        ends.withLock { known in
            if let counter = known[end] { return counter }
            let counter = Counter(
                label: MetricCatalogue.executions.name, dimensions: [("type", end.type), ("status", end.status)],
                factory: factory)
            known[end] = counter
            return counter
        }
    }

    /// Occurrences were claimed later than their grace.
    package func misfired(_ count: Int64) { if count > 0 { misfires.increment(by: count) } }

    /// A command was answered.
    /// - Parameters:
    ///   - name: of its page in the catalogue, such as `schedule.create` and `admin.system.status`; nil where there is no such
    ///     command: whatever was asked for, it is one series.
    ///   - code: of the reply.
    package func answered(_ name: String?, code: Int, nanoseconds: Int64) {
        commandDuration.recordNanoseconds(nanoseconds)
        let name = name ?? "unknown.unknown"
        let dot = name.lastIndex(of: ".")
        let key = CommandKey(
            noun: String(name[..<(dot ?? name.endIndex)]),
            verb: dot.map { String(name[name.index(after: $0)...]) } ?? name,
            code: code)
        let counter = commands.withLock { known in
            if let counter = known[key] { return counter }
            let counter = Counter(
                label: MetricCatalogue.commands.name,
                dimensions: [("noun", key.noun), ("verb", key.verb), ("code", String(key.code))], factory: factory)
            known[key] = counter
            return counter
        }
        counter.increment()
    }

    /// Something became of a lock.
    package func lock(_ event: LockEvent) {
        switch event {
        case .acquired: locksAcquired.increment()
        case .conflict: lockConflicts.increment()
        case .timedOut: lockTimeouts.increment()
        }
    }

    /// How often connections came up again since the process began: a total that others count.
    package func reconnected(total: UInt64) {
        reconnectsTold.withLock { told in
            guard total > told else { return }
            reconnects.increment(by: Int64(clamping: total - told))
            told = total
        }
    }
}

// MARK: - How things stand

/// One gauge with its labels.
private struct Series: Hashable {
    let metric: String
    let labels: [String]
}

extension ServiceMeters {
    /// Sets gauges as they stand, and takes away those of the same metrics that are not among them: what is no more has no
    /// value.
    package func show(_ standing: Standing) {
        let wanted = Dictionary(standing.values.map { (Series(metric: $0.metric.name, labels: $0.labels), $0) }) { $1 }
        gauges.withLock { known in
            for (series, gauge) in known where wanted[series] == nil {
                gauge.destroy()
                known[series] = nil
            }
            for (series, value) in wanted {
                let gauge =
                    known[series]
                    ?? Gauge(
                        label: series.metric, dimensions: Array(zip(value.metric.labels, value.labels)),
                        factory: factory)
                gauge.record(value.value)
                known[series] = gauge
            }
        }
    }
}
