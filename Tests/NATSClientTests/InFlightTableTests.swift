import Testing

@testable import NATSClient

@Suite struct InFlightTableTests {
    private let subject: Subject
    init() throws { subject = try Subject("s") }

    private func expectTaken(_ taken: UInt64?, _ expected: UInt64?) { #expect(taken == expected) }

    @Test func aTicketIsGoodOnce() throws {
        var table = InFlightTable(capacity: 2)
        let admitted = table.admit(token: 7, subject: subject, deadline: 1)
        let first = try #require(admitted)
        #expect(InFlightTable.Ticket(rawValue: first.rawValue) == first)
        expectTaken(table.take(first), 7)
        expectTaken(table.take(first), nil)
        let admittedNext = table.admit(token: 8, subject: subject, deadline: 2)
        let second = try #require(admittedNext)
        #expect(second.slot == first.slot)
        expectTaken(table.take(first), nil)
        expectTaken(table.take(second), 8)
        expectTaken(table.take(InFlightTable.Ticket(slot: 99, generation: 0)), nil)
    }

    @Test func expiresInOrderAndOnlyWhatIsDue() {
        var table = InFlightTable(capacity: 10)
        for number in 0..<5 as Range<UInt64> {
            _ = table.admit(token: number, subject: subject, deadline: Int64(number) * 10)
        }
        var expired: [UInt64] = []
        table.takeExpired(20) { expired.append($0) }
        #expect(expired == [0, 1, 2])
        table.takeAll { expired.append($0) }
        #expect(expired == [0, 1, 2, 3, 4])
        #expect(table.count == 0)
    }

    @Test func keepsItsBoundAndMatchesSubjects() throws {
        var table = InFlightTable(capacity: 3)
        let other = try Subject("other")
        for number in 0..<3 as Range<UInt64> {
            _ = table.admit(token: number, subject: number == 1 ? other : subject, deadline: 1)
        }
        let beyond = table.admit(token: 9, subject: subject, deadline: 1)
        #expect(beyond == nil)
        var taken: [UInt64] = []
        table.takeAll(on: subject) { taken.append($0) }
        #expect(taken == [0, 2])
        #expect(table.count == 1)
    }

    /// Against a plain list, with a seeded sequence of operations.
    @Test(arguments: 1...20 as ClosedRange<UInt64>) func agreesWithAList(seed: UInt64) throws {
        var state = seed
        func random(_ bound: UInt64) -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (state >> 33) % bound
        }
        var table = InFlightTable(capacity: 50)
        var model: [(ticket: InFlightTable.Ticket, token: UInt64, deadline: Int64)] = []
        for step in 0..<2000 as Range<UInt64> {
            switch random(4) {
            case 0, 1:
                let ticket = table.admit(token: step, subject: subject, deadline: Int64(step))
                #expect((ticket == nil) == (model.count == 50))
                if let ticket { model.append((ticket, step, Int64(step))) }
            case 2 where !model.isEmpty:
                let at = Int(random(UInt64(model.count)))
                expectTaken(table.take(model[at].ticket), model[at].token)
                model.remove(at: at)
            default:
                let now = Int64(step) - Int64(random(60))
                var expired: [UInt64] = []
                table.takeExpired(now) { expired.append($0) }
                #expect(expired == model.filter { $0.deadline <= now }.map(\.token))
                model.removeAll { $0.deadline <= now }
            }
            #expect(table.count == model.count)
        }
    }

    @Test(arguments: [
        (#"{"stream":"S","seq":5}"#, PublishOutcome.acknowledged(stream: "S", sequence: 5, duplicate: false)),
        (
            #" { "type" : "x", "stream" : "S", "domain":"d", "seq" : 18446744073709551615 , "duplicate" : true } "#,
            .acknowledged(stream: "S", sequence: .max, duplicate: true)
        ),
        (#"{"stream":"S","seq":0}"#, .unconfirmed(stream: "S")),
        (
            #"{"error":{"code":503,"err_code":10077,"description":"a \"b\" \u00e4\n"}}"#,
            .refused(code: 503, errCode: 10_077, description: "a \"b\" ä\n")
        ),
        (#"{"error":{"code":400,"err_code":10054,"description":"x"},"stream":"S","seq":0}"#, .tooLarge),
    ])
    func readsPubAcks(text: String, outcome: PublishOutcome) {
        var reader = PubAckReader()
        #expect(Array(text.utf8).withUnsafeBytes { reader.outcome(of: $0) } == outcome)
    }

    @Test(arguments: [
        "", "{", "{}", "[]", "5", #"{"stream":"S","seq":-1}"#, #"{"stream":"S","seq":"5"}"#, #"{"stream":5,"seq":5}"#,
        #"{"stream":"S","seq":5"#, #"{"stream":"S","seq":18446744073709551616}"#, #"{"stream":"S","seq":5,"x":}"#,
        "{\"a\":" + String(repeating: "[", count: 100_000),
    ])
    func refusesWhatIsNoPubAck(text: String) {
        var reader = PubAckReader()
        let outcome = Array(text.utf8).withUnsafeBytes { reader.outcome(of: $0) }
        guard case .notAPubAck = outcome else {
            Issue.record("\(outcome)")
            return
        }
    }
}
