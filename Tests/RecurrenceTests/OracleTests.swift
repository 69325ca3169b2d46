import Recurrence
import TestSupport
import Testing
import ZoneData

@Suite("Against implementations by others", .timeLimit(.minutes(1)))
struct OracleTests {
    struct OffsetQuestion: Encodable {
        let zone: String
        let seconds: Int64

        func encode(to encoder: any Encoder) throws {
            var list = encoder.unkeyedContainer()
            try list.encode(zone)
            try list.encode(seconds)
        }
    }

    struct OffsetAnswer: Decodable {
        let offset: Int
        let abbreviation: String

        init(from decoder: any Decoder) throws {
            var list = try decoder.unkeyedContainer()
            offset = try list.decode(Int.self)
            abbreviation = try list.decode(String.self)
        }
    }

    @Test("offsets and abbreviations equal those of Python's zoneinfo")
    func offsets() async throws {
        var generator = SeededGenerator(seed: 3)
        let hard = [
            "Africa/Casablanca", "Africa/Cairo", "America/Nuuk", "Asia/Gaza", "Asia/Jerusalem", "Europe/Dublin",
            "Pacific/Apia", "Pacific/Chatham", "Australia/Lord_Howe", "America/Santiago", "Antarctica/Troll", "UTC",
        ]
        let names = zones.names.filter { (try? zones.rules(for: $0)) != nil }
        var questions: [OffsetQuestion] = []
        for name in hard + names.shuffled(using: &generator).prefix(60) {
            let rules = try zones.rules(for: name)
            for _ in 0..<12 {
                // Mostly the years people schedule in, and some of the far ends.
                let years: ClosedRange<Int64> =
                    Bool.random(using: &generator) ? -2_208_988_800...4_102_444_800 : 0...150_000_000_000
                let seconds = Int64.random(in: years, using: &generator)
                questions.append(OffsetQuestion(zone: name, seconds: seconds))
                guard let next = rules.nextTransition(after: Instant(milliseconds: seconds * 1000)) else { continue }
                for change in Int64(-1)...1 {
                    questions.append(OffsetQuestion(zone: name, seconds: next.instant.milliseconds / 1000 + change))
                }
            }
        }
        let answers = try await Oracle(script: "zone_offsets.py").ask(questions, as: OffsetAnswer.self)
        try #require(answers.count == questions.count)
        for (question, answer) in zip(questions, answers) {
            let rules = try zones.rules(for: question.zone)
            let instant = Instant(milliseconds: question.seconds * 1000)
            #expect(rules.offsetSeconds(at: instant) == answer.offset, "\(question.zone) \(instant)")
            #expect(rules.abbreviation(at: instant) == answer.abbreviation, "\(question.zone) \(instant)")
        }
    }

    struct FiresQuestion: Encodable {
        let expression: String
        let zone: String
        let seconds: Int64
        let count: Int

        func encode(to encoder: any Encoder) throws {
            var list = encoder.unkeyedContainer()
            try list.encode(expression)
            try list.encode(zone)
            try list.encode(seconds)
            try list.encode(count)
        }
    }

    /// Where croniter differs by design is told in `cron_fires.py`.
    @Test("occurrences equal croniter's, away from transitions")
    func fires() async throws {
        var generator = SeededGenerator(seed: 5)
        let names = ["UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Cairo"]
        let from = try instant("1990-01-01T00:00:00Z").milliseconds / 1000
        let to = try instant("2036-01-01T00:00:00Z").milliseconds / 1000
        var questions: [FiresQuestion] = []
        var expected: [[Int64]] = []
        for round in 0..<600 {
            let zone = names[round % names.count]
            let random = RandomCron(using: &generator)
            let text = round % 3 == 0 ? "*/17 \(random.text)" : random.text
            let question = FiresQuestion(
                expression: text, zone: zone, seconds: Int64.random(in: from...to, using: &generator), count: 4)
            let start = Instant(milliseconds: question.seconds * 1000)
            let fires = try cron(text, zone: zone).fires(after: start, count: question.count)
            guard let last = fires.last, isCalm(try zones.rules(for: zone), from: start, through: last) else {
                continue
            }
            questions.append(question)
            expected.append(fires.map { $0.milliseconds / 1000 })
        }
        try #require(questions.count > 250, "too few questions to prove anything")
        let answers = try await Oracle(script: "cron_fires.py").ask(questions, as: [Int64].self)
        try #require(answers.count == questions.count)
        for ((question, fires), answer) in zip(zip(questions, expected), answers) {
            #expect(fires == answer, "\(question.expression) in \(question.zone) after \(question.seconds)")
        }
    }

    /// Whether no clock is moved between a day before `start` and a day after `end`.
    private func isCalm(_ rules: ZoneRules, from start: Instant, through end: Instant) -> Bool {
        guard let next = rules.nextTransition(after: start.adding(milliseconds: -86_400_000)) else { return true }
        return next.instant > end.adding(milliseconds: 86_400_000)
    }
}
