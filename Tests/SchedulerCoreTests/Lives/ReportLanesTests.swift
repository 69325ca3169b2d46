import SchedulerCore
import TestSupport
import Testing

@Suite("Reports are taken in turn") struct ReportLanesTests {
    private typealias Lanes = ReportLanes<String>

    private func id(_ number: UInt64) -> ExecutionID { ExecutionID(UUIDValue(high: 1, low: number)) }

    private func taken(_ lanes: inout Lanes, _ most: Int) -> [String] { lanes.take(atMost: most) }

    @Test("Who reports in a loop has its share, and what is left over; the order of one execution is kept")
    func shares() {
        var lanes = Lanes(mostSigns: 10)
        for turn in 0..<100 { lanes.add("loop\(turn)", of: "a", on: id(1)) }
        lanes.add("other", of: "a", on: id(2))
        lanes.add("b", of: "b", on: id(3))
        #expect(taken(&lanes, 6) == ["loop0", "b", "other", "loop1", "loop2", "loop3"])
        lanes.add("c", of: "c", on: id(4))
        #expect(taken(&lanes, 2) == ["loop4", "c"])
        #expect(taken(&lanes, 1000) == (5..<100).map { "loop\($0)" })
        #expect(lanes.isEmpty && taken(&lanes, 5).isEmpty)
    }

    @Test("A namespace of thousands of executions is no other's matter")
    func namespaces() {
        var lanes = Lanes(mostSigns: 10)
        for number in 0..<5000 { lanes.add("many", of: "a", on: id(UInt64(number))) }
        lanes.add("one", of: "b", on: id(9000))
        lanes.add("unread", of: "", on: nil)
        let taken = lanes.take(atMost: 6)
        #expect(taken.count { $0 == "many" } == 4 && Set(taken) == ["many", "one", "unread"])
    }

    @Test("Signs of life on one attempt are one, the newest, at the place of the first; of others they are others")
    func signs() {
        var lanes = Lanes(mostSigns: 100, mostAttempts: 3)
        for turn in 0..<50 { lanes.add("beat\(turn)", of: "a", on: id(1), sign: [1]) }
        lanes.add("end", of: "a", on: id(1))
        lanes.add("beat50", of: "a", on: id(1), sign: [1])
        lanes.add("deposed", of: "a", on: id(1), sign: [2])
        lanes.add("deposed too", of: "a", on: id(1), sign: [3])
        let isTaken = lanes.add("and another", of: "a", on: id(1), sign: [4])
        #expect(!isTaken)
        #expect(lanes.signs == 3)
        #expect(taken(&lanes, 10) == ["beat50", "end", "deposed", "deposed too"])
        #expect(lanes.signs == 0)
    }

    @Test("Where signs of life find no room, who has most loses one; what a stream keeps is never refused")
    func bounds() {
        var lanes = Lanes(mostSigns: 10)
        for number in 0..<20 { lanes.add("flood", of: "a", on: id(UInt64(number)), sign: [1]) }
        #expect(lanes.signs == 10)
        for number in 0..<20 { lanes.add("quiet", of: "b", on: id(UInt64(100 + number)), sign: [1]) }
        #expect(lanes.signs == 10)
        let kept = lanes.add("kept", of: "a", on: id(1))
        #expect(kept)
        let taken = lanes.take(atMost: 100)
        #expect(taken.count { $0 == "flood" } == 5 && taken.count { $0 == "quiet" } == 5 && taken.count == 11)
    }

    @Test("Whatever comes and goes, nothing that is kept gets lost, and the counts are right")
    func property() {
        var random = TestForm.generator(for: "report lanes")
        var lanes = ReportLanes<(execution: UInt64, number: Int)>(mostSigns: 8, mostAttempts: 2)
        var added: [UInt64: [Int]] = [:]
        var taken: [UInt64: [Int]] = [:]
        for number in 0..<4000 {
            let execution = UInt64.random(in: 0..<12, using: &random)
            if Int.random(in: 0..<3, using: &random) == 0 {
                let sign = UInt8.random(in: 0..<4, using: &random)
                lanes.add((execution, -1), of: "n\(execution % 4)", on: id(execution), sign: [sign])
            } else {
                lanes.add((execution, number), of: "n\(execution % 4)", on: id(execution))
                added[execution, default: []].append(number)
            }
            #expect(lanes.signs <= 8)
            if number % 40 == 0 {
                for report in lanes.take(atMost: 35) where report.number >= 0 {
                    taken[report.execution, default: []].append(report.number)
                }
            }
        }
        for report in lanes.take(atMost: .max) where report.number >= 0 {
            taken[report.execution, default: []].append(report.number)
        }
        #expect(taken == added && lanes.isEmpty && lanes.signs == 0)
    }
}
