import JSONText
import Recurrence
import SchedulerCore
import SchedulerWire
import Testing

@Suite("A timing read back from the audit log") struct AuditedTimingTests {
    private static let instant = Instant(milliseconds: 1_795_219_200_123)

    private static func timing(_ type: ScheduleType, _ change: (inout Timing) -> Void) -> Timing {
        var timing = Timing(type: type)
        change(&timing)
        return timing
    }

    private static let timings = [
        timing(.cron) {
            $0.cronExpression = "CRON_TZ=Europe/Paris H(0-29)/10 2 * * MON#2"
            $0.timezone = "Europe/Paris"
            $0.dstPolicy = .literal
            $0.spreadMilliseconds = 1500
        },
        timing(.interval) {
            $0.intervalMilliseconds = 100
            $0.startAt = instant
            $0.endAt = instant.adding(milliseconds: 86_400_001)
            $0.maxRuns = 7
        },
        timing(.once) {
            $0.runAt = instant
            $0.timezone = "America/New_York"
        },
        timing(.immediate) { _ in },
        timing(.rrule) {
            $0.rrule = "FREQ=MONTHLY;BYDAY=-1FR"
            $0.constraint.onlyOn = try? CalendarName("de")
            $0.constraint.shift = .nextBusinessDay
            $0.constraint.windows = [ExecutionWindow(days: .all, from: 9 * 3600, to: 17 * 3600)]
            $0.constraint.outside = .defer
        },
    ]

    private func bytes(_ timing: Timing, state: ScheduleState = .paused, runs: Int64 = 3) throws -> [UInt8] {
        let definition = ScheduleDefinition(
            name: try ScheduleName("tick"), timing: timing, target: try TargetSubject("demo.tick"))
        let schedule = Schedule(
            id: ScheduleID(UUIDValue(high: 1, low: 2)), namespace: try Namespace("demo"), definition: definition,
            state: state, anchor: Self.instant, createdAt: Self.instant, updatedAt: Self.instant)
        var writer = JSONWriter(capacity: 1024)
        let timer = Timer(schedule: schedule.id, nextFireAt: nil, runCount: runs)
        writer.value(ScheduleView(schedule: schedule, timer: timer, nextFires: [Self.instant]))
        return writer.bytes
    }

    @Test("What the log holds says the timing as it was, whatever its type", arguments: timings)
    func readsBack(timing: Timing) throws {
        let read = try #require(AuditedTiming.read(bytes(timing)))
        #expect(read.timing == timing)
        #expect(read.name.description == "tick" && read.state == .paused && read.runCount == 3)
    }

    @Test("What is none is none")
    func unreadable() throws {
        #expect(AuditedTiming.read(Array("{}".utf8)) == nil)
        #expect(AuditedTiming.read(Array("[".utf8)) == nil)
        let text = String(decoding: try bytes(Self.timings[1]), as: UTF8.self)
        let later = text.replacing("\"interval\"", with: "\"lunar\"")
        #expect(AuditedTiming.read(Array(later.utf8)) == nil)
    }
}
