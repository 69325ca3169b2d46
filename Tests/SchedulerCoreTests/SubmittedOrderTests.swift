import SchedulerCore
import Testing

@Suite("Submitted commands, in their order") struct SubmittedOrderTests {
    @Test("What comes behind the cursor is applied, whatever lies between")
    func gapsInTheStreamAreNone() {
        var order = SubmittedOrder(applied: 4)
        #expect(order.take(5, delivery: 1) == .apply)
        order.settle(5)
        #expect(order.take(9, delivery: 2) == .apply)
        order.settle(9)
        #expect(order.applied == 9)
    }

    @Test("What was applied before is only acknowledged")
    func onceOnly() {
        var order = SubmittedOrder(applied: 4)
        #expect(order.take(3, delivery: 1) == .acknowledge)
        #expect(order.take(4, delivery: 2) == .acknowledge)
        #expect(order.take(5, delivery: 3) == .apply)
        order.settle(5)
        #expect(order.take(5, delivery: 4) == .acknowledge)
    }

    @Test("A delivery that never came lets none behind it overtake")
    func aLostDelivery() {
        var order = SubmittedOrder(applied: 0)
        #expect(order.take(1, delivery: 1) == .apply)
        order.settle(1)
        #expect(order.take(3, delivery: 3) == .beginAnew)
    }

    @Test("What passes by itself is tried for ever, at most two seconds apart")
    func passing() {
        let pauses = (1...20).map { SubmittedRetry.decide(.passing, tries: $0) }
        #expect(pauses.first == .after(50))
        #expect(pauses.last == .after(2000))
        #expect(SubmittedRetry.decide(.passing, tries: 1_000_000) == .after(2000))
    }

    @Test("A fault has five tries, further and further apart")
    func fault() {
        let decisions = (1...5).map { SubmittedRetry.decide(.fault, tries: $0) }
        #expect(decisions == [.after(100), .after(400), .after(1600), .after(2000), .giveUp])
    }
}
