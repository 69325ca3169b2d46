import LocalServers
import NATSClient
import TestSupport
import Testing

/// Hostile subjects, replies and headers against a real server: whatever is let through is one message, the one that was
/// meant; whatever would be another order on the wire is refused before a byte of it is sent.
@Suite(.serialized, .timeLimit(.minutes(5))) struct WireFuzzTests {
    private struct Sent: Equatable, Sendable {
        var subject: String
        var reply: String?
        var headers: [String]
        var payload: [UInt8]
    }

    private static let pieces = [
        "a", "B", "7", "-", "_", ".", "..", "*", ">", " ", "\t", "\r", "\n", "\r\n", "\r\nPUB x 0\r\n\r\n",
        "\r\nSUB > 1\r\n",
        "\u{0}", "\u{7F}", "ä", "\u{0430}", "\u{200B}", "\u{FEFF}", "😀", ":", ": ", "Nats-Rollup: all", "NATS/1.0",
        "$JS",
        "$", "_INBOX", "=", "/", "\\", "\"", "'", "{}", String(repeating: "long", count: 64),
    ]

    private static func text(_ random: inout some RandomNumberGenerator) -> String {
        (0..<Int.random(in: 0...5, using: &random)).map { _ in
            // As a rule plain, so that much is let through.
            pieces[Int.random(in: 0..<(Int.random(in: 0..<8, using: &random) > 0 ? 5 : pieces.count), using: &random)]
        }.joined()
    }

    /// Nil where any part is refused.
    private static func make(_ random: inout some RandomNumberGenerator) -> (Sent, Subject, Subject?, NATSHeaders)? {
        let subject = "f." + text(&random)
        let reply = Bool.random(using: &random) ? "r." + text(&random) : nil
        var headers = NATSHeaders()
        var lines: [String] = []
        for index in 0..<Int.random(in: 0...3, using: &random) {
            // Never empty: libnats' reader, which is the observer here, takes the next line for the value of such a one.
            let (name, value) = ("H\(index)" + text(&random), "v" + text(&random))
            guard let checked = try? HeaderName(name), (try? headers.append(checked, value)) != nil else { return nil }
            lines.append(line(name, value))
        }
        guard let checked = try? Subject(subject) else { return nil }
        let target = reply.map { try? Subject($0) }
        if case .some(.none) = target { return nil }
        let payload = Array(text(&random).utf8)
        let sent = Sent(subject: subject, reply: reply, headers: lines.sorted(), payload: payload)
        return (sent, checked, target ?? nil, headers)
    }

    /// libnats gives headers in an order of its own, and values without the blanks around them.
    private static func line(_ name: String, _ value: String) -> String {
        let isBlank: (Character) -> Bool = { $0 == " " || $0 == "\t" }
        let text = value.drop(while: isBlank)
        return name + "=" + String(text.reversed().drop(while: isBlank).reversed())
    }

    @Test func eachIsOneMessageOrNone() async throws {
        let server = try await NATSServer.running()
        defer { withExtendedLifetime(server) {} }
        let sender = try await server.connect()
        let listener = try await server.connect()
        let messages = try listener.subscribe(SubjectFilter(">"), capacity: 1024)
        var heard = messages.makeAsyncIterator()
        try await listener.flush()
        var random = TestForm.generator(for: "wire")
        let rounds = TestForm.count(200, long: 10_000)
        var (accepted, refused) = (0, 0)
        for _ in 0..<rounds {
            var sent: [Sent] = []
            let epoch = sender.epoch
            for _ in 0..<100 {
                guard let (message, subject, reply, headers) = Self.make(&random) else {
                    refused += 1
                    continue
                }
                try sender.publish(subject, reply: reply, headers: headers, payload: message.payload)
                sent.append(message)
            }
            try sender.publish(Subject("end"), payload: [])
            try await sender.flush(since: epoch)
            var got: [Sent] = []
            while let message = await heard.next(), message.subject != "end" {
                let lines = message.headers.map { Self.line($0.name, $0.value) }.sorted()
                got.append(
                    Sent(subject: message.subject, reply: message.reply, headers: lines, payload: message.payload))
            }
            let difference = zip(got, sent).first { $0 != $1 }
            guard got == sent else {
                Issue.record("\(sent.count) sent, \(got.count) came; \(String(describing: difference))")
                break
            }
            accepted += sent.count
        }
        // Both happen often.
        #expect(accepted > rounds * 10 && refused > rounds * 10, "\(accepted) sent, \(refused) refused")
        #expect(sender.counters.disconnects == 0)
        messages.cancel()
        for connection in [sender, listener] { await connection.close() }
    }
}
