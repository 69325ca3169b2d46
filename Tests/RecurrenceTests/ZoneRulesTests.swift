import Recurrence
import TestSupport
import Testing
import ZoneData

@Suite("Zone rules from TZif data")
struct ZoneRulesTests {
    @Test(
        "footers in every form",
        arguments: [
            // Each with an instant right before and at a change, in a year no file lists.
            ("EST5EDT,M3.2.0,M11.1.0", "2101-03-13T06:59:59Z", -18_000, -14_400),
            ("EST5EDT,M3.2.0,M11.1.0", "2101-11-06T05:59:59Z", -14_400, -18_000),
            ("EET-2EEST,M4.5.5/0,M10.5.4/24", "2100-10-28T20:59:59Z", 10_800, 7200),
            ("EET-2EEST,M3.4.4/50,M10.4.4/50", "2100-03-26T23:59:59Z", 7200, 10_800),
            ("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2100-03-28T00:59:59Z", -7200, -3600),
            ("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "2100-04-03T14:59:59Z", 39_600, 37_800),
            ("IST-1GMT0,M10.5.0,M3.5.0/1", "2100-10-31T00:59:59Z", 3600, 0),
            // J60 is 1 March whether or not there is a 29 February; 59 is 1 March or 29 February.
            ("AAA0BBB,J60/0,J300/0", "2096-02-29T23:59:59Z", 0, 3600),
            ("AAA0BBB,J60/0,J300/0", "2097-02-28T23:59:59Z", 0, 3600),
            ("AAA0BBB,59/0,300/0", "2096-02-28T23:59:59Z", 0, 3600),
            ("AAA0BBB,59/0,300/0", "2097-02-28T23:59:59Z", 0, 3600),
            ("AAA+1:30:15BBB-0:0:5,J1/1:2:3,J200", "2100-01-01T02:32:17Z", -5415, 5),
            ("AAA0BBB,M2.5.1/-167,M8.1.1/+167", "2100-02-15T00:59:59Z", 0, 3600),
        ])
    func footers(footer: String, lastBefore: String, before: Int, after: Int) throws {
        let rules = try ZoneRules(name: "Test/Zone", tzif: TZifBuilder(footer: footer).bytes)
        let last = try instant(lastBefore)
        let change = last.adding(milliseconds: 1000)
        #expect(rules.offsetSeconds(at: last) == before)
        #expect(rules.offsetSeconds(at: change) == after)
        let transition = try #require(rules.nextTransition(after: last))
        #expect(transition.instant == change)
        #expect(transition.offsetBefore == before)
        #expect(transition.offsetAfter == after)
        // The calendar repeats after 400 years, and so does the zone.
        let cycle: Int64 = 146_097 * 86_400_000
        for cycles in Int64(1)...19 {
            #expect(rules.offsetSeconds(at: last.adding(milliseconds: cycle * cycles)) == before)
            #expect(rules.offsetSeconds(at: change.adding(milliseconds: cycle * cycles)) == after)
        }
    }

    @Test("daylight time all year is one offset without a transition")
    func allYear() throws {
        let rules = try ZoneRules(name: "Test/Zone", tzif: TZifBuilder(footer: "XXX3EDT4,0/0,J365/23").bytes)
        #expect(rules.nextTransition(after: try instant("2026-01-01T00:00:00Z")) == nil)
        #expect(rules.offsetSeconds(at: try instant("2026-12-31T23:59:59Z")) == -14_400)
        #expect(rules.isDST(at: try instant("2026-07-01T00:00:00Z")))
    }

    @Test("the file's transitions come first, the footer after them")
    func transitionsThenFooter() throws {
        var file = TZifBuilder(footer: "STD0")
        file.types = [(3600, false, 0), (7200, true, 4), (0, false, 0)]
        file.transitions = [(-1000, 1), (1000, 2)]
        let rules = try ZoneRules(name: "Test/Zone", tzif: file.bytes)
        let offsets = [-1001, -1000, 999, 1000, 9_999_999_999].map {
            rules.offsetSeconds(at: Instant(milliseconds: $0 * 1000))
        }
        #expect(offsets == [3600, 7200, 7200, 0, 0])
        #expect(rules.abbreviation(at: Instant(milliseconds: 0)) == "DST")
        #expect(rules.isDST(at: Instant(milliseconds: 0)))
        #expect(rules.abbreviation(at: Instant(milliseconds: 1_000_000)) == "STD")
    }

    struct Damage: Sendable, CustomTestStringConvertible {
        let name: String
        let bytes: [UInt8]
        var testDescription: String { name }

        init(_ name: String, footer: String? = "", _ change: (inout TZifBuilder) -> Void = { _ in }) {
            self.name = name
            var file = TZifBuilder(footer: footer)
            change(&file)
            bytes = file.bytes
        }
    }

    static let damages = [
        Damage("version 1") { $0.version = 0 },
        Damage("no types") { $0.types = [] },
        Damage("leap seconds") { $0.leapSeconds = 1 },
        Damage("no footer", footer: nil),
        Damage("descending transitions") { $0.transitions = [(5, 0), (4, 0)] },
        Damage("equal transitions") { $0.transitions = [(5, 0), (5, 0)] },
        Damage("a transition at the end of numbers", footer: "EST5EDT,M3.2.0,M11.1.0") { $0.transitions = [(.max, 0)] },
        Damage("unknown type") { $0.transitions = [(5, 1)] },
        Damage("abbreviation beyond the table") { $0.types = [(0, false, 8)] },
        Damage("offset beyond a day and an hour") { $0.types = [(93_600, false, 0)] },
        Damage("footer with a rest", footer: "STD0X"),
        Damage("footer with a short name", footer: "ST0"),
        Damage("footer without an offset", footer: "STD"),
        Damage("footer without dates", footer: "STD0DST"),
        Damage("footer with one date", footer: "STD0DST,J1"),
        Damage("footer with month 13", footer: "STD0DST,M13.1.1,M10.1.1"),
        Damage("footer with week 6", footer: "STD0DST,M3.6.1,M10.1.1"),
        Damage("footer with J0", footer: "STD0DST,J0,J5"),
        Damage("footer with hour 168", footer: "STD0DST,J1/168,J5"),
        Damage("footer with an open quote", footer: "<+01-1"),
    ]

    @Test("broken data is refused", arguments: damages)
    func refuses(_ damage: Damage) throws {
        let error = try #require(throws: ZoneError.self) { try ZoneRules(name: "Test/Zone", tzif: damage.bytes) }
        #expect(error.code == .malformedData)
        #expect(error.message.contains("Test/Zone"))
    }

    @Test("a file cut short anywhere is refused, and bit flips never trap")
    func truncated() throws {
        var file = TZifBuilder(footer: "EST5EDT,M3.2.0,M11.1.0")
        file.types = [(3600, false, 0), (7200, true, 4)]
        file.transitions = [(-1000, 1), (1000, 0)]
        let bytes = file.bytes
        for length in bytes.indices {
            #expect(throws: ZoneError.self) { try ZoneRules(name: "Test/Zone", tzif: Array(bytes[..<length])) }
        }
        var generator = SeededGenerator(seed: 13)
        for _ in 0..<300 {
            var damaged = bytes
            damaged[Int.random(in: damaged.indices, using: &generator)] ^= UInt8.random(in: 1...255, using: &generator)
            guard let rules = try? ZoneRules(name: "Test/Zone", tzif: damaged) else { continue }
            _ = rules.nextTransition(after: .earliest)
            _ = rules.offsetSeconds(at: .latest)
        }
    }

    @Test(
        "local times resolve to instants",
        arguments: [
            ("America/New_York", "2026-07-01T12:00:00", "2026-07-01T16:00:00Z", nil, false),
            ("America/New_York", "2026-03-08T02:30:00", "2026-03-08T07:00:00Z", nil, true),
            ("America/New_York", "2026-11-01T01:30:00", "2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z", false),
            ("America/New_York", "2026-03-08T03:00:00", "2026-03-08T07:00:00Z", nil, false),
            ("America/New_York", "2026-11-01T02:00:00", "2026-11-01T07:00:00Z", nil, false),
            ("Australia/Lord_Howe", "2026-10-04T02:29:59.999", "2026-10-03T15:30:00Z", nil, true),
            ("Pacific/Apia", "2011-12-30T12:00:00", "2011-12-30T10:00:00Z", nil, true),
            ("America/New_York", "9999-12-31T23:59:59.999", "9999-12-31T23:59:59.999Z", nil, false),
            ("America/Juneau", "1867-10-19T12:00:00", "1867-10-18T20:57:41Z", "1867-10-19T20:57:41Z", false),
        ] as [(String, String, String, String?, Bool)])
    func resolves(zone: String, local: String, first: String, second: String?, isGap: Bool) throws {
        let rules = try zones.rules(for: zone)
        let reading = try #require(LocalDateTime(iso8601: local))
        let expected: LocalResolution
        if isGap {
            expected = .gap(firstValid: try instant(first))
        } else if let second {
            expected = .repeated(first: try instant(first), second: try instant(second))
        } else {
            expected = .unique(try instant(first))
        }
        #expect(rules.resolve(reading) == expected)
    }

    @Test("every instant is found again by its local time, in every zone")
    func resolvesBack() throws {
        var generator = SeededGenerator(seed: 17)
        for name in zones.names.shuffled(using: &generator).prefix(80) {
            guard let rules = try? zones.rules(for: name) else { continue }
            for _ in 0..<10 {
                let milliseconds = Int64.random(in: -5_000_000_000_000...20_000_000_000_000, using: &generator)
                let start = Instant(milliseconds: milliseconds)
                let near = rules.nextTransition(after: start)?.instant ?? start
                let instant = near.adding(milliseconds: Int64.random(in: -7_200_000...7_200_000, using: &generator))
                switch rules.resolve(rules.localTime(at: instant)) {
                case .unique(let found): #expect(found == instant, "\(name)")
                case .repeated(let first, let second): #expect(first == instant || second == instant, "\(name)")
                case .gap: Issue.record("\(name): \(instant) shows a time that no clock shows")
                }
            }
        }
    }
}
