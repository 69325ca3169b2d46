import Recurrence
import SchedulerCore

/// 2026-11-21T00:00:00Z, and times told in seconds after it.
let dawn = Instant(milliseconds: 1_795_219_200_000)

func at(_ seconds: Double) -> Instant { dawn.adding(milliseconds: Int64((seconds * 1000).rounded())) }

let day = 86_400.0

func every(_ seconds: Double, first: Double? = nil, last: Double? = nil) -> OccurrenceSource {
    OccurrenceSource(
        recurrence: .interval(periodMilliseconds: Int64(seconds * 1000), anchor: dawn), first: first.map(at),
        last: last.map(at))
}

func planner(
    _ source: OccurrenceSource, _ policy: MisfirePolicy = .fireOnce, grace: Double = 300, window: Double = day,
    limit: Int64 = 100, offset: Double = 0, runs: Int64? = nil, trigger: Trigger = .interval,
    placement: Placement? = nil
) -> ClaimPlanner {
    let rule = MisfireRule(
        policy: policy, graceMilliseconds: Int64(grace * 1000), catchupWindowMilliseconds: Int64(window * 1000),
        catchupLimit: limit)
    return ClaimPlanner(
        source: source, placement: placement, rule: rule, offset: Int64(offset * 1000), runLimit: runs, trigger: trigger
    )
}

extension ClaimPlan {
    /// When what is fired was scheduled for, in seconds after ``dawn``.
    var fired: [Double] { fires.map { seconds($0.scheduledFor) } }
    var skipped: [String] { skips.map { "\($0.reason.rawValue) \($0.count)" } }
    var next: Double? { nextFireAt.map(seconds) }
}

func seconds(_ instant: Instant) -> Double { Double(instant.milliseconds(since: dawn)) / 1000 }
