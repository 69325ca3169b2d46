import JSONText
import SchedulerWire
import Testing

@Suite("The registry of errors and the replies that carry them")
struct ErrorRegistryTests {
    /// Released numbers. A line may be added, none may change: programs branch on them.
    @Test(arguments: [
        (10400, 400, "bad_json"), (10404, 404, "unknown_command"), (10413, 413, "request_too_large"),
        (10422, 422, "invalid_request"), (10423, 422, "unknown_field"), (20404, 404, "schedule_not_found"),
        (20405, 404, "execution_not_found"), (20409, 409, "name_taken"), (20410, 409, "version_mismatch"),
        (20411, 409, "request_id_reused"), (20422, 422, "history_not_kept"), (30403, 403, "target_not_allowed"),
        (40403, 403, "schedule_limit"), (40429, 429, "rate_limited"), (50500, 500, "internal_error"),
        (50503, 503, "not_ready"), (50504, 504, "timed_out"), (50505, 503, "database_unavailable"),
    ])
    func keepsNumbers(_ errCode: Int, status: Int, name: String) throws {
        let code = try #require(ErrorCode(rawValue: errCode))
        #expect((code.httpStatus, code.name) == (status, name))
    }

    @Test("Each code has an area, an HTTP class and a meaning of its own")
    func isWellFormed() {
        for code in ErrorCode.allCases {
            #expect([10, 20, 30, 40, 50].contains(code.errCode / 1000))
            #expect(400..<600 ~= code.httpStatus)
            #expect(code.name.utf8.allSatisfy { 0x61...0x7A ~= $0 || $0 == 0x5F }, "\(code.name)")
        }
        // A case that the table forgot falls into its area's default and repeats that one's meaning.
        #expect(Set(ErrorCode.allCases.map(\.meaning)).count == ErrorCode.allCases.count)
        #expect(Set(ErrorCode.allCases.map(\.name)).count == ErrorCode.allCases.count)
    }

    @Test("Replies have the contract's shape")
    func writesReplies() {
        let pointer = JSONPointer.root.appending("cron_expression")
        let error = WireError(.scheduleNotFound, "no \"x\"", details: [.init(pointer, "is not there")])
        var writer = JSONWriter()
        Envelope(noun: "schedule", verb: "get").failure(error, into: &writer)
        #expect(
            writer.text == """
                {"type":"io.carillon.v1.schedule_get_response","error":{"code":404,"err_code":20404,\
                "description":"no \\"x\\"","details":[{"pointer":"/cron_expression","message":"is not there"}]}}
                """)
        writer.reset()
        Envelope(noun: "schedule", verb: "list").success(into: &writer) { writer in
            writer.array("schedules") { _ in }
            writer.member("next_cursor", "abc")
        }
        #expect(writer.text == #"{"type":"io.carillon.v1.schedule_list_response","schedules":[],"next_cursor":"abc"}"#)
    }

    @Test("A refusal that passes says when to ask again")
    func writesRetryAfter() {
        var error = WireError(.rateLimited, "too much")
        error.retryAfterSeconds = 0.25
        var writer = JSONWriter()
        Envelope(noun: "schedule", verb: "get").failure(error, into: &writer)
        #expect(
            writer.text == """
                {"type":"io.carillon.v1.schedule_get_response","error":{"code":429,"err_code":40429,\
                "description":"too much","retry_after_seconds":0.25}}
                """)
    }

    @Test("Several problems share their code where they have one")
    func joinsProblems() throws {
        let name = JSONPointer.root.appending("name")
        let unknown = WireError.Problem(.unknownField, name, "expected no such field")
        let wrong = WireError.Problem(.wrongType, name, "expected a string, got a number")
        #expect(WireError([]) == nil)
        let one = try #require(WireError([unknown]))
        #expect((one.code, one.description) == (.unknownField, "/name: expected no such field"))
        #expect(WireError([wrong, wrong])?.code == .wrongType)
        let mixed = try #require(WireError([unknown, wrong]))
        #expect((mixed.code, mixed.details.count) == (.invalidRequest, 2))
        #expect(mixed.description == "/name: expected no such field (and 1 more, see details)")
    }

    @Test("A reply lists a hundred problems and counts the rest")
    func boundsDetails() throws {
        let problems = (0..<250).map { WireError.Problem(.unknownField, JSONPointer.root.appending($0), "no") }
        var writer = JSONWriter()
        Envelope(noun: "schedule", verb: "create").failure(try #require(WireError(problems)), into: &writer)
        let details = try #require(try JSONValue.parse(writer.bytes)["error"]?["details"])
        #expect(details.count == 101)
        #expect(details[try #require(JSONPointer("/100/message"))]?.string == "and 150 more problems")
    }

    @Test(arguments: [
        ("{", ErrorCode.badJSON), (#"{"a":1,"a":2}"#, .badJSON), ("\"\u{1}\"", .badJSON),
        (String(repeating: "[", count: 40), .tooDeep), (String(repeating: " ", count: 200), .requestTooLarge),
    ])
    func classifiesUnreadableBodies(_ body: String, code: ErrorCode) throws {
        let error = #expect(throws: JSONError.self) {
            try JSONValue.parse(body, limits: JSONLimits(maxBytes: 100))
        }
        let wire = WireError(try #require(error))
        #expect((wire.code, wire.details.count) == (code, 1))
    }

    @Test("A requester's text in a header cannot begin a new header")
    func sanitisesHeaders() {
        let error = WireError(.invalidValue, "bad\r\nNats-Msg-Id: x é\u{7F}" + String(repeating: "y", count: 500))
        let headers = Envelope.headers(error)
        #expect(headers.map(\.name) == ["Nats-Service-Error", "Nats-Service-Error-Code"])
        // "\r\n" is one character in Swift and two scalars: two spaces.
        #expect(headers[0].value.hasPrefix("bad  Nats-Msg-Id: x ? yyy"))
        #expect(headers[0].value.utf8.count == 256)
        #expect(headers[1].value == "422")
    }
}
