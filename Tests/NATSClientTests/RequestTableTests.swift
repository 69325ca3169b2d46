import Testing

@testable import NATSClient

@Suite struct RequestTableTests {
    private let subject: Subject
    init() throws { subject = try Subject("s") }

    private func entry(
        _ token: UInt64, _ deadline: Int64, road: RequestPublisher.Road = .prompt, outlasts: Bool = false
    ) -> RequestTable.Entry {
        RequestTable.Entry(
            token: token, subject: subject, deadline: deadline, road: road, outlastsBreaks: outlasts)
    }

    /// Against a plain list, with a seeded sequence of operations: deadlines of any order, numbers used again.
    @Test(arguments: 1...10 as ClosedRange<UInt64>) func agreesWithAList(seed: UInt64) {
        var state = seed
        func random(_ bound: UInt64) -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (state >> 33) % bound
        }
        var table = RequestTable()
        var model: [UInt64: (token: UInt64, deadline: Int64, road: RequestPublisher.Road)] = [:]
        for step in 0..<6000 as Range<UInt64> {
            let key = random(200)
            switch random(8) {
            case 0...4:
                let deadline = Int64(step) + Int64(random(5000))
                let road = random(2) == 0 ? RequestPublisher.Road.prompt : .gathered
                let earlier = table.admit(key, entry(step, deadline, road: road))
                #expect(earlier == model[key]?.token)
                model[key] = (step, deadline, road)
            case 5, 6:
                let taken = table.take(key)
                #expect(taken == model.removeValue(forKey: key)?.token)
            default:
                let isBreak = random(50) == 0
                let now = Int64(step) + Int64(random(20))
                let taken =
                    isBreak ? table.takeAll { $0.road == .gathered } : table.takeExpired(now)
                let expected = model.filter { isBreak ? $0.value.road == .gathered : $0.value.deadline <= now }
                #expect(Set(taken) == Set(expected.values.map(\.token)) && taken.count == expected.count)
                for key in expected.keys { model[key] = nil }
            }
            #expect(table.count == model.count)
        }
    }

    @Test func expiresTheEarliestFirst() {
        var table = RequestTable()
        for (key, deadline) in [(1, 30), (2, 10), (3, 20), (4, 40)] as [(UInt64, Int64)] {
            _ = table.admit(key, entry(key, deadline))
        }
        let expired = table.takeExpired(30)
        #expect(expired == [2, 3, 1])
        #expect(table.count == 1)
    }

    @Test(arguments: [
        (#"{"stream":"S","seq":5}"#, true), (#"{"type":"x","stream":"S","domain":"d","seq":5,"duplicate":true}"#, true),
        (#"{"error":{"code":503,"err_code":10077,"description":"full"},"stream":"S","seq":0}"#, true),
        ("", false), ("OK", false), ("{}", false), (#"{"stream":"S"}"#, false), (#"{"seq":5}"#, false),
        // A worker's own JSON may have a stream and a number too.
        (#"{"stream":"video","seq":5,"took_ms":7}"#, false), (#"{"stream":"video","seq":"5"}"#, false),
        (#"[{"stream":"S","seq":5}]"#, false), (#"{"error":{"code":400}}"#, false),
    ])
    func tellsAcknowledgementsFromReplies(text: String, isPubAck: Bool) {
        #expect(Array(text.utf8).withUnsafeBytes { PubAckReader.isPubAck($0) } == isPubAck)
    }
}
