import Glibc
import Recurrence
import TestSupport
import Testing
import ZoneData

@Suite("The parser on whatever comes", .timeLimit(.minutes(10)))
struct ParserFuzzTests {
    @Test("no text crashes it or takes over 10 ms; errors point into the text; what is read can be asked")
    func fuzz() throws {
        var texts = FuzzTexts(generator: TestForm.generator(for: "fuzz"))
        let zone = try zones.rules(for: "America/New_York")
        let now = try instant("2026-11-21T07:40:00Z")
        var slowest: (nanoseconds: Int, text: String) = (0, "")
        var read = 0
        for round in 0..<TestForm.count(20_000, long: 1_000_000) {
            let text = texts.next()
            let begin = threadNanoseconds()
            let result = Result { () throws(CronError) in try CronExpression(parsing: text, hash: 7) }
            var nanoseconds = threadNanoseconds() - begin
            switch result {
            case .failure(let error):
                try #require((0...text.utf8.count).contains(error.offset), "\(text.debugDescription): \(error)")
                try #require(error.description.hasSuffix("."), "\(text.debugDescription): \(error)")
            case .success(let expression):
                read += 1
                try #require(text.utf8.count <= CronExpression.maximumLength)
                guard round % 8 == 0 else { break }
                let policy = DSTPolicy.allCases[round / 8 % 4]
                let recurrence = Recurrence(expression, zone: zone, policy: policy, anchor: now)
                let begin = threadNanoseconds()
                let next = recurrence.next(after: now)
                nanoseconds = max(nanoseconds, threadNanoseconds() - begin)
                try #require(next ?? .latest > now, "\(text.debugDescription)")
            }
            if nanoseconds > slowest.nanoseconds { slowest = (nanoseconds, text) }
        }
        print("fuzz: \(read) were expressions; the slowest took \(slowest.nanoseconds / 1000) µs")
        let name = "\(slowest.text.prefix(300).debugDescription); TEST_SEED=\(TestForm.seed)"
        #expect(slowest.nanoseconds < 10_000_000, "\(name)")
        #expect(read > 500, "too few expressions to prove anything")
    }

    /// The processor time of this thread: what else runs on the machine does not count.
    private func threadNanoseconds() -> Int {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return time.tv_sec * 1_000_000_000 + time.tv_nsec
    }
}

/// Texts from nearly right to anything at all.
struct FuzzTexts {
    var generator: SeededGenerator

    private static let tokens = [
        "*", "?", "H", "h", "L", "W", "LW", "L-3", "15W", "MON", "fri", "JAN", "dec", "SUN#2", "FRI#L", "5L", "+", "#",
        "-", "/", ",", "(", ")", "H(0-29)/10", "0", "1", "7", "31", "59", "60", "1970", "2199", "99999999999999999999",
        "-1", " ", "  ", "\t", "@", "@daily", "@every", "1h30m", "TZ=", "CRON_TZ=UTC", "UTC", "0-59/15", "*/2", "é",
        "\0",
        "\u{FEFF}", "\u{202E}", "٣", "💥",
    ]

    mutating func next() -> String {
        switch Int.random(in: 0..<10, using: &generator) {
        case 0: return bytes(Int.random(in: 0...300, using: &generator), of: 0...255)
        case 1: return bytes(Int.random(in: 0...60, using: &generator), of: 32...126)
        case 2: return soup(Int.random(in: 1...12, using: &generator), separator: "")
        case 3: return soup(Int.random(in: 5...7, using: &generator), separator: " ")
        case 4: return long()
        default: return mutated(RandomCron(.whole, using: &generator).text)
        }
    }

    /// Bytes that are mostly no UTF-8 are repaired as they are read, as at any edge of the program.
    private mutating func bytes(_ count: Int, of range: ClosedRange<UInt8>) -> String {
        String(decoding: (0..<count).map { _ in UInt8.random(in: range, using: &generator) }, as: UTF8.self)
    }

    private mutating func soup(_ count: Int, separator: String) -> String {
        (0..<count).map { _ in FuzzTexts.tokens.randomElement(using: &generator) ?? "" }.joined(separator: separator)
    }

    /// Around the limit of 256 bytes and 64 items, and seldom far beyond.
    private mutating func long() -> String {
        let count = Int.random(in: 0..<40, using: &generator) == 0 ? 20_000 : Int.random(in: 20...90, using: &generator)
        let token = FuzzTexts.tokens.randomElement(using: &generator) ?? ""
        let separator = [",", "", " ", "-", "/"].randomElement(using: &generator) ?? ","
        return Array(repeating: token, count: count).joined(separator: separator) + " * * * *"
    }

    private mutating func mutated(_ text: String) -> String {
        var bytes = Array(text.utf8)
        for _ in 0..<Int.random(in: 0...4, using: &generator) {
            let place = Int.random(in: 0...bytes.count, using: &generator)
            switch Int.random(in: 0..<5, using: &generator) {
            case 0 where place < bytes.count: bytes.remove(at: place)
            case 1 where place < bytes.count: bytes[place] = UInt8.random(in: 0...255, using: &generator)
            case 2: bytes.insert(UInt8.random(in: 32...126, using: &generator), at: place)
            case 3: bytes.insert(contentsOf: bytes.prefix(place), at: place)
            default:
                bytes.insert(contentsOf: (FuzzTexts.tokens.randomElement(using: &generator) ?? "").utf8, at: place)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
