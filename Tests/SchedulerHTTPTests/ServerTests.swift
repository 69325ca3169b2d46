import JSONText
import LocalServers
import Logging
import SchedulerWire
import ServiceLifecycle
import TestSupport
import Testing

@testable import SchedulerHTTP

/// The server on a real socket, before commands that do nothing, with limits so short that a test can wait for them.
@Suite("HTTP under hostile clients") struct ServerTests {
    private static var backend: HTTPBackend {
        HTTPBackend(
            command: { command in
                if command.page.verb == "pause" {
                    var failure = WireError(.rateLimited, "slowly")
                    failure.retryAfterSeconds = 1.2
                    var writer = JSONWriter()
                    Envelope(noun: command.page.noun, verb: command.page.verb).failure(failure, into: &writer)
                    return HTTPBackend.Answer(body: writer.bytes, failure: failure)
                }
                // What came is told back.
                return HTTPBackend.Answer(
                    body: command.body.isEmpty ? Array("{}".utf8) : command.body, failure: nil)
            },
            mostBytes: { 1 << 20 }, faults: { ["the lease is lost"] }, health: { (Array("{}".utf8), true) },
            metrics: { [UInt8](repeating: UInt8(ascii: "#"), count: 32 << 20) },
            events: { query in
                guard query.schedule == nil else { throw WireError(.natsUnavailable, "NATS does not answer") }
                return { deliver in
                    let beginning = query.after ?? 0
                    if query.event == "dead" {
                        while true {
                            try await deliver(.tick)
                            try await Task.sleep(for: .milliseconds(10))
                        }
                    }
                    let body = [UInt8](repeating: UInt8(ascii: "1"), count: 100_000)
                    for sequence in (beginning + 1)... { try await deliver(.event(sequence: sequence, body: body)) }
                }
            })
    }

    @Test("Slow, endless, malformed and many: each ends by itself, and nobody else notices", .timeLimit(.minutes(1)))
    func hostileClients() async throws {
        var settings = HTTPService.Settings(host: "127.0.0.1", port: 0, version: "1", instance: "one")
        settings.limits.request = .milliseconds(300)
        settings.limits.write = .milliseconds(300)
        settings.limits.lingering = .milliseconds(200)
        settings.limits.keepAlive = .milliseconds(200)
        settings.limits.followers = 3
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let service = HTTPService(settings, backend: Self.backend, tokens: TokenBoard(), logger: logger)
        let group = ServiceGroup(configuration: .init(services: [service], logger: logger))
        async let running: Void = group.run()
        let isUp = await waitUntil(.seconds(10)) { service.port != nil }
        #expect(isUp)
        let folder = try Filesystem.makeTemporaryFolder()
        defer { Filesystem.remove(folder) }
        let script =
            #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast()
            .joined(separator: "/") + "/python/hostile.py"
        let result: Result<Void, any Error>
        do {
            try await Tool.run(Tool.python, [script, "\(service.port ?? 0)"], in: folder)
            result = .success(())
        } catch {
            result = .failure(error)
        }
        await group.triggerGracefulShutdown()
        try await running
        try result.get()
    }

    @Test("A port that is taken ends the start in one line", .timeLimit(.minutes(1)))
    func takenPort() async throws {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let settings = HTTPService.Settings(host: "127.0.0.1", port: 0, version: "1", instance: "one")
        let first = HTTPService(settings, backend: Self.backend, tokens: TokenBoard(), logger: logger)
        let group = ServiceGroup(configuration: .init(services: [first], logger: logger))
        async let running: Void = group.run()
        let isUp = await waitUntil(.seconds(10)) { first.port != nil }
        #expect(isUp)
        var taken = settings
        taken.port = first.port ?? 0
        let second = HTTPService(taken, backend: Self.backend, tokens: TokenBoard(), logger: logger)
        let fault = await #expect(throws: HTTPFault.self) { try await second.run() }
        #expect(
            fault?.description
                == "API_PORT: 127.0.0.1:\(taken.port) is taken by another process: choose another port")
        await group.triggerGracefulShutdown()
        try await running
    }
}
