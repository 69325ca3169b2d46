package import Recurrence

/// A calendar's name, unique in its namespace. `[A-Za-z0-9][A-Za-z0-9._-]{0,127}`.
package typealias CalendarName = ScheduleName

/// Where an occurrence goes that falls on a day its calendar does not allow.
package enum DayShiftPolicy: String, Sendable, CaseIterable {
    /// Nowhere: it is skipped.
    case none
    case nextBusinessDay = "next_business_day"
    case previousBusinessDay = "previous_business_day"
}

/// What becomes of an occurrence that falls outside of the execution windows.
package enum OutsidePolicy: String, Sendable, CaseIterable {
    case skip
    /// It is due when the next window opens.
    case `defer`
}

/// Which of a schedule's occurrences fire, and when: calendars and execution windows. Part of its timing.
package struct FireConstraint: Hashable, Sendable {
    /// Fires on this calendar's business days only.
    package var onlyOn: CalendarName?
    /// Does not fire on this calendar's holidays; its weekdays do not matter.
    package var notOn: CalendarName?
    package var shift = DayShiftPolicy.none
    package var windows: [ExecutionWindow] = []
    package var outside = OutsidePolicy.skip

    package init() {}

    /// Nothing is constrained: each occurrence fires at its own time.
    package var isEmpty: Bool { onlyOn == nil && notOn == nil && windows.isEmpty }

    package var calendars: Set<CalendarName> { Set([onlyOn, notOn].compactMap(\.self)) }
}
