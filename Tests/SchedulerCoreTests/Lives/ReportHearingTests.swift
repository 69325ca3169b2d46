import Recurrence
import SchedulerCore
import Testing

@Suite("Who judges workers has heard them") struct ReportHearingTests {
    private func at(_ milliseconds: Int64) -> Instant { Instant(milliseconds: 1_800_000_000_000 + milliseconds) }

    @Test("Nobody is judged before reports are taken, nor right after; signs of life have their time-out anew")
    func begins() {
        var hearing = ReportHearing()
        hearing.answered(at: at(0))
        #expect(!hearing.judges(at: at(100_000)) && hearing.missesHeartbeats(of: 10) == nil)
        hearing.began(at: at(1000))
        #expect(!hearing.judges(at: at(5999)) && hearing.judges(at: at(6000)))
        #expect(hearing.missesHeartbeats(of: 30_000) == at(31_000))
    }

    @Test("A break begins it anew, and so does a stream that did not answer")
    func breaks() {
        var hearing = ReportHearing()
        hearing.began(at: at(0))
        hearing.answered(at: at(50))
        #expect(hearing.since == at(0))
        hearing.unanswered()
        #expect(!hearing.judges(at: at(10_000)) && hearing.isTaking)
        hearing.answered(at: at(10_000))
        #expect(!hearing.judges(at: at(14_999)) && hearing.judges(at: at(15_000)))
        hearing.ended()
        hearing.answered(at: at(20_000))
        #expect(!hearing.judges(at: at(90_000)) && !hearing.isTaking)
        hearing.began(at: at(90_000))
        #expect(hearing.since == at(90_000))
    }

    @Test("With nothing waiting, all is written that was said until now, whatever else the stream holds")
    func empty() {
        var watermark = ReportWatermark()
        #expect(watermark.through == nil)
        watermark.look(at: at(0), last: 900, eldest: nil)
        #expect(watermark.through == at(0))
        // A report came after the stream was asked for its end.
        watermark.look(at: at(10), last: 900, eldest: 901)
        #expect(watermark.through == at(10))
    }

    @Test("What waits holds it until it is settled; a steady flow moves it on")
    func flows() {
        var watermark = ReportWatermark()
        watermark.look(at: at(0), last: 10, eldest: 3)
        watermark.look(at: at(250), last: 20, eldest: 10)
        #expect(watermark.through == nil)
        watermark.look(at: at(500), last: 30, eldest: 11)
        #expect(watermark.through == at(0))
        watermark.look(at: at(750), last: 40, eldest: 31)
        #expect(watermark.through == at(500))
        for turn in Int64(4)...9 {
            watermark.look(at: at(turn * 250), last: UInt64(turn * 10 + 10), eldest: UInt64(turn * 10 + 1))
            #expect(watermark.through == at((turn - 1) * 250))
        }
    }

    @Test("A stream that was made anew counts from one again")
    func madeAnew() {
        var watermark = ReportWatermark()
        watermark.look(at: at(0), last: 1000, eldest: 990)
        watermark.look(at: at(250), last: 5, eldest: 2)
        watermark.look(at: at(500), last: 9, eldest: 6)
        #expect(watermark.through == at(250))
    }
}
