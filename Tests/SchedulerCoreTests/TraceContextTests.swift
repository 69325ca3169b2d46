import SchedulerCore
import Testing

/// `traceparent` and `tracestate` as W3C Trace Context says.
@Suite struct TraceContextTests {
    private static let trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    private static let span = "00f067aa0ba902b7"

    @Test(arguments: [
        ("00-\(trace)-\(span)-01", "00-\(trace)-\(span)-01"),
        ("00-\(trace)-\(span)-00", "00-\(trace)-\(span)-00"),
        ("00-\(trace)-\(span)-ff", "00-\(trace)-\(span)-ff"),
        // A later version: what is known of it counts.
        ("cc-\(trace)-\(span)-03", "00-\(trace)-\(span)-01"),
        ("cc-\(trace)-\(span)-00-what-comes", "00-\(trace)-\(span)-00"),
    ]) func whatTheGrammarAllowsIsRead(text: String, expected: String) {
        #expect(TraceContext(traceparents: [text], tracestates: [])?.traceparent == expected)
    }

    @Test(arguments: [
        "", "00", "00-\(trace)-\(span)", "00-\(trace)-\(span)-1", "00-\(trace)-\(span)-01-", "00-\(trace)-\(span)-01-x",
        "ff-\(trace)-\(span)-01", "00-\(String(repeating: "0", count: 32))-\(span)-01",
        "00-\(trace)-\(String(repeating: "0", count: 16))-01", "00-\(trace.uppercased())-\(span)-01",
        "00-\(trace)-\(span.uppercased())-01", "00-\(trace)-\(span)-0G", "00_\(trace)-\(span)-01",
        "0X-\(trace)-\(span)-01", "cc-\(trace)-\(span)-01.x", " 00-\(trace)-\(span)-01", "00-\(trace)é-\(span)-01",
        "00-\(trace.dropLast())-\(span)-01-",
    ]) func whatItDoesNotIsNone(text: String) {
        #expect(TraceContext(traceparents: [text], tracestates: ["a=1"]) == nil)
    }

    @Test func twoParentsAreNone() {
        let one = "00-\(Self.trace)-\(Self.span)-01"
        #expect(TraceContext(traceparents: [], tracestates: ["a=1"]) == nil)
        #expect(TraceContext(traceparents: [one, one], tracestates: []) == nil)
    }

    private func state(_ values: [String]) -> String? {
        TraceContext(traceparents: ["00-\(Self.trace)-\(Self.span)-01"], tracestates: values)?.state
    }

    @Test(arguments: [
        (["rojo=00f067aa0ba902b7"], "rojo=00f067aa0ba902b7"),
        (["a=1, b=2 ,,\tc=3"], "a=1,b=2,c=3"),
        (["a=1", "b=2"], "a=1,b=2"),
        (["1tenant@system=v al"], "1tenant@system=v al"),
        (["a_-*/9=!~"], "a_-*/9=!~"),
    ]) func aStateIsOneList(values: [String], expected: String) {
        #expect(state(values) == expected)
    }

    @Test(arguments: [
        "", ",", "a", "a=", "=1", "A=1", "1a=1", "a=1,a=2", "a=b=c", "a=\u{7F}", "a=é", "a@b@c=1", "a@1b=1", "@b=1",
        "a@=1",
        "a b=1", "a=\(String(repeating: "x", count: 257))", "a@\(String(repeating: "s", count: 15))=1",
        (0..<33).map { "k\($0)=1" }.joined(separator: ","),
        (0..<8).map { "k\($0)=\(String(repeating: "v", count: 80))" }
            .joined(separator: ","),
    ]) func aStateThatCannotBeReadIsDroppedAndTheTraceIsKept(value: String) {
        #expect(state([value]) == nil)
        #expect(TraceContext(traceparents: ["00-\(Self.trace)-\(Self.span)-01"], tracestates: [value]) != nil)
    }

    @Test func itIsStoredAsOneTextAndReadBack() throws {
        for states in [[], ["a=1,b=x y"]] {
            let context = try #require(
                TraceContext(traceparents: ["00-\(Self.trace)-\(Self.span)-01"], tracestates: states))
            #expect(TraceContext(text: context.text) == context)
        }
        #expect(TraceContext(text: "nonsense") == nil)
    }

    @Test func anAttemptIsASpanOfTheCommandsTraceOrOfItsOwn() throws {
        let context = try #require(
            TraceContext(traceparents: ["00-\(Self.trace)-\(Self.span)-00"], tracestates: ["a=1"]))
        let id = try #require(ExecutionID(text: "01a1fd73-4b71-8e15-b464-f0143fffdf21"))
        let first = id.trace(within: context, attempt: 1)
        #expect(first.traceparent == "00-\(Self.trace)-b464f0143fffdf20-00" && first.state == "a=1")
        #expect(id.trace(within: context, attempt: 2).spanID == "b464f0143fffdf23")
        let own = id.trace(within: nil, attempt: 1)
        #expect(own.traceparent == "00-01a1fd734b718e15b464f0143fffdf21-b464f0143fffdf20-01" && own.state == nil)
    }
}
