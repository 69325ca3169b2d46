import Recurrence

/// A text that is no iCalendar of holidays, with the line that is to blame.
package struct ICalendarError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Counted from 1, before continuation lines are joined.
    package let line: Int
    package let message: String

    package var description: String { "line \(line): \(message)" }
}

/// Reads holidays from an iCalendar text (RFC 5545): each VEVENT with whole days is one holiday.
///
/// Read are DTSTART, DTEND or DURATION, RRULE, RDATE, EXDATE, SUMMARY and STATUS of VEVENTs; what is cancelled is left
/// out, every other component and property is passed over. Events with a time of day, and changes of single occurrences
/// (RECURRENCE-ID), are refused: they are no holidays, and to guess would be worse.
package struct ICalendarText {
    /// The longest text that is read.
    package static let mostBytes = 512 << 10
    /// The longest holiday, in days.
    private static let longestEvent = 3660
    private static let mostNameCharacters = 128

    private struct Property {
        let line: Int
        let name: String
        let value: String
    }

    private struct Event {
        let line: Int
        var start: CalendarDay?
        var end: CalendarDay?
        var length: Int?
        var rule: String?
        var more: [CalendarDay] = []
        var except: [CalendarDay] = []
        var summary: String?
        var isCancelled = false
    }

    /// The holidays of a text, in its order.
    package static func holidays(in text: String) throws(ICalendarError) -> [Holiday] {
        guard text.utf8.count <= mostBytes else {
            throw ICalendarError(
                line: 1, message: "expected at most \(mostBytes >> 10) KiB, got \(text.utf8.count) bytes")
        }
        let properties = try unfolded(text)
        guard properties.first.map({ $0.name == "BEGIN" && $0.value.uppercased() == "VCALENDAR" }) == true else {
            throw ICalendarError(line: 1, message: "expected BEGIN:VCALENDAR first")
        }
        var holidays: [Holiday] = []
        var open: [String] = []
        var event: Event?
        for property in properties {
            let value = property.value.uppercased()
            switch property.name {
            case "BEGIN":
                open.append(value)
                if value == "VEVENT" { event = Event(line: property.line) }
            case "END":
                guard open.popLast() == value else {
                    throw ICalendarError(
                        line: property.line, message: "END:\(property.value) ends nothing that is open")
                }
                if value == "VEVENT", let ended = event {
                    holidays += try Self.holidays(of: ended)
                    event = nil
                }
            default:
                guard open.last == "VEVENT", var current = event else { continue }
                try read(property, into: &current)
                event = current
            }
        }
        if let component = open.last {
            throw ICalendarError(line: properties.last?.line ?? 1, message: "\(component) is not ended")
        }
        return holidays
    }

    private static func read(_ property: Property, into event: inout Event) throws(ICalendarError) {
        switch property.name {
        case "DTSTART": event.start = try days(property)[0]
        case "DTEND": event.end = try days(property)[0]
        case "DURATION": event.length = try duration(property)
        case "RRULE":
            guard event.rule == nil else { throw ICalendarError(line: property.line, message: "expected one RRULE") }
            event.rule = property.value
        case "RDATE": event.more += try days(property)
        case "EXDATE": event.except += try days(property)
        case "SUMMARY": event.summary = String(unescaped(property.value).prefix(mostNameCharacters))
        case "STATUS": event.isCancelled = property.value.uppercased() == "CANCELLED"
        case "RECURRENCE-ID":
            throw ICalendarError(
                line: property.line, message: "a change of a single occurrence (RECURRENCE-ID) is not supported")
        default: break
        }
    }

    private static func holidays(of event: Event) throws(ICalendarError) -> [Holiday] {
        guard !event.isCancelled else { return [] }
        guard let start = event.start else {
            throw ICalendarError(line: event.line, message: "the event has no DTSTART")
        }
        let length = event.end.map { $0.number - start.number } ?? event.length ?? 1
        guard (1...longestEvent).contains(length) else {
            throw ICalendarError(
                line: event.line, message: "expected an event of 1 to \(longestEvent) days, got \(length)")
        }
        var holidays: [Holiday] = []
        let except = Set(event.except)
        if let rule = event.rule {
            holidays.append(
                .rule(
                    RecurringHoliday(
                        rule: rule, start: start, length: length, except: event.except, name: event.summary)))
        } else if !except.contains(start) {
            holidays.append(.days(start...start.adding(days: length - 1), name: event.summary))
        }
        for day in event.more where !except.contains(day) {
            holidays.append(.days(day...day.adding(days: length - 1), name: event.summary))
        }
        return holidays
    }
}

// MARK: - Values and lines

extension ICalendarText {
    /// One or more days, `20261225,20261226`.
    private static func days(_ property: Property) throws(ICalendarError) -> [CalendarDay] {
        var days: [CalendarDay] = []
        for text in property.value.split(separator: ",", omittingEmptySubsequences: false) {
            guard let day = CalendarDay(basic: text) else {
                throw ICalendarError(
                    line: property.line,
                    message:
                        "expected whole days such as \(property.name);VALUE=DATE:20261225, got '\(text.prefix(40))'")
            }
            days.append(day)
        }
        return days
    }

    /// Days or weeks: `P1D`, `P2W`.
    private static func duration(_ property: Property) throws(ICalendarError) -> Int {
        let text = property.value.uppercased()
        let digits = text.dropFirst().dropLast()
        guard text.hasPrefix("P"), let unit = text.last, unit == "D" || unit == "W", digits.utf8.count <= 4,
            let number = Int(digits), number > 0
        else {
            throw ICalendarError(
                line: property.line, message: "expected a DURATION of whole days such as P1D, got '\(text.prefix(40))'")
        }
        return unit == "W" ? number * 7 : number
    }

    private static func unescaped(_ text: String) -> String {
        var result = ""
        var isEscaped = false
        for character in text {
            if isEscaped {
                result.append(character == "n" || character == "N" ? " " : character)
                isEscaped = false
            } else if character == "\\" {
                isEscaped = true
            } else {
                result.append(character)
            }
        }
        return result
    }

    /// The properties, with continuation lines joined to what they continue.
    private static func unfolded(_ text: String) throws(ICalendarError) -> [Property] {
        var lines: [(number: Int, text: [UInt8])] = []
        for (index, line) in text.utf8.split(separator: 0x0A, omittingEmptySubsequences: false).enumerated() {
            let bytes = line.last == 0x0D ? line.dropLast() : line
            if let first = bytes.first, first == 0x20 || first == 0x09, !lines.isEmpty {
                lines[lines.count - 1].text += bytes.dropFirst()
            } else if !bytes.isEmpty {
                lines.append((index + 1, Array(bytes)))
            }
        }
        var properties: [Property] = []
        for line in lines {
            // A quoted parameter may hold a colon.
            var isQuoted = false
            let colon = line.text.firstIndex { byte in
                if byte == UInt8(ascii: "\"") { isQuoted.toggle() }
                return byte == UInt8(ascii: ":") && !isQuoted
            }
            guard let colon else {
                throw ICalendarError(line: line.number, message: "expected NAME:value")
            }
            let head = String(decoding: line.text[..<colon], as: UTF8.self).uppercased().split(separator: ";")
            guard let name = head.first else { throw ICalendarError(line: line.number, message: "expected NAME:value") }
            properties.append(
                Property(
                    line: line.number, name: String(name),
                    value: String(decoding: line.text[(colon + 1)...], as: UTF8.self)))
        }
        return properties
    }
}
