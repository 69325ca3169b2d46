import Recurrence
import SchedulerCore
import TestSupport
import Testing

@Suite("Ids") struct IdentifierTests {
    private let schedule = ScheduleID(UUIDValue(high: 0x0190_B2C3_D4E5_7001, low: 0x8123_4567_89AB_CDEF))

    private func occurrence(
        generation: Int32 = 1, origin: Origin = .time, at milliseconds: Int64 = 1_795_219_200_123, ordinal: Int64 = 0,
        schedule: ScheduleID? = nil
    ) -> Occurrence {
        Occurrence(
            schedule: schedule ?? self.schedule, generation: generation, origin: origin,
            scheduledFor: Instant(milliseconds: milliseconds), ordinal: ordinal)
    }

    /// The value was computed once with another implementation of SHA-256; rows and messages of every version carry it.
    @Test("An execution's id is fixed for ever")
    func golden() {
        #expect(occurrence().executionID.description == "01a1fb67-187b-8904-a512-a5fbebabe91a")
        #expect(
            occurrence(generation: 7, origin: .manual, ordinal: 42).executionID.description
                == "01a1fb67-187b-8eab-9c7b-8b2dc544cc00")
    }

    @Test("It is a UUIDv8 whose first 48 bits are scheduled_for in milliseconds")
    func layout() {
        let id = occurrence().executionID.uuid
        #expect(id.high >> 16 == 1_795_219_200_123)
        #expect(id.high >> 12 & 0xF == 8)
        #expect(id.low >> 62 == 0b10)
        #expect(occurrence(at: -5).executionID.uuid.high >> 16 == 0)
    }

    @Test("Each part of the identity makes another id")
    func identity() {
        let other = ScheduleID(UUIDValue(high: schedule.uuid.high, low: schedule.uuid.low ^ 1))
        var ids = [
            occurrence(), occurrence(generation: 2), occurrence(at: 1_795_219_200_124), occurrence(ordinal: 1),
            occurrence(schedule: other),
        ].map(\.executionID)
        ids += Origin.allCases.dropFirst().map { occurrence(origin: $0).executionID }
        #expect(Set(ids).count == 5 + Origin.allCases.count - 1)
        #expect(occurrence().executionID == occurrence().executionID)
    }

    @Test("Text round trips, in either case, and orders as the values do", arguments: 1...5)
    func roundTrips(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var values: [UUIDValue] = []
        for _ in 0..<200 {
            let value = UUIDValue(high: random.next(), low: random.next())
            values.append(value)
            #expect(UUIDValue(text: value.text) == value)
            #expect(UUIDValue(text: value.text.uppercased()) == value)
            #expect(value.hexadecimal == value.text.filter { $0 != "-" })
            var bytes: [UInt8] = [0x78]
            value.append(to: &bytes)
            #expect(String(decoding: bytes, as: UTF8.self) == "x" + value.text)
        }
        #expect(values.sorted().map(\.text) == values.map(\.text).sorted())
    }

    @Test(
        "Anything but the canonical form is no UUID",
        arguments: [
            "", "0190b2c3-d4e5-7001-8123-456789abcde", "0190b2c3-d4e5-7001-8123-456789abcdef0",
            "0190b2c3d4e5700181234567 89abcdef", "0190b2c3d4e570018123456789abcdef",
            "{0190b2c3-d4e5-7001-8123-456789abcdef}", "0190b2c3-d4e5-7001-8123_456789abcdef",
            "g190b2c3-d4e5-7001-8123-456789abcdef", "0190b2c3-d4e5-7001-8123-456789abcdé",
            "-190b2c30d4e5-7001-8123-456789abcdef",
        ])
    func refuses(text: String) { #expect(UUIDValue(text: text) == nil) }

    @Test("A UUIDv7 begins with its time, and later ones sort later")
    func version7() {
        var random = SeededGenerator(seed: 7)
        let first = UUIDValue.version7(at: at(0), random: &random)
        let second = UUIDValue.version7(at: at(0.001), random: &random)
        #expect(first < second && first.high >> 12 & 0xF == 7 && first.low >> 62 == 0b10)
        #expect(UUIDValue.lowest(at: at(0)) <= first && first < UUIDValue.lowest(at: at(0.001)))
    }

    @Test("Partitions of new schedules spread over all 256")
    func partitions() {
        var random = SeededGenerator(seed: 11)
        var counts = [Int](repeating: 0, count: 256)
        for number in 0..<25_600 {
            let id = ScheduleID(.version7(at: at(Double(number) / 1000), random: &random))
            counts[Int(id.partition)] += 1
        }
        #expect(counts.allSatisfy { (50...160).contains($0) })
    }

    @Test(
        "Names and namespaces",
        arguments: [
            ("a", true, true), ("A-1_b", true, true), ("a.b", false, true), ("_a", false, false), ("", false, false),
            ("-a", false, false), ("a b", false, false), ("é", false, false),
            (String(repeating: "a", count: 64), true, true), (String(repeating: "a", count: 65), false, true),
            (String(repeating: "a", count: 129), false, false), ("a\n", false, false),
        ])
    func names(text: String, isNamespace: Bool, isName: Bool) {
        #expect(((try? Namespace(text)) != nil) == isNamespace)
        #expect(((try? ScheduleName(text)) != nil) == isName)
    }

    @Test("The spread is a fixed offset in its bounds, a hash of the namespace and the name")
    func spread() throws {
        func offset(_ name: String, _ spread: Int64) throws -> Int64 {
            var definition = ScheduleDefinition(
                name: try ScheduleName(name), timing: Timing(type: .cron), target: try TargetSubject("demo.a"))
            definition.timing.spreadMilliseconds = spread
            return Schedule(
                id: schedule, namespace: try Namespace("test"), definition: definition, anchor: dawn, createdAt: dawn,
                updatedAt: dawn
            ).spreadOffset
        }
        #expect(try offset("a", 0) == 0)
        let offsets = try (0..<200).map { try offset("n\($0)", 60_000) }
        #expect(offsets.allSatisfy { (0..<60_000).contains($0) })
        #expect(Set(offsets).count > 190)
        #expect(try offset("n1", 60_000) == offsets[1])
    }
}
