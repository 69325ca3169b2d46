/// What metrics take from one step of an execution: a delivery, an end, or both.
package struct ExecutionSample: Hashable, Sendable {
    /// What made it due: a schedule's type, or `manual`, `backfill`, `catchup`, `after`.
    package let type: String
    /// How it ended; nil where it goes on.
    package let ended: String?
    /// Occurrences: more than one for a range of skipped ones.
    package let count: Int64
    /// From its due time to its hand-over, in milliseconds; nil where this is no delivery.
    package let lateness: Int64?
    /// From its hand-over to its end, in milliseconds; nil where nobody knows, or the delivery was the end.
    package let duration: Int64?

    package init(type: String, ended: String?, count: Int64 = 1, lateness: Int64? = nil, duration: Int64? = nil) {
        self.type = type
        self.ended = ended
        self.count = count
        self.lateness = lateness
        self.duration = duration
    }
}

/// What a batch of steps adds to the metrics: ends are summed up, so that a batch costs one addition for each kind of end.
package struct ExecutionTally: Sendable {
    package struct End: Hashable, Sendable {
        package let type: String
        package let status: String

        package init(type: String, status: String) {
            self.type = type
            self.status = status
        }
    }

    package private(set) var ends: [End: Int64] = [:]
    /// Milliseconds.
    package private(set) var lateness: [Int64] = []
    package private(set) var durations: [Int64] = []
    /// The end that was counted last, and is not in ``ends`` yet: a batch has few kinds, and mostly one after the other.
    private var run: (end: End, count: Int64)?

    package init(_ samples: some Sequence<ExecutionSample>) {
        for sample in samples { add(sample) }
        flush()
    }

    private mutating func add(_ sample: ExecutionSample) {
        if let status = sample.ended {
            if let known = run, known.end.status == status, known.end.type == sample.type {
                run = (known.end, known.count + sample.count)
            } else {
                flush()
                run = (End(type: sample.type, status: status), sample.count)
            }
        }
        if let late = sample.lateness { lateness.append(late) }
        if let duration = sample.duration { durations.append(duration) }
    }

    private mutating func flush() {
        if let run { ends[run.end, default: 0] += run.count }
        run = nil
    }
}
