import NATSClient
import Testing

@Suite struct SubjectTests {
    @Test(arguments: ["a", "a.b", "orders.v1.created", "$JS.API.INFO", "_INBOX.x", "A-b_c.9:~"])
    func acceptsPublishSubjects(text: String) throws {
        #expect(try Subject(text).description == text)
    }

    @Test(arguments: [
        "", ".", "a.", ".a", "a..b", "a b", "a\tb", "a\r\nPUB x 0\r\n", "a\u{0}b", "a.*", "a.>", "a*b", "a>", "ä",
        "a\u{7F}", String(repeating: "x", count: 1001),
    ])
    func refusesForPublishing(text: String) {
        #expect(throws: NATSError.self) { try Subject(text) }
    }

    @Test(arguments: ["*", ">", "a.*", "a.*.b", "a.>", "a.*.>"])
    func acceptsFilters(text: String) throws {
        #expect(try SubjectFilter(text).description == text)
    }

    @Test(arguments: ["a*", "a.>b", ">.a", "a.>.b", "a.**", "a b.>", "*a", "a.>>"])
    func refusesFilters(text: String) {
        #expect(throws: NATSError.self) { try SubjectFilter(text) }
    }

    @Test(arguments: ["", "A B", "A:", "1A", "A\r\nNats-Rollup", "Ä", "-a", String(repeating: "a", count: 129)])
    func refusesHeaderNames(text: String) {
        #expect(throws: NATSError.self) { try HeaderName(text) }
    }

    @Test(arguments: ["a\rb", "a\nb", "a\u{0}b", "\r\nNats-Rollup: all"])
    func refusesHeaderValues(text: String) {
        var headers = NATSHeaders()
        #expect(throws: NATSError.self) { try headers.append("A", text) }
        #expect(headers.isEmpty)
    }

    @Test func controlHeadersComeFirst() throws {
        var headers = NATSHeaders()
        try headers.append(.messageID, "1")
        try headers.append("X-Nats-Msg-Id", "2")
        #expect(throws: NATSError.self) { try headers.append(.expectedStream, "S") }
        #expect(throws: NATSError.self) { try headers.append("nats-rollup", "all") }
        #expect(headers.description == "Nats-Msg-Id: 1\r\nX-Nats-Msg-Id: 2")
    }

    @Test func encodedLengthIsWhatTheServerCounts() throws {
        var headers = NATSHeaders()
        #expect(headers.encodedLength == 0)
        try headers.append("A", "b")
        #expect(headers.encodedLength == "NATS/1.0\r\nA: b\r\n\r\n".utf8.count)
        try headers.append("C", "d")
        #expect(headers.encodedLength == "NATS/1.0\r\nA: b\r\nC: d\r\n\r\n".utf8.count)
    }

    @Test func secretsStayOutOfDescriptions() {
        var configuration = NATSConfiguration(servers: ["nats://me:hunter2@host:4222"], name: "n")
        configuration.authentication = .token("tok-secret")
        #expect(!configuration.description.contains("hunter2"))
        #expect(!configuration.description.contains("tok-secret"))
        #expect(configuration.description.contains("nats://host:4222"))
    }
}
