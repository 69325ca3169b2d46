import JSONText
import LocalServers
import SchedulerCore
import ServiceFixture
import TestSupport
import Testing

extension Integration {
    /// The shared system's instance, asked over HTTP by Python's own client.
    @Suite("HTTP, asked by others", .serialized) struct HTTPTests {
        @Test(
            "Commands, tokens, health and events", .timeLimit(.minutes(1)),
            arguments: ["commands", "tokens", "health", "events"])
        func overHTTP(part: String) async throws {
            let system = try await SharedSystem.running
            let fixture = system.fixture
            let address = try #require(HTTPFace.address(of: system.instance))
            let arguments = [part, address, HTTPFace.tokensPath(fixture), await fixture.nats.url]
            try await HTTPFace.run("http_face.py", arguments, fixture)
        }

        @Test("A fuzzer that knows the OpenAPI document finds no fault of the service", .timeLimit(.minutes(20)))
        func fuzzed() async throws {
            let system = try await SharedSystem.running
            let address = try #require(HTTPFace.address(of: system.instance))
            let examples = Filesystem.environment("LONG_TESTS") == nil ? "1" : "100"
            try await HTTPFace.run("fuzz_openapi.py", [address, examples], system.fixture, within: .seconds(1000))
        }
    }
}

/// How the tests' instances are reached over HTTP.
enum HTTPFace {
    static func tokensPath(_ fixture: ServiceFixture) -> String { fixture.folder + "/tokens.yaml" }

    /// Lets an instance serve HTTP, on a free port, for these tokens: `root-token`, `one-token`, `reader-token`.
    static func environment(_ fixture: ServiceFixture) throws -> [String: String] {
        func entry(_ name: String, _ more: String) -> String {
            "  - {name: \(name), sha256: \"\(Digest.hexadecimal(Digest.sha256("\(name)-token".utf8)))\", \(more)}\n"
        }
        let text =
            "tokens:\n" + entry("root", "namespaces: [\"*\"], admin: true") + entry("one", "namespaces: [http]")
            + entry("fuzz", "namespaces: [fuzz]")
            + entry("reader", "namespaces: [http, http-other], read_only: true")
        try Filesystem.write(text, to: tokensPath(fixture))
        return ["API_PORT": "0", "API_TOKENS_FILE": tokensPath(fixture)]
    }

    /// Where an instance says that it serves HTTP; nil where it does not.
    static func address(of instance: ServiceInstance) -> String? {
        let lines = Filesystem.tail(instance.logPath, bytes: 16 << 20).split(separator: "\n")
        return lines.lazy.compactMap { try? JSONValue.parse(String($0))["address"]?.string }.first
    }

    static func run(
        _ script: String, _ arguments: [String], _ fixture: ServiceFixture, within limit: Duration = .seconds(40)
    ) async throws {
        let folder = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
        let log = fixture.folder + "/\(script) \(arguments[0].filter(\.isLetter)).log"
        let process = try ChildProcess([Tool.python, "\(folder)/python/\(script)"] + arguments, logPath: log)
        let hasEnded = await process.waitForEnd(limit)
        #expect(hasEnded && process.hasSucceeded, "\(Filesystem.tail(log))")
    }
}
