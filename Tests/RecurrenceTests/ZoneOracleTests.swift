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
        let answers = try await ZoneOracle(asking: questions)
        for (question, changes) in zip(questions, answers.changes) {
            // What is asked is not ours alone to choose: a transition that only zoneinfo knows is missing here.
            #expect(Set(question.seconds).isSuperset(of: changes), "\(question.rules.name) lacks a transition")
        }
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

/// What Python's zoneinfo says of some zones.
struct ZoneOracle {
    /// Abbreviations by their place, which the answers hold.
    private let abbreviations: [String]
    private let answers: [Int32]
    /// For each zone the seconds since 1970 at which its offset changes; two changes within ten days may be missing.
    let changes: [[Int64]]

    init(asking questions: [ZoneOracleTests.Questions]) async throws {
        var data = Data((questions.map { "\($0.rules.name) \($0.seconds.count)\n" }.joined() + "\n").utf8)
        for seconds in questions.flatMap(\.seconds) {
            withUnsafeBytes(of: seconds.littleEndian) { data.append(contentsOf: $0) }
        }
        let output = try await Oracle(script: "zone_offsets.py").answer(to: data)
        let lines = output.split(separator: UInt8(ascii: "\n"), maxSplits: 2, omittingEmptySubsequences: false)
        try #require(lines.count == 3)
        abbreviations = String(decoding: lines[0], as: UTF8.self).split(separator: " ").map(String.init)
        let counts = String(decoding: lines[1], as: UTF8.self).split(separator: " ").compactMap { Int($0) }
        let bytes = [UInt8](lines[2])
        let count = questions.reduce(0) { $0 + $1.seconds.count }
        try #require(counts.count == questions.count && bytes.count == 8 * (count + counts.reduce(0, +)))
        answers = ZoneOracle.numbers(bytes[..<(8 * count)])
        var rest = ZoneOracle.numbers(bytes[(8 * count)...], as: Int64.self)[...]
        changes = counts.map { count in
            defer { rest = rest.dropFirst(count) }
            return Array(rest.prefix(count))
        }
    }

    /// The answer to one of all questions, in their order.
    subscript(index: Int) -> (offset: Int, abbreviation: String) {
        (Int(answers[2 * index]), abbreviations[Int(answers[2 * index + 1])])
    }

    private static func numbers<Number: FixedWidthInteger & BitwiseCopyable>(
        _ bytes: ArraySlice<UInt8>, as type: Number.Type = Number.self
    ) -> [Number] {
        bytes.withUnsafeBytes { buffer in
            stride(from: 0, to: buffer.count, by: MemoryLayout<Number>.size).map {
                Number(littleEndian: buffer.loadUnaligned(fromByteOffset: $0, as: Number.self))
            }
        }
    }
}
