import Foundation
import Recurrence
import TestSupport
import Testing
import ZoneData

/// The grammar they share with ours, and where they differ by design, are told in `docs/time-differences.md`.
@Suite("Occurrences against implementations by others", .timeLimit(.minutes(10)))
struct CronOracleTests {
    @Test("equal those of croniter and cronsim, around transitions too", arguments: CronOracle.allCases)
    func agrees(with oracle: CronOracle) async throws {
        var generator = TestForm.generator(for: "oracle \(oracle)")
        let count = TestForm.count(600, long: 20_000)
        var questions: [CronOracle.Question] = []
        while questions.count < count {
            if let question = try CronOracle.Question(oracle, using: &generator) { questions.append(question) }
        }
        let answers = try await Oracle(script: "cron_fires.py").ask(questions, as: CronOracle.Answer.self)
        try #require(answers.count == questions.count)

        var differing: [KnownDifference: Int] = [:]
        for (question, answer) in zip(questions, answers) {
            let expected = try question.expectedFires()
            if answer == .fires(expected) { continue }
            let difference = KnownDifference(question, expected: expected, answer: answer)
            if let difference { differing[difference, default: 0] += 1 }
            #expect(difference != nil, "\(question): \(expected), but \(answer); TEST_SEED=\(TestForm.seed)")
        }
        let list = differing.sorted { $0.value > $1.value }.map { "\($0.value)× \($0.key.rawValue)" }
        print("\(oracle): \(count) questions, differing \(list)")
        #expect(differing.values.reduce(0, +) * 10 < count, "too many excuses to prove anything: \(list)")
    }
}

@Suite("The page about differences")
struct DifferencesPageTests {
    @Test("has each class", arguments: KnownDifference.allCases)
    func lists(_ difference: KnownDifference) throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        let page = folder.deletingLastPathComponent().appending(path: "docs/time-differences.md")
        #expect(try String(contentsOf: page, encoding: .utf8).contains("\n| \(difference.rawValue) |"))
    }
}

enum CronOracle: String, CaseIterable, Encodable, Sendable {
    case croniter
    case cronsim

    enum Answer: Decodable, Equatable {
        case fires([Int])
        case complaint(String)

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let fires = try? container.decode([Int].self) {
                self = .fires(fires)
            } else {
                self = .complaint(try container.decode(String.self))
            }
        }
    }

    var dialect: CronDialect {
        switch self {
        case .croniter:
            CronDialect(
                fieldCounts: [5, 5, 5, 6, 7], dayForms: [.last, .nearestWeekday], weekdayForms: [.nth, .last],
                mixesForms: false, restrictsBothWithForms: false, hasQuestionMark: true, years: 1970...2099,
                largestNearestDay: 28)
        case .cronsim:
            CronDialect(
                fieldCounts: [5, 5, 6], dayForms: [.last, .lastWeekday], weekdayForms: [.nth, .last],
                restrictsBothWithStar: false)
        }
    }
}

extension CronOracle {
    struct Question: Encodable, CustomStringConvertible {
        let oracle: CronOracle
        let cron: RandomCron
        let zone: ZoneRules
        let seconds: Int
        let count = 4

        var text: String { oracle == .croniter ? cron.croniterText : cron.text }
        var description: String { "\(oracle): \(text) in \(zone.name) after \(brief(start))" }
        var start: Instant { Instant(milliseconds: Int64(seconds) * 1000) }

        static let hardZones = [
            "Africa/Cairo", "Africa/Casablanca", "America/Havana", "America/New_York", "America/Nuuk",
            "America/Santiago", "America/St_Johns", "Antarctica/Troll", "Asia/Beirut", "Asia/Gaza", "Asia/Kathmandu",
            "Asia/Tehran",
            "Australia/Lord_Howe", "Europe/Dublin", "Europe/London", "Pacific/Apia", "Pacific/Chatham", "UTC",
        ]

        /// Half of the questions begin within hours of a transition, none before 1975.
        ///
        /// Nil where a random expression names no date.
        init?(_ oracle: CronOracle, using generator: inout SeededGenerator) throws {
            self.oracle = oracle
            let isHard = Bool.random(using: &generator)
            let name = (isHard ? Question.hardZones : Question.usableNames).randomElement(using: &generator) ?? "UTC"
            zone = try zones.rules(for: name)
            var seconds = Int64.random(in: 160_000_000..<3_900_000_000, using: &generator)
            var near = seconds
            if Bool.random(using: &generator),
                let change = zone.nextTransition(after: Instant(milliseconds: seconds * 1000))?.instant
            {
                near = change.milliseconds / 1000
                seconds = near + Int64.random(in: -36_000...7_200, using: &generator)
            }
            self.seconds = Int(seconds)
            let shown = Int(near) + zone.offsetSeconds(at: Instant(milliseconds: near * 1000))
            let reading = (WalkedDate(seconds: shown), shown / 3600 % 24)
            cron = RandomCron(oracle.dialect, near: reading, using: &generator)
            if (try? CronExpression(parsing: cron.text)) == nil { return nil }
        }

        private static let usableNames = zones.names.filter { (try? zones.rules(for: $0)) != nil }

        func encode(to encoder: any Encoder) throws {
            var list = encoder.unkeyedContainer()
            try list.encode(oracle)
            try list.encode(text)
            try list.encode(zone.name)
            try list.encode(seconds)
            try list.encode(count)
        }

        func fires(_ policy: DSTPolicy) throws -> [Int] {
            let expression = try CronExpression(parsing: cron.text)
            return Recurrence(expression, zone: zone, policy: policy, anchor: start).fires(after: start, count: count)
                .map { Int($0.milliseconds / 1000) }
        }

        /// What the program's own rule for transitions gives, in terms of our policies.
        func expectedFires() throws -> [Int] {
            switch oracle {
            // Both passes of a repeat for all; what a gap leaves out is made up unless the hour is `*`.
            case .croniter: try Array(Set(fires(.vixie) + fires(.literal)).sorted().filter(isInItsYears).prefix(count))
            // Debian cron's rule for five fields, none for six.
            case .cronsim: try fires(cron.hasSeconds ? .literal : .vixie)
            }
        }

        /// A step in the year field ends with the program's years, which may be fewer than ours.
        private func isInItsYears(_ seconds: Int) -> Bool {
            guard cron.years != nil else { return true }
            let shown = seconds + zone.offsetSeconds(at: Instant(milliseconds: Int64(seconds) * 1000))
            return oracle.dialect.years.contains(WalkedDate(seconds: shown).year)
        }
    }
}
