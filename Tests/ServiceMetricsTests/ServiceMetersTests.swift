import PrometheusMetrics
import ServiceMetrics
import TestSupport
import Testing

/// What the service counts, as the page shows it.
@Suite struct ServiceMetersTests {
    private let registry = PrometheusRegistry(MetricCatalogue.all)

    private func lines(_ name: String) -> [String] {
        String(decoding: registry.text(), as: UTF8.self).split(separator: "\n").map(String.init)
            .filter { $0.hasPrefix(name) }
    }

    @Test func aBatchOfExecutionsIsSummedUpByKind() {
        let tally = ExecutionTally([
            ExecutionSample(type: "cron", ended: "delivered", lateness: 2),
            ExecutionSample(type: "cron", ended: "delivered", lateness: 0),
            ExecutionSample(type: "manual", ended: "delivered", lateness: 1),
            ExecutionSample(type: "cron", ended: "delivered", lateness: 40),
            ExecutionSample(type: "cron", ended: "skipped", count: 17),
            ExecutionSample(type: "interval", ended: nil, lateness: 3),
            ExecutionSample(type: "interval", ended: "succeeded", duration: 1500),
        ])
        #expect(tally.ends.count == 4)
        #expect(tally.ends[.init(type: "cron", status: "delivered")] == 3)
        #expect(tally.lateness == [2, 0, 1, 40, 3] && tally.durations == [1500])
        let meters = ServiceMeters(registry)
        meters.executions(tally)
        meters.executions(tally)
        #expect(
            lines("scheduler_executions_total") == [
                #"scheduler_executions_total{status="delivered",type="cron"} 6"#,
                #"scheduler_executions_total{status="delivered",type="manual"} 2"#,
                #"scheduler_executions_total{status="skipped",type="cron"} 34"#,
                #"scheduler_executions_total{status="succeeded",type="interval"} 2"#,
            ])
        #expect(lines("scheduler_lateness_seconds_count") == ["scheduler_lateness_seconds_count 10"])
        #expect(
            lines(#"scheduler_lateness_seconds_bucket{le="0.002"}"#)
                == [#"scheduler_lateness_seconds_bucket{le="0.002"} 6"#])
        #expect(
            lines("scheduler_execution_duration_seconds_sum") == ["scheduler_execution_duration_seconds_sum 3"])
    }

    @Test func commandsAreCountedByWhatTheyAreCalledAndUnknownOnesAsOne() {
        let meters = ServiceMeters(registry)
        meters.answered("schedule.create", code: 200, nanoseconds: 1_000_000)
        meters.answered("admin.system.status", code: 200, nanoseconds: 1_000_000)
        for _ in 0..<3 { meters.answered(nil, code: 404, nanoseconds: 1000) }
        #expect(
            lines("scheduler_commands_total") == [
                #"scheduler_commands_total{code="200",noun="admin.system",verb="status"} 1"#,
                #"scheduler_commands_total{code="200",noun="schedule",verb="create"} 1"#,
                #"scheduler_commands_total{code="404",noun="unknown",verb="unknown"} 3"#,
            ])
        #expect(lines("scheduler_command_duration_seconds_count") == ["scheduler_command_duration_seconds_count 5"])
    }

    @Test func gaugesThatAreNoLongerToldAreTakenAway() {
        let meters = ServiceMeters(registry)
        var standing = Standing()
        standing.set(MetricCatalogue.schedules, ["cron", "active"], 12)
        standing.set(MetricCatalogue.schedules, ["once", "paused"], 1)
        standing.set(MetricCatalogue.zoneInfo, ["2026a"], 1)
        standing.set(MetricCatalogue.clockOffset, -0.004)
        meters.show(standing)
        #expect(lines("scheduler_schedules").count == 2)
        #expect(lines("scheduler_clock_offset_seconds") == ["scheduler_clock_offset_seconds -0.004"])
        var later = Standing()
        later.set(MetricCatalogue.schedules, ["cron", "active"], 13)
        later.set(MetricCatalogue.zoneInfo, ["2026b"], 1)
        meters.show(later)
        #expect(lines("scheduler_schedules") == [#"scheduler_schedules{state="active",type="cron"} 13"#])
        #expect(lines("scheduler_tzdata_info") == [#"scheduler_tzdata_info{version="2026b"} 1"#])
        #expect(lines("scheduler_clock_offset_seconds").isEmpty)
    }

    @Test func totalsOfOthersAreCountedOnce() {
        let meters = ServiceMeters(registry)
        for total in [0, 2, 2, 5, 4] as [UInt64] { meters.reconnected(total: total) }
        meters.lock(.acquired)
        meters.lock(.conflict)
        meters.lock(.timedOut)
        meters.misfired(0)
        meters.misfired(7)
        #expect(lines("scheduler_nats_reconnects_total") == ["scheduler_nats_reconnects_total 5"])
        for name in [
            "scheduler_locks_acquired_total", "scheduler_lock_conflicts_total", "scheduler_lock_timeouts_total",
        ] {
            #expect(lines(name) == [name + " 1"])
        }
        #expect(lines("scheduler_misfires_total") == ["scheduler_misfires_total 7"])
    }

    /// The names of contract.md §6, and labels that are short lists.
    @Test func theContractsMetricsAreThereAndNoLabelHoldsAnID() {
        let names = Set(MetricCatalogue.all.map(\.name))
        let promised = [
            "scheduler_schedules", "scheduler_executions_total", "scheduler_execution_duration_seconds",
            "scheduler_lateness_seconds", "scheduler_misfires_total", "scheduler_locks_acquired_total",
            "scheduler_lock_conflicts_total", "scheduler_due_backlog", "scheduler_claimed_in_flight",
            "scheduler_outbox_pending", "scheduler_commands_total", "scheduler_command_duration_seconds",
            "scheduler_nats_reconnects_total", "scheduler_clock_offset_seconds", "scheduler_build_info",
            "scheduler_tzdata_info",
        ]
        #expect(names.isSuperset(of: promised) && names.count == MetricCatalogue.all.count)
        #expect(
            Set(MetricCatalogue.all.flatMap(\.labels)) == [
                "type", "status", "state", "noun", "verb", "code", "version",
            ])
    }

    @Test(.timeLimit(.minutes(1))) func promtoolFindsNothingWrong() async throws {
        let meters = ServiceMeters(registry)
        var standing = Standing()
        for metric in MetricCatalogue.all where metric.kind == .gauge {
            standing.set(metric, metric.labels.map { _ in "x" }, 1)
        }
        meters.show(standing)
        meters.answered("schedule.get", code: 200, nanoseconds: 1)
        meters.executions(ExecutionTally([ExecutionSample(type: "cron", ended: "dead")]))
        for metric in MetricCatalogue.all { #expect(!lines(metric.name).isEmpty, "\(metric.name)") }
        try await Promtool.check(metrics: registry.text())
    }

    @Test func theDatabaseIsAskedAFiftiethOfTheTimeAtMost() {
        var pace = QuestionPace()
        #expect(pace.isDue(at: 0))
        pace.asked(at: 0)
        #expect(!pace.isDue(at: 14_999_999_999) && pace.isDue(at: 15_000_000_000))
        pace.answered(at: 1_000_000_000)
        #expect(!pace.isDue(at: 49_000_000_000) && pace.isDue(at: 50_000_000_000))
    }
}
