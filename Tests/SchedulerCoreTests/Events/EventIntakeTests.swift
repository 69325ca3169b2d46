import Recurrence
import SchedulerCore
import Testing

@Suite("What becomes of messages that are heard") struct EventIntakeTests {
    private func timing(_ change: (inout EventRule) -> Void = { _ in }) -> Timing {
        var timing = Timing(type: .event)
        change(&timing.event)
        return timing
    }

    private func messages(_ times: [Double], from sequence: Int64? = nil) -> [HeardMessage] {
        times.enumerated().map { index, time in
            HeardMessage(
                at: at(time), sequence: sequence.map { $0 + Int64(index) }, ordinal: Int64(index) + 1, content: nil)
        }
    }

    private func state(last: Int64 = 0, from: Double = 0, allowed: Double? = nil) -> EventState {
        EventState(generation: 1, lastSequence: last, listenFrom: at(from), allowedAt: allowed.map(at))
    }

    private func take(
        _ messages: [HeardMessage], _ timing: Timing, _ state: EventState, known: Set<Int> = [], room: Int = 100,
        burst: EventIntake.Burst? = nil, now: Double = 10
    ) -> EventIntake {
        EventIntake(
            messages, timing, state, isKnown: { known.contains($0) }, room: room, burst: burst, now: at(now))
    }

    @Test("Each message waits for its delay") func delays() {
        let intake = take(messages([10, 11]), timing { $0.delayMilliseconds = 5000 }, state())
        #expect(intake.additions.map { seconds($0.dueAt) } == [15, 16])
        #expect(intake.additions.map(\.count) == [1, 1])
    }

    @Test("A burst is one fire, for its last message, once it is quiet; it goes on where it was left") func debounces()
    {
        let rule = timing {
            $0.debounceMilliseconds = 3000
            $0.delayMilliseconds = 1000
        }
        let intake = take(
            messages([10, 11, 11.5]), rule, state(), burst: EventIntake.Burst(lastAt: at(8), count: 4))
        #expect(intake.continuesBurst)
        #expect(intake.additions.map { seconds($0.dueAt) } == [15.5])
        #expect(intake.additions.map(\.count) == [7])
        #expect(intake.additions.map { seconds($0.message.at) } == [11.5])
    }

    @Test("A burst that was quiet for its time is over, though it has not fired: what comes then is another one")
    func endsBursts() {
        let rule = timing {
            $0.debounceMilliseconds = 3000
            $0.delayMilliseconds = 60_000
        }
        let quiet = EventIntake.Burst(lastAt: at(7), count: 4)
        let next = take(messages([10]), rule, state(), burst: quiet)
        #expect(!next.continuesBurst && next.additions.map { seconds($0.dueAt) } == [73])
        #expect(next.additions.map(\.count) == [1])
        #expect(take(messages([9.999]), rule, state(), burst: quiet).continuesBurst)
        // After an outage a stream's messages come at once: their times say which belong together.
        let late = take(
            messages([9, 11, 20, 22, 30], from: 1), rule, state(), burst: quiet, now: 500)
        #expect(late.continuesBurst && late.additions.map(\.count) == [6, 2, 1])
        #expect(late.additions.map { seconds($0.message.at) } == [11, 22, 30])
        #expect(late.additions.map { seconds($0.dueAt) } == [74, 85, 93])
    }

    @Test("Two that hear a burst at once have not quite the same clock: its end is the later one's") func skewed() {
        let rule = timing { $0.debounceMilliseconds = 3000 }
        let intake = take(messages([9.9]), rule, state(), burst: EventIntake.Burst(lastAt: at(10), count: 1))
        #expect(intake.continuesBurst && intake.additions.map { seconds($0.dueAt) } == [13])
        #expect(intake.additions.map(\.count) == [2])
    }

    @Test("Bursts that find no room are dropped, and those that wait are kept") func boundsBursts() {
        let rule = timing { $0.debounceMilliseconds = 1000 }
        let intake = take(messages([10, 20, 30, 30.5]), rule, state(), room: 2)
        #expect(intake.additions.map { seconds($0.message.at) } == [10, 20] && intake.dropped == 2)
    }

    @Test("A message of a burst that comes again does not begin another one") func debouncesOnce() {
        let intake = take(messages([10, 11], from: 4), timing { $0.debounceMilliseconds = 3000 }, state(last: 5))
        #expect(intake.additions.isEmpty && intake.state.lastSequence == 5)
    }

    @Test("What is known does not wait again; what was lost on its way is taken though later ones were")
    func redelivers() {
        let intake = take(messages([10, 11, 12], from: 4), timing(), state(last: 5), known: [1])
        #expect(intake.additions.map { $0.message.sequence } == [4, 6])
        #expect(intake.state.lastSequence == 6)
    }

    @Test("A rate lays fires apart, and no backlog comes at once") func spaces() {
        let rule = timing { $0.maxRatePerSecond = 4 }
        let intake = take(messages([1, 2, 3]), rule, state(), now: 10)
        #expect(intake.additions.map { seconds($0.dueAt) } == [10, 10.25, 10.5])
        let next = take(messages([10.1]), rule, intake.state, now: 10.1)
        #expect(next.additions.map { seconds($0.dueAt) } == [10.75])
        let later = take(messages([20]), rule, next.state, now: 20)
        #expect(later.additions.map { seconds($0.dueAt) } == [20])
    }

    @Test("What lies before the schedule, its start, or a pause, or after its end, is passed over") func bounds() {
        var rule = timing()
        rule.startAt = at(12)
        rule.endAt = at(14)
        let intake = take(messages([9, 11, 12, 14, 15], from: 1), rule, state(from: 10))
        #expect(intake.additions.map { seconds($0.message.at) } == [12, 14])
        #expect(intake.state.lastSequence == 5)
        #expect(take(messages([9, 11], from: 1), timing(), state(from: 10)).additions.count == 1)
    }

    @Test("What finds no room is dropped, and counted") func bounded() {
        let intake = take(messages([10, 11, 12]), timing(), state(), room: 2)
        #expect(intake.additions.count == 2 && intake.dropped == 1)
    }
}
