import JSONText
import Recurrence
import SchedulerCore

/// `event_subject`, `event_stream`, `delay_seconds`, `debounce_seconds`, `max_rate_per_second`, `absence_seconds`: what
/// a schedule listens to, and what becomes of what it hears.
extension DefinitionReader {
    package static let eventFields = [
        "event_subject", "event_stream", "delay_seconds", "debounce_seconds", "max_rate_per_second", "absence_seconds",
    ]

    mutating func readEvent(_ rule: inout EventRule) {
        set("event_subject", &rule.subject, default: nil) { $0.subjectPattern("event_subject") }
        set("event_stream", &rule.stream, default: nil) { $0.streamName("event_stream") }
        set("delay_seconds", &rule.delayMilliseconds, default: 0) {
            $0.milliseconds("delay_seconds", seconds: 0...31_622_400)
        }
        set("debounce_seconds", &rule.debounceMilliseconds, default: 0) {
            $0.milliseconds("debounce_seconds", seconds: 0...86_400)
        }
        set("max_rate_per_second", &rule.maxRatePerSecond, default: nil) {
            $0.number("max_rate_per_second", in: EventRule.rates)
        }
        set("absence_seconds", &rule.absenceMilliseconds, default: nil) {
            $0.milliseconds("absence_seconds", seconds: 1...31_622_400)
        }
    }

    /// Which of them belong to which type, and what says nothing of a schedule that messages drive.
    mutating func checkEvent(_ timing: Timing) {
        let rule = timing.event
        if timing.isListening {
            require("event_subject", rule.subject != nil, of: timing.type, "the subject to listen to")
            if timing.type == .absence {
                require(
                    "absence_seconds", rule.absenceMilliseconds != nil, of: .absence,
                    "for how long no message may be missing")
            }
        } else {
            refuse("event_subject", if: rule.subject != nil, "'event' and 'absence'")
            refuse("event_stream", if: rule.stream != nil, "'event' and 'absence'")
        }
        if timing.type != .event {
            refuse("delay_seconds", if: rule.delayMilliseconds != 0, "'event'")
            refuse("debounce_seconds", if: rule.debounceMilliseconds != 0, "'event'")
            refuse("max_rate_per_second", if: rule.maxRatePerSecond != nil, "'event'")
        }
        if timing.type != .absence { refuse("absence_seconds", if: rule.absenceMilliseconds != nil, "'absence'") }
        if rule.debounceMilliseconds > 0, rule.maxRatePerSecond != nil {
            body.report(
                "max_rate_per_second",
                "says nothing beside 'debounce_seconds', which leaves at least that between two fires",
                as: .conflictingFields)
        }
        if timing.isListening { checkTimes(of: timing) }
    }

    /// What speaks of times that a schedule has of its own.
    private mutating func checkTimes(of timing: Timing) {
        let times = "schedules that have times of their own"
        refuse("spread_seconds", if: timing.spreadMilliseconds != 0, times)
        refuse("only_on", if: timing.constraint.onlyOn != nil, times)
        refuse("not_on", if: timing.constraint.notOn != nil, times)
        refuse("windows", if: !timing.constraint.windows.isEmpty, times)
        guard timing.type == .absence else { return }
        let why = "other types: an 'absence' begins when it is made, and ends when it is paused or deleted"
        for (field, isSet) in [
            ("start_at", timing.startAt != nil), ("end_at", timing.endAt != nil), ("max_runs", timing.maxRuns != nil),
        ] where isSet && !body.hasProblem(field) {
            body.report(field, "belongs to \(why)", as: .conflictingFields)
        }
    }

    private mutating func require(_ field: String, _ isSet: Bool, of type: ScheduleType, _ what: String) {
        guard !isSet, !body.hasProblem(field) else { return }
        body.report(field, "is required for '\(type.rawValue)': \(what)", as: .missingField)
    }

    private mutating func refuse(_ field: String, if isSet: Bool, _ types: String) {
        guard isSet, !body.hasProblem(field) else { return }
        body.report(field, "belongs to \(types) only", as: .conflictingFields)
    }

    /// Whether the definition is, or becomes, one that needs no target.
    mutating func needsNoTarget(_ current: ScheduleDefinition?) -> Bool {
        switch body.member("schedule_type") {
        case .absent: current?.timing.type == .absence
        case .null: false
        case .value(let value): value.string == ScheduleType.absence.rawValue
        }
    }
}

extension BodyReader {
    mutating func subjectPattern(_ name: String) -> SubjectPattern? {
        guard let text = string(name, most: 255) else { return nil }
        do { return try SubjectPattern(text) } catch {
            report(name, "\(error)")
            return nil
        }
    }

    mutating func streamName(_ name: String) -> StreamName? {
        guard let text = string(name, most: 255) else { return nil }
        do { return try StreamName(text) } catch {
            report(name, "\(error), got '\(text.prefix(64))'")
            return nil
        }
    }
}

extension JSONWriter {
    mutating func event(_ timing: Timing) {
        guard timing.isListening else { return }
        let rule = timing.event
        member("event_subject", ifPresent: rule.subject?.description)
        member("event_stream", ifPresent: rule.stream?.description)
        if timing.type == .event {
            member("delay_seconds", milliseconds: rule.delayMilliseconds)
            member("debounce_seconds", milliseconds: rule.debounceMilliseconds)
            if let rate = rule.maxRatePerSecond { member("max_rate_per_second", seconds: rate) }
        }
        if let absence = rule.absenceMilliseconds { member("absence_seconds", milliseconds: absence) }
    }
}

extension Timing {
    /// When a timer that stands at `instant` may fire, as far as anybody knows: nil while nothing but a message can say.
    func expected(_ instant: Instant?) -> Instant? {
        guard isListening, let instant else { return instant }
        return instant < (type == .event ? idleUntil : .untilMessage) ? instant : nil
    }
}
