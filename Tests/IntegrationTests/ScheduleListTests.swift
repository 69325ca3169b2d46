import JSONText
import LocalServers
import PostgresClient
import Recurrence
import SchedulerCore
import ServiceFixture
import TestSupport
import Testing

@testable import SchedulerStore

extension Integration {
    /// `schedule.list`: filters, orders, and cursors that belong to them.
    @Suite("Lists of schedules", .serialized, .timeLimit(.minutes(2))) struct ScheduleListTests {
        private static let targets = ["demo.js.a", "demo.js.a.b", "demo.js.b.b", "demo.x.a", "demo.js.a-b"]
        private static let tags = ["red", "green", "blue"]

        /// What a test knows of a schedule that it made.
        private struct Known: Sendable {
            let name: String
            let target: String
            let tags: [String]
            let state: String
            let nextFireAt: String?
        }

        private static let made = Task { () async throws -> [Known] in
            let fixture = try await TwoInstances.running.fixture
            var generator = SeededGenerator(seed: 11)
            var bodies: [String] = []
            for index in 0..<60 {
                let tags = Self.tags.filter { _ in Bool.random(using: &generator) }
                let prefix = ["A", "a", "b.", "B-"][index % 4]
                let list = tags.map { "\"\($0)\"" }.joined(separator: ",")
                let isPaused = index % 7 == 0
                bodies.append(
                    #"{"name":"\#(prefix)\#(Int.random(in: 0..<1000, using: &generator))_\#(index)","schedule_type":"once","#
                        + #""run_at":"2027-0\#(1 + index % 9)-01T00:00:00Z","target_command":"\#(Self.targets[index % 5])","#
                        + #""delivery":"core","tags":[\#(list)],"paused":\#(isPaused)}"#)
            }
            let body = #"{"schedules":[\#(bodies.joined(separator: ","))]}"#
            try await fixture.done("schedule.bulk_create", body, in: "lists")
            return try bodies.enumerated().map { index, body in
                let value = try JSONValue.parse(body)
                let isPaused = value["paused"]?.bool == true
                return Known(
                    name: value["name"]?.string ?? "", target: value["target_command"]?.string ?? "",
                    tags: value.items("tags").compactMap(\.string), state: isPaused ? "paused" : "active",
                    nextFireAt: isPaused ? nil : "2027-0\(1 + index % 9)-01T00:00:00.000000Z")
            }
        }

        /// All names of a list, page by page.
        private func names(_ filter: String, limit: Int, on fixture: ServiceFixture) async throws -> [String] {
            var names: [String] = []
            var cursor = ""
            repeat {
                let page = try await fixture.done(
                    "schedule.list", #"{"limit":\#(limit)\#(filter)\#(cursor)}"#, in: "lists")
                names += page.items("schedules").map { $0["name"]?.string ?? "?" }
                cursor = page["next_cursor"]?.string.map { #","cursor":"\#($0)""# } ?? ""
            } while !cursor.isEmpty && names.count <= 200
            return names
        }

        @Test("Each filter shows what it says, and nothing else")
        func filters() async throws {
            let fixture = try await TwoInstances.running.fixture
            let made = try await Self.made.value
            let tables: [(String, @Sendable (Known) -> Bool)] = [
                ("", { _ in true }),
                (#","state":"paused""#, { $0.state == "paused" }),
                (#","state":["paused","active"]"#, { _ in true }),
                (#","state":["exhausted","invalid"]"#, { _ in false }),
                (#","tag":"red""#, { $0.tags.contains("red") }),
                (#","tag":["red","blue"]"#, { $0.tags.contains("red") || $0.tags.contains("blue") }),
                (#","tags_all":["red","blue"]"#, { $0.tags.contains("red") && $0.tags.contains("blue") }),
                (
                    #","tags_all":"green","tag":["red"],"state":"active""#,
                    { $0.tags.contains("green") && $0.tags.contains("red") && $0.state == "active" }
                ),
                (#","name_prefix":"a""#, { $0.name.hasPrefix("a") }),
                (#","name_prefix":"b.","sort":"-name""#, { $0.name.hasPrefix("b.") }),
                (#","name_prefix":"B-","sort":"name""#, { $0.name.hasPrefix("B-") }),
                (
                    #","due_before":"2027-03-01T00:00:00.001Z""#,
                    { ($0.nextFireAt ?? "9") < "2027-03-01T00:00:00.000001Z" }
                ),
                (
                    #","due_before":"2027-03-01T00:00:00Z","sort":"next_fire_at""#,
                    { ($0.nextFireAt ?? "9") < "2027-03-01T00:00:00.000000Z" }
                ),
            ]
            for (filter, holds) in tables {
                for limit in [7, 1000] {
                    let found = try await names(filter, limit: limit, on: fixture)
                    #expect(found.sorted() == made.filter(holds).map(\.name).sorted(), "\(filter), \(limit)")
                }
            }
        }

        @Test("A target is a subject or a pattern, and matches as NATS matches")
        func targets() async throws {
            let fixture = try await TwoInstances.running.fixture
            let made = try await Self.made.value
            for text in [
                "demo.js.a", "demo.js.*", "demo.js.>", "demo.*.a", "*.js.*.b", ">", "demo.js.a.>", "demo.js.a-b",
                "demo.j*s.a",
                "demo.js.c", "demo.js.[a]", "demo.js.a|b",
            ] {
                guard let pattern = try? SubjectPattern(text) else {
                    #expect(
                        try await fixture.refused("schedule.list", #"{"target_command":"\#(text)"}"#, in: "lists")
                            == "10426 /target_command")
                    continue
                }
                let found = try await names(#","target_command":"\#(text)""#, limit: 1000, on: fixture)
                #expect(found.sorted() == made.filter { pattern.matches($0.target) }.map(\.name).sorted(), "\(text)")
            }
        }

        @Test("Pages of each order have the same order as the whole, and miss and repeat nothing")
        func orders() async throws {
            let fixture = try await TwoInstances.running.fixture
            let made = try await Self.made.value
            let byName = made.map(\.name).sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }
            for (sort, expected) in [
                ("created_at", made.map(\.name)), ("-created_at", made.map(\.name).reversed()), ("name", byName),
                ("-name", byName.reversed()),
            ] {
                // Of one transaction the ids are of one millisecond: the order of creation is theirs.
                let whole = try await names(#","sort":"\#(sort)""#, limit: 1000, on: fixture)
                #expect(try await names(#","sort":"\#(sort)""#, limit: 7, on: fixture) == whole, "\(sort)")
                #expect(whole.sorted() == expected.sorted() && (sort.hasSuffix("_at") || whole == expected), "\(sort)")
            }
            let times = Dictionary(uniqueKeysWithValues: made.map { ($0.name, $0.nextFireAt) })
            for sort in ["next_fire_at", "-next_fire_at"] {
                let paged = try await names(#","sort":"\#(sort)""#, limit: 7, on: fixture)
                let due = paged.compactMap { times[$0] ?? nil }
                #expect(paged.count == made.count { $0.nextFireAt != nil } && Set(paged).count == paged.count)
                #expect(due == (sort.hasPrefix("-") ? due.sorted(by: >) : due.sorted()))
            }
        }

        @Test("A cursor is good for its own list only")
        func cursors() async throws {
            let fixture = try await TwoInstances.running.fixture
            _ = try await Self.made.value
            let page = try await fixture.done("schedule.list", #"{"limit":3,"sort":"name","tag":"red"}"#, in: "lists")
            let cursor = try #require(page["next_cursor"]?.string)
            for body in [
                #"{"limit":3,"sort":"-name","tag":"red","cursor":"\#(cursor)"}"#,
                #"{"limit":3,"tag":"red","cursor":"\#(cursor)"}"#, #"{"limit":3,"sort":"name","cursor":"\#(cursor)"}"#,
                #"{"limit":3,"sort":"name","tag":["red","blue"],"cursor":"\#(cursor)"}"#, #"{"cursor":"x"}"#,
                #"{"cursor":""}"#, #"{"sort":"name","tag":"red","cursor":"\#(cursor.dropLast(2))~~"}"#,
                #"{"cursor":"01a1fd73-4b71-8e15-b464-f0143fffdf21"}"#,
            ] {
                #expect(try await fixture.refused("schedule.list", body, in: "lists") == "10405 /cursor", "\(body)")
            }
            // Another length of the page is the same list.
            try await fixture.done(
                "schedule.list", #"{"limit":5,"sort":"name","tag":["red"],"cursor":"\#(cursor)"}"#, in: "lists")
        }

        @Test(
            "Each fault has its code and its place",
            arguments: [
                (#"{"state":"asleep"}"#, "10426 /state"), (#"{"state":"deleted"}"#, "10426 /state"),
                (#"{"state":[]}"#, "40413 /state"), (#"{"state":{}}"#, "10424 /state"),
                (#"{"tag":[1]}"#, "10424 /tag/0"),
                (#"{"sort":"id"}"#, "10426 /sort"), (#"{"name_prefix":"a b"}"#, "10426 /name_prefix"),
                (#"{"name_prefix":"\u00e9"}"#, "10426 /name_prefix"),
                (#"{"target_command":""}"#, "10426 /target_command"),
                (#"{"due_before":1}"#, "10424 /due_before"), (#"{"limit":1001}"#, "10426 /limit"),
                (#"{"metadata":{}}"#, "10423 /metadata"),
            ])
        func faults(_ body: String, _ expected: String) async throws {
            let fixture = try await TwoInstances.running.fixture
            #expect(try await fixture.refused("schedule.list", body, in: "lists") == expected)
        }
    }
}
