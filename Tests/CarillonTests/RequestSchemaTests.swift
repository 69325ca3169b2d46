import JSONText
import Recurrence
import SchedulerCore
import SchedulerWire
import Testing

@testable import carillon

/// The schema of `schedule.create` and the reader of its body draw the same bounds.
@Suite struct RequestSchemaTests {
    /// Fields that say nothing without another one stand beside that one.
    private static let base = """
        "schedule_type":"cron","cron_expression":"0 9 * * *","target_command":"demo.x","only_on":"de",\
        "windows":[{"from":"08:00","to":"18:00"}]
        """
    /// Read beside the definition, by others.
    private static let others: Set = [
        "paused", "request_id", "actor", "reason", "dry_run",
    ]

    private func properties(_ command: String) throws -> JSONValue {
        let path = "schemas/commands/\(command).request.v1.json"
        let text = try #require(CommandLineEnvironment.contents(of: path), "\(path)")
        return try #require(try JSONValue.parse(text)["properties"])
    }

    private func isRefused(_ field: String, _ value: String) throws -> Bool {
        var members = try JSONValue.parse("{\(Self.base)}").members.filter { $0.name != field }
            .map { "\"\($0.name)\":\(String(decoding: $0.value.bytes, as: UTF8.self))" }
        members.append("\"\(field)\":\(value)")
        if field == "interval_seconds" {
            members = [#""schedule_type":"interval""#, #""target_command":"demo.x""#, "\"\(field)\":\(value)"]
        }
        // Only a request has a reply.
        if field == "completion" { members.append(#""delivery":"request""#) }
        let isAbsence = field == "absence_seconds"
        if DefinitionReader.eventFields.contains(field) {
            members = [
                #""schedule_type":"\#(isAbsence ? "absence" : "event")""#, #""target_command":"demo.x""#,
                "\"\(field)\":\(value)",
            ]
            if field != "event_subject" { members.append(#""event_subject":"demo.heard""#) }
        }
        let body = try JSONValue.parse("{\(members.joined(separator: ","))}")
        var reader = DefinitionReader(BodyReader(body), defaults: DefinitionDefaults(), zones: { _ in .utc })
        return reader.read(onto: nil, idName: try ScheduleName("id")).body.hasProblem(field)
    }

    @Test func theFieldsAreThoseThatAreRead() throws {
        let described = Set(try properties("schedule.create").members.map(\.name))
        #expect(described.subtracting(Self.others) == Set(DefinitionReader.fields))
        #expect(described.isSuperset(of: Self.others))
        // A patch has the same, and says whose it is.
        let patched = Set(try properties("schedule.update").members.map(\.name))
        #expect(patched == described.union(["id", "if_version"]))
    }

    /// What has no version refuses the option, so its schema does not offer it.
    @Test func ifVersionIsOfferedWhereThereIsAVersion() throws {
        let versioned = CommandCatalogue.all.map(\.name).filter { name in
            CommandLineEnvironment.contents(of: "schemas/commands/\(name).request.v1.json")?
                .contains("\"if_version\"") ?? false
        }
        #expect(
            Set(versioned) == [
                "schedule.put", "schedule.update", "schedule.delete", "schedule.pause", "schedule.resume",
                "schedule.trigger", "schedule.backfill", "calendar.put", "calendar.delete",
            ])
    }

    @Test func theChoicesAreThoseThatAreRead() throws {
        for (name, rule) in try properties("schedule.create").members.map({ ($0.name, $0.value) }) {
            guard let choices = rule["enum"] else { continue }
            for choice in choices.elements {
                let text = String(decoding: choice.bytes, as: UTF8.self)
                // A type decides over what else must be there.
                if name != "schedule_type" { #expect(try !isRefused(name, text), "\(name): \(text)") }
            }
            #expect(try isRefused(name, #""nonsense""#), "\(name)")
        }
        func texts<Choice: RawRepresentable & CaseIterable>(
            _ type: Choice.Type
        ) -> Set<String> where Choice.RawValue == String { Set(Choice.allCases.map(\.rawValue)) }
        let known: [(String, Set<String>)] = [
            ("schedule_type", texts(ScheduleType.self)), ("dst_policy", texts(DSTPolicy.self)),
            ("shift", texts(DayShiftPolicy.self)), ("outside", texts(OutsidePolicy.self)),
            ("delivery", texts(Delivery.self)), ("guarantee", texts(Guarantee.self)),
            ("completion", texts(Completion.self)), ("overlap_policy", texts(OverlapPolicy.self)),
            ("misfire_policy", texts(MisfirePolicy.self)),
        ]
        let properties = try properties("schedule.create")
        for (name, choices) in known {
            #expect(Set(properties[name]?["enum"]?.elements.compactMap(\.string) ?? []) == choices, "\(name)")
        }
    }

    @Test func theRangesAreThoseThatAreRead() throws {
        var compared = 0
        for (name, rule) in try properties("schedule.create").members.map({ ($0.name, $0.value) })
        where !Self.others.contains(name) {
            let isWhole = rule["type"]?.elements.first { $0.string == "integer" } != nil
            if let least = rule["minimum"]?.double {
                let below = isWhole ? "\(Int64(least) - 1)" : least == 0 ? "-0.001" : "\(least * 0.9)"
                #expect(try isRefused(name, below), "\(name): \(below)")
                #expect(try !isRefused(name, isWhole ? "\(Int64(least))" : "\(least)"), "\(name): \(least)")
                compared += 1
            }
            if let most = rule["maximum"] {
                let text = String(decoding: most.bytes, as: UTF8.self)
                let above = isWhole ? "\((UInt64(text) ?? 0) + 1)" : text + "0"
                #expect(try isRefused(name, above), "\(name): \(above)")
                #expect(try !isRefused(name, text), "\(name): \(text)")
                compared += 1
            }
        }
        #expect(compared >= 25)
    }

    @Test func theLengthsAreThoseThatAreRead() throws {
        let lists = [("tags", 32, #""t""#), ("windows", 50, #"{"from":"08:00","to":"18:00"}"#)]
        let properties = try properties("schedule.create")
        for (name, most, item) in lists {
            #expect(properties[name]?["maxItems"]?.int64 == Int64(most))
            func list(_ count: Int) -> String { "[\(Array(repeating: item, count: count).joined(separator: ","))]" }
            #expect(try !isRefused(name, list(most)) && isRefused(name, list(most + 1)), "\(name)")
        }
        let longest = try #require(properties["description"]?["maxLength"]?.int64)
        func text(_ count: Int) -> String { "\"\(String(repeating: "x", count: count))\"" }
        #expect(try !isRefused("description", text(Int(longest))) && isRefused("description", text(Int(longest) + 1)))
        for (name, most, key) in [("metadata", 32, "k"), ("command_headers", 16, "h")] {
            #expect(properties[name]?["maxProperties"]?.int64 == Int64(most))
            func pairs(_ count: Int) -> String {
                "{\((0..<count).map { "\"\(key)\($0)\":\"\"" }.joined(separator: ","))}"
            }
            #expect(try !isRefused(name, pairs(most)) && isRefused(name, pairs(most + 1)), "\(name)")
        }
    }
}
