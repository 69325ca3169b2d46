/// What a workload's arrivals amount to.
struct Tally {
    let arrived: Int
    let lost: Int
    let doubled: Int
    let early: Int
    let lateness: Quantiles

    /// - Parameter lateness: arrival minus due time of each that counts, in microseconds.
    init(_ lateness: [Int64], expected: Int) {
        arrived = lateness.count
        lost = max(0, expected - lateness.count)
        doubled = max(0, lateness.count - expected)
        early = lateness.count { $0 < 0 }
        self.lateness = Quantiles(lateness)
    }

    var line: String {
        """
        arrived \(arrived), lost \(lost), doubled \(doubled), early \(early); lateness p50 \
        \(milliseconds(lateness.value(at: 0.5))), p99 \(milliseconds(lateness.value(at: 0.99))), p99.9 \
        \(milliseconds(lateness.value(at: 0.999))), max \(milliseconds(lateness.most))
        """
    }
}

/// The medians of several runs' quantiles, in the order in which the kinds came.
struct Medians {
    private var kinds: [String] = []
    private var lateness: [String: [Quantiles]] = [:]

    mutating func add(_ tally: Tally, of kind: String) {
        if lateness[kind] == nil { kinds.append(kind) }
        lateness[kind, default: []].append(tally.lateness)
    }

    func report() {
        for kind in kinds {
            let runs = lateness[kind] ?? []
            let words = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)].map { name, share in
                "\(name) \(milliseconds(Quantiles(runs.map { $0.value(at: share) }).value(at: 0.5)))"
            }
            print("median of \(runs.count) runs, \(kind): \(words.joined(separator: ", "))")
        }
    }
}
