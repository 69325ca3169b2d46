import JSONText
package import Recurrence

/// An event as a line shows it. What it holds is safe for a terminal.
package struct TopEvent: Hashable, Sendable {
    package enum Weight: Sendable {
        /// Told for every execution that goes well.
        case routine
        case notable
        /// Somebody should look.
        case trouble
    }

    /// When it came, by this machine's clock.
    package let at: Instant
    /// `execution.delivered`.
    package let kind: String
    /// `demo/report`, or an instance.
    package let whose: String
    package let detail: String
    package let weight: Weight
    /// From the due time to the publish, in milliseconds, of what was delivered.
    let lateness: Int64?
    /// Occurrences that it stands for.
    let count: Int64

    private static let routine: Set<String> = ["execution.delivered", "execution.running", "execution.succeeded"]
    private static let trouble: Set<String> = [
        "execution.dead", "execution.failed", "execution.timed_out", "execution.report_problem", "schedule.invalidated",
        "schedule.absent", "schedule.command_rejected", "system.member_lost", "system.clock_skew",
    ]
    private static let longestDetail = 200

    /// - Parameter event: a CloudEvent; nil where it is none of Carillon's.
    init?(_ event: JSONValue, at: Instant) {
        let tokens = (event["type"]?.string ?? "").split(separator: ".", omittingEmptySubsequences: false)
        guard tokens.count == 5, tokens[0] == "io", tokens[1] == "carillon", let data = event["data"] else {
            return nil
        }
        let kind = "\(tokens[2]).\(tokens[4])".terminalSafe
        self.at = at
        self.kind = kind
        whose = Self.whose(data)
        lateness = kind == "execution.delivered" ? data["lateness_ms"]?.int64 : nil
        count = max(1, data["count"]?.int64 ?? 1)
        weight = Self.routine.contains(kind) ? .routine : Self.trouble.contains(kind) ? .trouble : .notable
        detail = String(Self.detail(data, lateness).prefix(Self.longestDetail)).terminalSafe
    }

    private static func whose(_ data: JSONValue) -> String {
        if let instance = data["instance_name"]?.string { return instance.terminalSafe }
        let name = data["schedule_name"]?.string ?? data["schedule_id"]?.string ?? "_"
        return "\(data["namespace"]?.string ?? "?")/\(name)".terminalSafe
    }

    private static func detail(_ data: JSONValue, _ lateness: Int64?) -> String {
        var parts: [String] = []
        if let lateness { parts.append("late \(lateness) ms") }
        if let attempt = data["attempt"]?.int64, attempt > 1 { parts.append("attempt \(attempt)") }
        if let count = data["count"]?.int64 { parts.append("\(count) occurrences") }
        if let reason = data["reason"]?.string { parts.append(reason) }
        if let error = data["error"]?["description"]?.string { parts.append(error) }
        if let detail = data["detail"]?.string, !detail.isEmpty { parts.append(detail) }
        if let actor = data["actor"]?.string { parts.append("by \(actor)") }
        return parts.joined(separator: ", ")
    }
}
