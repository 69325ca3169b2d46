import Foundation
import Recurrence
import TestSupport
import Testing
import ZoneData

@Suite("Zones against Python's zoneinfo", .timeLimit(.minutes(5)))
struct ZoneOracleTests {
    /// The instants that one zone is asked about, in seconds since 1970.
    struct Questions {
        let rules: ZoneRules
        let seconds: [Int64]

        /// From 1970 to 2100 at each transition, the second before it and the one after it, and between them in steps
        /// that no transition found by nobody can hide in; some of the far ends.
        init(_ rules: ZoneRules, using generator: inout SeededGenerator) {
            self.rules = rules
            let end: Int64 = 4_133_980_800
            let step: Int64 = TestForm.isLong ? 3 * 86_400 : 90 * 86_400
            var seconds = Array(stride(from: Int64.random(in: 0..<step, using: &generator), to: end, by: Int(step)))
            var change = rules.nextTransition(after: Instant(milliseconds: -1))
            while let at = change?.instant, at.milliseconds / 1000 <= end {
                seconds += (-1...1).map { at.milliseconds / 1000 + $0 }
                change = rules.nextTransition(after: at)
            }
            for _ in 0..<20 { seconds.append(.random(in: -2_500_000_000..<150_000_000_000, using: &generator)) }
            self.seconds = seconds
        }
    }

    @Test("offsets and abbreviations are the same in every zone, 1970 to 2100, at and around every transition")
    func offsets() async throws {
        var generator = TestForm.generator(for: "zone offsets")
        let names = zones.names.filter { (try? zones.rules(for: $0)) != nil }
        try #require(names.count > 300)
        let questions = try names.map { Questions(try zones.rules(for: $0), using: &generator) }
        let answers = try await ZoneOracle.ask(questions)
        var count = 0
        var differences: [String] = []
        for question in questions {
            for seconds in question.seconds {
                let instant = Instant(milliseconds: seconds * 1000)
                let answer = answers[count]
                count += 1
                if question.rules.offsetSeconds(at: instant) == answer.offset,
                    question.rules.abbreviation(at: instant) == answer.abbreviation
                {
                    continue
                }
                differences.append("\(question.rules.name) at \(brief(instant)): expected \(answer)")
            }
        }
        print("zoneinfo: \(count) questions in \(names.count) zones, \(differences.count) differing")
        #expect(differences.isEmpty, "\(differences.count) of \(count), such as \(differences.prefix(10))")
    }
}

enum ZoneOracle {
    struct Answer { let offset: Int, abbreviation: String }

    /// The answers to all questions, in their order.
    static func ask(_ questions: [ZoneOracleTests.Questions]) async throws -> [Answer] {
        var data = Data((questions.map { "\($0.rules.name) \($0.seconds.count)\n" }.joined() + "\n").utf8)
        for seconds in questions.flatMap(\.seconds) {
            withUnsafeBytes(of: seconds.littleEndian) { data.append(contentsOf: $0) }
        }
        let bytes = [UInt8](try await Oracle(script: "zone_offsets.py").answer(to: data))
        let lineEnd = try #require(bytes.firstIndex(of: UInt8(ascii: "\n")))
        let abbreviations = String(decoding: bytes[..<lineEnd], as: UTF8.self).split(separator: " ").map(String.init)
        let count = questions.reduce(0) { $0 + $1.seconds.count }
        try #require(bytes.count == lineEnd + 1 + 8 * count)
        return bytes.withUnsafeBytes { buffer in
            (0..<count).map { index in
                let place = lineEnd + 1 + 8 * index
                let offset = Int32(littleEndian: buffer.loadUnaligned(fromByteOffset: place, as: Int32.self))
                let name = Int32(littleEndian: buffer.loadUnaligned(fromByteOffset: place + 4, as: Int32.self))
                return Answer(offset: Int(offset), abbreviation: abbreviations[Int(name)])
            }
        }
    }
}
