package import JSONText
package import Recurrence
package import SchedulerCore

/// `only_on`, `not_on`, `shift`, `windows`, `outside`: which occurrences fire, and when.
extension DefinitionReader {
    static let constraintFields = ["only_on", "not_on", "shift", "windows", "outside"]

    mutating func readConstraint(_ constraint: inout FireConstraint) {
        set("only_on", &constraint.onlyOn, default: nil) { $0.calendarName("only_on") }
        set("not_on", &constraint.notOn, default: nil) { $0.calendarName("not_on") }
        set("shift", &constraint.shift, default: .none) { $0.choice("shift") }
        set("windows", &constraint.windows, default: []) { $0.windows("windows") }
        set("outside", &constraint.outside, default: .skip) { $0.choice("outside") }
    }

    /// What says nothing without its companion is a mistake.
    mutating func checkConstraint(_ constraint: FireConstraint) {
        if constraint.shift != .none, constraint.calendars.isEmpty {
            body.report(
                "shift", "belongs to 'only_on' and 'not_on': without a calendar nothing is moved",
                as: .conflictingFields)
        }
        if constraint.outside != .skip, constraint.windows.isEmpty, !body.hasProblem("windows") {
            body.report("outside", "belongs to 'windows': without windows nothing lies outside", as: .conflictingFields)
        }
    }
}

extension BodyReader {
    static let mostWindows = 50

    package mutating func calendarName(_ name: String) -> CalendarName? {
        guard let text = string(name, most: 4096) else { return nil }
        do { return try CalendarName(text) } catch {
            report(name, "\(error), got '\(text.prefix(160))'")
            return nil
        }
    }

    mutating func windows(_ name: String) -> [ExecutionWindow]? {
        guard let value = value(name) else { return nil }
        guard value.kind == .array else {
            report(name, "expected a list, got \(Self.name(of: value))", as: .wrongType)
            return nil
        }
        guard value.count <= Self.mostWindows else {
            report(name, "expected at most \(Self.mostWindows) windows, got \(value.count)", as: .tooManyItems)
            return nil
        }
        var windows: [ExecutionWindow] = []
        for (index, element) in value.elements.enumerated() {
            var reader = BodyReader(element, at: path("\(name)/\(index)"))
            if let window = reader.window() { windows.append(window) }
            absorb(&reader)
        }
        return windows.count == value.count ? windows : nil
    }

    private mutating func window() -> ExecutionWindow? {
        let before = problems.count
        let days = weekdays("days") ?? .all
        let (start, end) = (time("from"), time("to"))
        guard let from = start, let to = end, problems.count == before else { return nil }
        guard from < 86_400 else {
            report("from", "expected a time before 24:00")
            return nil
        }
        guard from != to else {
            report("to", "expected another time than 'from'; a whole day is 00:00 to 24:00")
            return nil
        }
        return ExecutionWindow(days: days, from: from, to: to)
    }

    private mutating func time(_ name: String) -> Int? {
        guard let value = value(name) else {
            report(name, "is required: a time such as '08:00'", as: .missingField)
            return nil
        }
        guard let text = string(value, name, most: 16) else { return nil }
        let second = ExecutionWindow.secondOfDay(text)
        if second == nil { report(name, "expected a time from '00:00' to '24:00', got '\(text)'") }
        return second
    }

    /// The windows of a stored schedule.
    package static func windows(stored value: JSONValue) -> [ExecutionWindow]? {
        value.elements.reduce(into: [ExecutionWindow]?.some([])) { windows, element in
            var reader = BodyReader(element)
            guard let window = reader.window() else {
                windows = nil
                return
            }
            windows?.append(window)
        }
    }
}

extension JSONWriter {
    mutating func constraint(_ constraint: FireConstraint) {
        member("only_on", ifPresent: constraint.onlyOn?.description)
        member("not_on", ifPresent: constraint.notOn?.description)
        member("shift", constraint.shift.rawValue)
        name("windows")
        windows(constraint.windows)
        member("outside", constraint.outside.rawValue)
    }

    package mutating func windows(_ windows: [ExecutionWindow]) {
        array { writer in
            for window in windows {
                writer.object { writer in
                    writer.name("days")
                    writer.array { writer in for text in window.days.texts { writer.value(text) } }
                    writer.member("from", ExecutionWindow.text(ofSecond: window.from))
                    writer.member("to", ExecutionWindow.text(ofSecond: window.to))
                }
            }
        }
    }
}
