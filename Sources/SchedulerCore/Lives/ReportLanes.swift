import DequeModule

/// Reports that wait to be taken: those of one execution in the order in which they came, namespaces in turn, and the
/// executions of a namespace in turn. So nobody who reports in a loop takes another's place. Pure.
///
/// A sign of life says the same as the one before it: of those that wait on one attempt the newest takes the place of the
/// others. Signs are bounded, as no stream keeps them. Where they find no room, the namespace that has most of them loses
/// one, and not whoever comes next.
package struct ReportLanes<Report> {
    fileprivate struct Waiting {
        var report: Report
        /// Which attempt a sign of life is about; nil for other reports.
        let sign: [UInt8]?
    }

    fileprivate struct Lane {
        /// Executions with reports, in the order of their turns; nil for reports that name none.
        var turns: Deque<ExecutionID?> = []
        var reports: [ExecutionID?: Deque<Waiting>] = [:]
        var signs = 0
    }

    private let mostSigns: Int
    /// Attempts of one execution whose signs may wait. More than one are its worker's and those of deposed ones.
    private let mostAttempts: Int
    private var lanes: [String: Lane] = [:]
    private var turns: Deque<String> = []
    /// Signs of life that wait.
    package private(set) var signs = 0
    package private(set) var count = 0

    /// - Parameter mostSigns: that wait, of all namespaces together.
    package init(mostSigns: Int, mostAttempts: Int = 8) {
        self.mostSigns = mostSigns
        self.mostAttempts = mostAttempts
    }

    package var isEmpty: Bool { count == 0 }

    /// Puts a report behind the others of its execution.
    /// - Parameter sign: what names the attempt, of a sign of life; nil for a report that must not get lost.
    /// - Returns: whether there was room for it.
    @discardableResult
    package mutating func add(
        _ report: Report, of namespace: String, on execution: ExecutionID?, sign: [UInt8]? = nil
    ) -> Bool {
        if let sign {
            if replace(report, namespace, execution, sign) { return true }
            let own = lanes[namespace]?.reports[execution]?.count { $0.sign != nil } ?? 0
            guard own < mostAttempts, makeRoom(for: namespace) else { return false }
        }
        // In place: a namespace may have many.
        var lane = lanes.removeValue(forKey: namespace) ?? Lane()
        if lane.turns.isEmpty { turns.append(namespace) }
        if lane.reports[execution] == nil { lane.turns.append(execution) }
        lane.reports[execution, default: []].append(Waiting(report: report, sign: sign))
        if sign != nil {
            lane.signs += 1
            signs += 1
        }
        count += 1
        lanes[namespace] = lane
        return true
    }

    /// Takes those whose turn it is. Those of one execution come in their order, and others between them.
    package mutating func take(atMost most: Int) -> [Report] {
        var taken: [Report] = []
        while taken.count < most, let namespace = turns.popFirst() {
            guard var lane = lanes.removeValue(forKey: namespace), let execution = lane.turns.popFirst(),
                let waiting = lane.reports[execution]?.popFirst()
            else { continue }
            taken.append(waiting.report)
            count -= 1
            if waiting.sign != nil {
                lane.signs -= 1
                signs -= 1
            }
            if lane.reports[execution]?.isEmpty ?? true {
                lane.reports[execution] = nil
            } else {
                lane.turns.append(execution)
            }
            guard !lane.turns.isEmpty else { continue }
            lanes[namespace] = lane
            turns.append(namespace)
        }
        return taken
    }

    /// Puts a sign of life in the place of one that waits on the same attempt.
    private mutating func replace(
        _ report: Report, _ namespace: String, _ execution: ExecutionID?, _ sign: [UInt8]
    ) -> Bool {
        guard let place = lanes[namespace]?.reports[execution]?.firstIndex(where: { $0.sign == sign }) else {
            return false
        }
        lanes[namespace]?.reports[execution]?[place].report = report
        return true
    }

    /// Where the bound is reached, whoever has most signs loses the newest of whichever execution is last in turn.
    /// - Returns: false where that is the namespace itself.
    private mutating func makeRoom(for namespace: String) -> Bool {
        guard signs >= mostSigns else { return true }
        guard let largest = lanes.max(by: { ($0.value.signs, $0.key) < ($1.value.signs, $1.key) }),
            largest.key != namespace, largest.value.signs > (lanes[namespace]?.signs ?? 0) + 1
        else { return false }
        return dropSign(of: largest.key)
    }

    private mutating func dropSign(of namespace: String) -> Bool {
        guard var lane = lanes.removeValue(forKey: namespace) else { return false }
        defer {
            if lane.turns.isEmpty { turns.removeAll { $0 == namespace } } else { lanes[namespace] = lane }
        }
        let last = lane.turns.lastIndex { lane.reports[$0]?.contains { $0.sign != nil } ?? false }
        guard let last, let place = lane.reports[lane.turns[last]]?.lastIndex(where: { $0.sign != nil }) else {
            return false
        }
        let execution = lane.turns[last]
        lane.reports[execution]?.remove(at: place)
        lane.signs -= 1
        signs -= 1
        count -= 1
        if lane.reports[execution]?.isEmpty ?? true {
            lane.reports[execution] = nil
            lane.turns.remove(at: last)
        }
        return true
    }
}

extension ReportLanes: Sendable where Report: Sendable {}
extension ReportLanes.Waiting: Sendable where Report: Sendable {}
extension ReportLanes.Lane: Sendable where Report: Sendable {}
