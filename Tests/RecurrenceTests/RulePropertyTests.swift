import Recurrence
import TestSupport
import Testing
import ZoneData

@Suite("What holds for every recurrence rule", .timeLimit(.minutes(2)))
struct RulePropertyTests {
    @Test("from any instant on, what it finds is what a walk from the start finds", arguments: DSTPolicy.allCases)
    func walk(policy: DSTPolicy) throws {
        var generator = SeededGenerator(seed: 31)
        var walked = 0
        for round in 0..<100 {
            let zone = ["Europe/Berlin", "Australia/Lord_Howe", "America/Santiago", "UTC"][round % 4]
            let random = RandomRule(using: &generator)
            let start = Instant(milliseconds: Int64.random(in: 1_300_000_000...1_900_000_000, using: &generator) * 1000)
            guard
                let zoned = try? ZonedRule(
                    RecurrenceRule(parsing: random.text), zone: try zones.rules(for: zone), policy: policy, start: start
                )
            else { continue }
            let rule = Recurrence.rrule(zoned)
            let fires = rule.fires(after: .earliest, count: 120)
            guard let last = fires.last else { continue }
            walked += 1
            let comment = Comment(rawValue: "\(random.text) from \(start) in \(zone)")
            #expect(zip(fires, fires.dropFirst()).allSatisfy(<), comment)
            #expect(fires.allSatisfy { $0 >= start }, comment)
            #expect(rule.count(after: .earliest, through: last) == fires.count, comment)
            for _ in 0..<12 {
                let index = Int.random(in: 0..<fires.count, using: &generator)
                let fire = fires[index]
                let before = fire.adding(milliseconds: -1)
                #expect(rule.next(after: before) == fire, comment)
                #expect(rule.latest(through: fire) == fire, comment)
                #expect(rule.latest(through: before) == (index == 0 ? nil : fires[index - 1]), comment)
                #expect(
                    rule.next(after: fire) == (index + 1 < fires.count ? fires[index + 1] : rule.next(after: last)),
                    comment)
                let other = fires[Int.random(in: index..<fires.count, using: &generator)]
                let between = fires.count { $0 > fire && $0 <= other }
                #expect(rule.count(after: fire, through: other) == between, comment)
            }
        }
        #expect(walked > 60)
    }

    @Test("many tasks ask libical at once and get the same answers")
    func concurrency() async throws {
        let texts = (1...31).flatMap { day in
            (1...3).map {
                "FREQ=YEARLY;BYMONTHDAY=\(day),-\(day);BYDAY=\(["MO,TU", "1SU,WE", "-1FR"][$0 - 1]);BYMONTH=1,\(day % 12 + 1)"
            }
        }
        let alone = try texts.map { try fires($0) }
        try await withThrowingTaskGroup(of: [[Instant]].self) { group in
            for _ in 0..<6 {
                group.addTask { try texts.shuffled().sorted().map { try self.fires($0) } }
            }
            let sorted = zip(texts, alone).sorted { $0.0 < $1.0 }.map(\.1)
            for try await answer in group { #expect(answer == sorted) }
        }
    }

    private func fires(_ text: String) throws -> [Instant] {
        guard let rule = try? rrule(text, start: "2026-01-01T00:00:00Z") else { return [] }
        return rule.fires(after: .earliest, count: 30)
    }
}
