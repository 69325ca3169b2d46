import Testing

@testable import SpanExport

/// Where spans go, as OpenTelemetry's variables say it.
@Suite struct CollectorEndpointTests {
    @Test(arguments: [
        ("http://127.0.0.1:4318", "127.0.0.1", 4318, "/v1/traces"), ("http://otel:4318/", "otel", 4318, "/v1/traces"),
        ("HTTP://otel/in/", "otel", 80, "/in/v1/traces"), ("http://[::1]:4318", "::1", 4318, "/v1/traces"),
        ("http://[::1]", "::1", 80, "/v1/traces"),
    ]) func aCommonEndpointGetsThePathOfTraces(text: String, host: String, port: Int, path: String) throws {
        let endpoint = try CollectorEndpoint(text, suffix: "v1/traces")
        #expect(endpoint.host == host && endpoint.port == port && endpoint.path == path)
    }

    @Test(arguments: [
        ("http://otel:1", "/"), ("http://otel:1/a/b", "/a/b"), ("http://otel:1/a?k=v", "/a?k=v"),
        ("http://otel:1?k=v", "/?k=v"),
    ]) func oneForTracesIsTakenAsItStands(text: String, path: String) throws {
        #expect(try CollectorEndpoint(text).path == path)
    }

    @Test(arguments: [
        "https://otel:4318", "otel:4318", "grpc://otel:4317", "http://", "http://:4318", "http://otel:0",
        "http://otel:65536", "http://otel:x", "http://otel:", "http://user:s3cret@otel:4318", "http://otel:1 /",
        "http://otel:1/#x", "http://[::1:4318", "http://otel:1?x=1",
    ]) func anythingElseIsRefusedWithoutAWordOfIt(text: String) {
        let problem = #expect(throws: CollectorEndpoint.Problem.self) {
            try CollectorEndpoint(text, suffix: "v1/traces")
        }
        #expect(problem?.expected.contains("s3cret") == false)
    }

    @Test func headersAreReadAsTheyAreEncoded() throws {
        let headers = try CollectorHeaders.read("Authorization=Basic%20dTpw, x-team = a=b ,x-e=")
        #expect(headers.map(\.name) == ["authorization", "x-team", "x-e"])
        #expect(headers.map(\.value) == ["Basic dTpw", "a=b", ""])
    }

    @Test(arguments: [
        "s3cret", "a b=s3cret", "=s3cret", "host=s3cret", "Content-Length=s3cret", "x=s3cret%0d%0ay", "x=%zs3cret",
    ])
    func wrongHeadersAreRefusedWithoutAWordOfThem(text: String) {
        let problem = #expect(throws: CollectorEndpoint.Problem.self) { try CollectorHeaders.read(text) }
        #expect(problem?.expected.contains("s3cret") == false)
    }
}
