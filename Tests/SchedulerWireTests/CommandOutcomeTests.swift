import JSONText
import SchedulerWire
import Testing

@Suite("What is told of a submitted command") struct CommandOutcomeTests {
    private func outcome(_ verdict: CommandOutcome.Verdict) throws -> JSONValue {
        let outcome = CommandOutcome(
            noun: "schedule", verb: "pause", subject: "scheduler.submit.a.schedule.pause", sequence: 12,
            verdict: verdict)
        return try JSONValue.parse(outcome.text)
    }

    @Test("A rejection has the error that a request would have had")
    func rejection() throws {
        let error = WireError(.unknownField, "/a: no", details: [WireError.Detail(.root.appending("a"), "no")])
        var writer = JSONWriter()
        error.write(into: &writer)
        let told = try #require(try outcome(.rejected(error))["error"])
        #expect(Array(told.bytes) == writer.bytes)
    }

    @Test("An error that quotes a megabyte still fits an event")
    func long() throws {
        let long = String(repeating: "x", count: 1 << 20)
        let error = WireError(.invalidValue, long, details: [WireError.Detail(.root.appending(long), long)])
        let told = try outcome(.rejected(error))
        #expect(told.bytes.count < 4096)
        #expect(told["error"]?["err_code"]?.int64 == 10426)
        #expect(told["error"]?["details"] == nil)
    }

    @Test("An acceptance says what was done", arguments: CommandOutcome.Effect.allCases)
    func acceptance(effect: CommandOutcome.Effect) throws {
        let told = try outcome(.accepted(effect))
        #expect(told["effect"]?.string == effect.rawValue)
        #expect(told["error"] == nil)
        #expect(told["stream_sequence"]?.int64 == 12)
    }
}
