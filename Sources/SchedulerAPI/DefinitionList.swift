import JSONText
import PostgresClient
import Recurrence
import SchedulerCore
import SchedulerEngine
import SchedulerStore
import SchedulerWire

/// What became of one item of a request: what it asked for, or why not.
typealias ItemResult<Value> = Result<Value, WireError>

/// Several definitions in one body, under `schedules`; `bulk_create` and `validate` share it.
extension ScheduleDefinitions {
    static let mostItems = 1000

    /// Reads each definition by itself: what is wrong with one hides no other. A name that an earlier one has is taken.
    func drafts(
        _ items: [JSONValue], by origin: ChangeOrigin, without missing: Set<CalendarName>
    ) -> [ItemResult<ScheduleDraft>] {
        var names: [ScheduleName: Int] = [:]
        return items.enumerated().map { index, item in
            let result = draft(item, index, by: origin, without: missing)
            guard case .success(let draft) = result else { return result }
            let name = draft.schedule.definition.name
            if let earlier = names[name] { return .failure(nameTaken(index, "is the name of /schedules/\(earlier)")) }
            names[name] = index
            return result
        }
    }

    private func draft(
        _ item: JSONValue, _ index: Int, by origin: ChangeOrigin, without missing: Set<CalendarName>
    ) -> ItemResult<ScheduleDraft> {
        var body = BodyReader(item, at: "/schedules/\(index)")
        let isPaused = body.bool("paused") ?? false
        do {
            return .success(try draft(&body, isPaused: isPaused, by: origin, without: missing))
        } catch {
            return .failure(WireError(mapping: error))
        }
    }

    /// All that keeps several definitions from being made, as one error; nil where nothing does.
    func problems(of results: [ItemResult<some Any>]) -> WireError? {
        var problems: [WireError.Problem] = []
        for (index, result) in results.enumerated() {
            guard case .failure(let error) = result else { continue }
            if error.details.isEmpty {
                let pointer = JSONPointer.root.appending("schedules").appending(index)
                problems.append(WireError.Problem(error.code, pointer, error.description))
            }
            problems += error.details.map { WireError.Problem(error.code, $0.pointer, $0.message) }
        }
        return WireError(problems)
    }
}

func nameTaken(_ index: Int, _ why: String) -> WireError {
    let pointer = JSONPointer.root.appending("schedules").appending(index).appending("name")
    return WireError(
        .nameTaken, "another schedule of the namespace has this name",
        details: [WireError.Detail(pointer, why)])
}

extension BodyReader {
    /// `schedules`: 1 to 1000 definitions; nil with the problem reported.
    mutating func definitions() -> [JSONValue]? {
        guard let value = value("schedules") else {
            report("schedules", "is required: a list of 1 to 1000 definitions", as: .missingField)
            return nil
        }
        guard value.kind == .array else {
            report("schedules", "expected a list of definitions, got \(Self.name(of: value))", as: .wrongType)
            return nil
        }
        let most = ScheduleDefinitions.mostItems
        guard value.count <= most else {
            report("schedules", "expected at most \(most) definitions, got \(value.count)", as: .tooManyItems)
            return nil
        }
        guard value.count > 0 else {
            report("schedules", "expected 1 to \(most) definitions, got none")
            return nil
        }
        return Array(value.elements)
    }

    /// Refuses an option that is about one thing with versions that is there: a schedule or a calendar.
    mutating func refuseVersion(_ options: ChangeOptions) {
        guard options.ifVersion != nil else { return }
        report(
            "if_version", "belongs to commands on one schedule or calendar that is there", as: .conflictingFields)
    }
}
