import SchedulerCore
import SchedulerWire
import Testing

@Suite("A worker's reply as an outcome") struct WorkerReplyTests {
    private func succeeded(_ body: [UInt8]?) -> String? {
        guard case .succeeded(let result) = WorkerReply.answer(nil, body: body) else { return "no success" }
        return result.map { String(decoding: $0, as: UTF8.self) }
    }

    private func failure(_ words: String, _ code: String? = nil, _ body: String = "") throws -> AttemptFailure {
        let answer = WorkerReply.answer(.init(words: words, code: code), body: Array(body.utf8))
        guard case .failed(let failure) = answer else {
            Issue.record("\(answer)")
            return AttemptFailure(reason: "")
        }
        return failure
    }

    @Test(
        "Without the headers it is a success, and the body what came of it",
        arguments: [
            ("", nil), (#"{"invoice": 7}"#, #"{"invoice": 7}"#), (" [1, 2]\n", "[1, 2]"), ("null", "null"),
            // What is no JSON is kept as a text.
            ("OK", #""OK""#), ("say \"hi\"", #""say \"hi\"""#), ("\u{0}", #""\u0000""#),
            // A body that says it failed, and a header that does not: the headers decide.
            (#"{"error":"no","fatal":true}"#, #"{"error":"no","fatal":true}"#),
        ] as [(String, String?)])
    func success(body: String, result: String?) { #expect(succeeded(Array(body.utf8)) == result) }

    @Test("More than 4 KiB, or no text, is not kept; it is a success all the same")
    func unkept() {
        let longest = "\"" + String(repeating: "x", count: 4094) + "\""
        #expect(succeeded(Array(longest.utf8)) == longest)
        #expect(succeeded(Array((longest + " ").utf8)) == nil)
        // 4,096 bytes as they came, more as a JSON string.
        #expect(succeeded([UInt8](repeating: 0x22, count: 4096)) == nil)
        #expect(succeeded([0xFF, 0xFE]) == nil)
        #expect(succeeded(nil) == nil)
    }

    @Test("Either header says that it failed; its words are the reason, else the body's error")
    func reasons() throws {
        #expect(try failure("no funds").reason == "no funds")
        #expect(try failure("no funds", "402", #"{"error":"other"}"#).reason == "no funds (402)")
        #expect(try failure("", "500", #"{"error":"disk full"}"#).reason == "disk full (500)")
        #expect(try failure("", "500", "not json").reason == "the worker answered an error (500)")
        #expect(try failure("", nil, #"{"error":{"code":1}}"#).reason == "the worker answered an error")
        #expect(try failure("a\u{0}b\nc").reason == "a b c")
        #expect(try failure(String(repeating: "x", count: 5000), "500").reason.count == 1024)
    }

    @Test(
        "A failure may say that no attempt can help, or when to try again; what cannot be read says neither",
        arguments: [
            ("", false, nil), (#"{"fatal":true}"#, true, nil), (#"{"fatal":"yes"}"#, false, nil),
            (#"{"retry_after_seconds":1.5}"#, false, 1500), (#"{"retry_after_seconds":0,"fatal":false}"#, false, 0),
            (#"{"retry_after_seconds":-1}"#, false, nil), (#"{"retry_after_seconds":1e300}"#, false, nil),
            (#"{"retry_after_seconds":"5"}"#, false, nil), (#"{"fatal":true"#, false, nil), ("[true]", false, nil),
        ] as [(String, Bool, Int64?)])
    func retries(body: String, isFatal: Bool, retryAfter: Int64?) throws {
        let failure = try failure("no", nil, body)
        #expect(failure.isFatal == isFatal)
        #expect(failure.retryAfter == retryAfter)
    }
}
