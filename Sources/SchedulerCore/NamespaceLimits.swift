/// What one namespace may do, where its own limits say something; nil stands for the default.
package struct NamespaceLimits: Hashable, Sendable {
    /// Schedules that are neither exhausted nor deleted; the default is a setting.
    package var maxSchedules: Int64?
    /// Commands a second, of all instances together; without it there is no bound.
    package var commandsPerSecond: Double?
    /// Commands at once; the default is one second's worth, at least 1.
    package var commandBurst: Int64?
    /// The shortest time between two occurrences of one schedule.
    package var minIntervalMilliseconds: Int64?
    package var maxPayloadBytes: Int64?
    /// Executions that are open at once by their `concurrency_key`; 1 for a key that is not named.
    package var concurrency: [String: Int] = [:]

    package init() {}

    /// One instance's part of the command rate; nil where there is no bound. Any instance of the queue group answers a
    /// command, so each has the same part.
    package func commandShare(among members: Int) -> (rate: Double, burst: Double)? {
        guard let commandsPerSecond else { return nil }
        let burst = commandBurst.map(Double.init) ?? max(1, commandsPerSecond)
        let members = Double(max(1, members))
        return (commandsPerSecond / members, max(1, burst / members))
    }
}
