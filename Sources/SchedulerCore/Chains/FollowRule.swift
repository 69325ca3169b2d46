/// Which ends of other schedules' executions a schedule follows: `after` (contract.md §3).
package struct FollowRule: Hashable, Sendable {
    /// What several links make together.
    package enum Join: String, Sendable, CaseIterable {
        /// Each end fires.
        case any
        /// It fires once each of them has ended so since it fired last; ends that come twice meanwhile count once.
        case all
    }

    package struct Link: Hashable, Sendable {
        /// The name of another schedule of the namespace.
        package let schedule: ScheduleName
        package let condition: EndCondition

        package init(schedule: ScheduleName, condition: EndCondition) {
            self.schedule = schedule
            self.condition = condition
        }
    }

    /// The most that one schedule follows.
    package static let mostLinks = 100

    package let join: Join
    /// At least one; no schedule twice.
    package let links: [Link]

    package init(join: Join = .any, links: [Link]) {
        self.join = join
        self.links = links
    }
}

/// How an execution must end for its followers to fire.
package enum EndCondition: String, Sendable, CaseIterable {
    /// It succeeded, or was delivered where completion is not tracked.
    case succeeded
    /// It gave up.
    case failed
    /// It ended, whichever way; what was skipped was none. For followers in shadow a shadow's end is a success.
    case completed

    package func holds(for end: ExecutionState) -> Bool {
        switch end {
        case .succeeded, .delivered: self != .failed
        case .dead: self != .succeeded
        case .cancelled: self == .completed
        case .claimed, .running, .retryWait, .skipped: false
        }
    }
}
