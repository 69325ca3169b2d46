package import JSONText
package import Recurrence
package import SchedulerCore

/// A stored calendar as replies and the audit show it.
package struct CalendarView: Sendable {
    package let namespace: Namespace
    package let name: CalendarName
    package var definition: CalendarDefinition
    /// 1, 2, …: grows with each change.
    package var version: Int64
    package var createdAt: Instant
    package var createdBy: String?
    package var updatedAt: Instant
    package var updatedBy: String?

    package init(
        namespace: Namespace, name: CalendarName, definition: CalendarDefinition, version: Int64, createdAt: Instant,
        createdBy: String?, updatedAt: Instant, updatedBy: String?
    ) {
        self.namespace = namespace
        self.name = name
        self.definition = definition
        self.version = version
        self.createdAt = createdAt
        self.createdBy = createdBy
        self.updatedAt = updatedAt
        self.updatedBy = updatedBy
    }
}

extension JSONWriter {
    package mutating func value(_ view: CalendarView) {
        object { writer in
            writer.member("name", view.name.description)
            writer.member("namespace", view.namespace.description)
            writer.member("version", view.version)
            writer.members(of: view.definition)
            writer.member("created_at", view.createdAt.rfc3339)
            writer.member("created_by", ifPresent: view.createdBy)
            writer.member("updated_at", view.updatedAt.rfc3339)
            writer.member("updated_by", ifPresent: view.updatedBy)
        }
    }

    /// `working_days` and `holidays`, as ``BodyReader/calendar()`` reads them.
    package mutating func members(of definition: CalendarDefinition) {
        name("working_days")
        array { writer in for text in definition.workingDays.texts { writer.value(text) } }
        name("holidays")
        array { writer in for holiday in definition.holidays { writer.value(holiday) } }
    }

    private mutating func value(_ holiday: Holiday) {
        switch holiday {
        case .days(let days, nil) where days.count == 1: value(days.lowerBound.description)
        case .days(let days, let name):
            object { writer in
                if days.count == 1 {
                    writer.member("date", days.lowerBound.description)
                } else {
                    writer.member("from", days.lowerBound.description)
                    writer.member("to", days.upperBound.description)
                }
                writer.member("name", ifPresent: name)
            }
        case .rule(let rule):
            object { writer in
                writer.member("rrule", rule.rule)
                writer.member("start", rule.start.description)
                writer.member("days", rule.length)
                if !rule.except.isEmpty {
                    writer.name("except")
                    writer.array { writer in for day in rule.except { writer.value(day.description) } }
                }
                writer.member("name", ifPresent: rule.name)
            }
        }
    }
}

extension ClosedRange<CalendarDay> {
    fileprivate var count: Int { upperBound.number - lowerBound.number + 1 }
}

extension BodyReader {
    private static let mostNameCharacters = 128
    private static let longestHoliday: Int64 = 3660
    private static let mostExceptions = 1000

    /// `working_days`, `holidays` and `ical`; nil with the problems reported.
    package mutating func calendar() -> CalendarDefinition? {
        let before = problems.count
        var definition = CalendarDefinition()
        if let days = weekdays("working_days") { definition.workingDays = days }
        readHolidays(into: &definition)
        let own = definition.holidays.count
        if let text = string("ical", most: ICalendarText.mostBytes) {
            do { definition.holidays += try ICalendarText.holidays(in: text) } catch {
                report("ical", error.description)
            }
        }
        if definition.holidays.count > CalendarDefinition.mostHolidays {
            report(
                own > CalendarDefinition.mostHolidays ? "holidays" : "ical",
                "expected at most \(CalendarDefinition.mostHolidays) holidays in all, got \(definition.holidays.count)",
                as: .tooManyItems)
        }
        return problems.count == before ? definition : nil
    }

    /// A list of weekdays and ranges of them, at least one.
    mutating func weekdays(_ name: String) -> Weekdays? {
        guard let value = value(name) else { return nil }
        guard value.kind == .array, value.count > 0, value.count <= 7 else {
            report(name, "expected a list of 1 to 7 such as [\"MON-FRI\"], got \(Self.name(of: value))", as: .wrongType)
            return nil
        }
        var days = Weekdays.none
        for (index, element) in value.elements.enumerated() {
            guard let text = string(element, "\(name)/\(index)", most: 16) else { continue }
            if let some = Weekdays(parsing: text) {
                days.formUnion(some)
            } else {
                report("\(name)/\(index)", "expected a weekday or a range such as 'MON-FRI', got '\(text)'")
            }
        }
        return days.isEmpty ? nil : days
    }

    private mutating func readHolidays(into definition: inout CalendarDefinition) {
        guard let value = value("holidays") else { return }
        guard value.kind == .array else {
            report("holidays", "expected a list, got \(Self.name(of: value))", as: .wrongType)
            return
        }
        guard value.count <= CalendarDefinition.mostHolidays else {
            report(
                "holidays", "expected at most \(CalendarDefinition.mostHolidays), got \(value.count)", as: .tooManyItems
            )
            return
        }
        for (index, element) in value.elements.enumerated() {
            if element.kind == .string {
                if let day = day(element, "holidays/\(index)") {
                    definition.holidays.append(.days(day...day, name: nil))
                }
            } else {
                var reader = BodyReader(element, at: path("holidays/\(index)"))
                if let holiday = reader.holiday() { definition.holidays.append(holiday) }
                absorb(&reader)
            }
        }
    }

    /// `{date}`, `{from, to}` or `{rrule, start}`, each with an optional name.
    private mutating func holiday() -> Holiday? {
        let name = string("name", most: Self.mostNameCharacters)
        if let rule = string("rrule", most: 512) {
            let length = integer("days", in: 1...Self.longestHoliday) ?? 1
            let except = exceptions()
            guard let start = requiredDay("start") else { return nil }
            return .rule(RecurringHoliday(rule: rule, start: start, length: Int(length), except: except, name: name))
        }
        if let value = value("date") {
            guard let day = day(value, "date") else { return nil }
            return .days(day...day, name: name)
        }
        let (first, last) = (requiredDay("from"), requiredDay("to"))
        guard let from = first, let to = last else { return nil }
        guard from <= to, to.number - from.number < Int(Self.longestHoliday) else {
            report("to", "expected a day from \(from) on, at most \(Self.longestHoliday) days later")
            return nil
        }
        return .days(from...to, name: name)
    }

    private mutating func exceptions() -> [CalendarDay] {
        guard let value = value("except") else { return [] }
        guard value.kind == .array, value.count <= Self.mostExceptions else {
            report("except", "expected a list of at most \(Self.mostExceptions) days", as: .wrongType)
            return []
        }
        return value.elements.enumerated().compactMap { day($1, "except/\($0)") }
    }

    private mutating func requiredDay(_ name: String) -> CalendarDay? {
        guard let value = value(name) else {
            report(name, "is required: a day such as '2026-12-25'", as: .missingField)
            return nil
        }
        return day(value, name)
    }

    private mutating func day(_ value: JSONValue, _ name: String) -> CalendarDay? {
        guard let text = string(value, name, most: 64) else { return nil }
        let day = CalendarDay(iso8601: text)
        if day == nil { report(name, "expected a day such as '2026-12-25', got '\(text)'") }
        return day
    }
}
