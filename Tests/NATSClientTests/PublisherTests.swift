import Glibc
import NATSClient
import Testing

@Suite(.serialized, .timeLimit(.minutes(1))) struct PublisherTests {
    static let stream = #"{"name":"S","subjects":["s.>"],"storage":"file","max_msg_size":2000}"#

    private struct Rig {
        let server: TestServer
        let connection: NATSConnection
        let publisher: JetStreamPublisher
        let resolved = Recorder<PublishResolution>()

        init(
            server: TestServer, user: Bool = false, timeout: Duration = .seconds(5), maxInFlight: Int = 100_000
        ) async throws {
            self.server = server
            connection = try await server.connect { configuration in
                if user { configuration.authentication = .user("u", password: "p") }
            }
            let resolved = resolved
            publisher = try JetStreamPublisher(connection, timeout: timeout, maxInFlight: maxInFlight) {
                resolved.record(contentsOf: $0)
            }
        }

        func publish(_ token: UInt64, _ subject: String, id: String? = nil, bytes: Int = 10) throws {
            var headers = NATSHeaders()
            if let id { try headers.append(.messageID, id) }
            try headers.append("X-Test", "value")
            let payload = [UInt8](repeating: 0x78, count: bytes)
            try publisher.publish(
                token: token, OutgoingMessage(subject: Subject(subject), headers: headers, payload: payload))
        }
    }

    @Test func acknowledgesEachOnceInAnyNumber() async throws {
        let rig = try await Rig(server: TestServer())
        defer { rig.server.kill() }
        try await JetStreamAPI(rig.connection).createStream("S", configuration: Self.stream)
        for number in 0..<20_000 { try rig.publish(UInt64(number), "s.\(number % 7)") }
        #expect(await rig.resolved.wait(count: 20_000))
        let all = rig.resolved.all
        #expect(Set(all.map(\.token)).count == 20_000)
        #expect(all.count == 20_000)
        var sequences = Set<UInt64>()
        for resolution in all {
            guard case .acknowledged("S", let sequence, false) = resolution.outcome else {
                Issue.record("\(resolution)")
                continue
            }
            sequences.insert(sequence)
        }
        #expect(sequences == Set(1...20_000))
        #expect(rig.publisher.inFlight == 0)
        await rig.connection.close()
    }

    @Test func tellsDuplicatesRefusalsAndMissingStreams() async throws {
        let rig = try await Rig(server: TestServer())
        defer { rig.server.kill() }
        try await JetStreamAPI(rig.connection).createStream("S", configuration: Self.stream)
        try rig.publish(1, "s.a", id: "one")
        try rig.publish(2, "s.a", id: "one")
        try rig.publish(3, "nowhere")
        try rig.publish(4, "s.big", bytes: 3000)
        #expect(await rig.resolved.wait(count: 4))
        let byToken = Dictionary(uniqueKeysWithValues: rig.resolved.all.map { ($0.token, $0.outcome) })
        #expect(byToken[1] == .acknowledged(stream: "S", sequence: 1, duplicate: false))
        #expect(byToken[2] == .acknowledged(stream: "S", sequence: 1, duplicate: true))
        #expect(byToken[3] == .noResponders)
        #expect(byToken[4] == .tooLarge)
        let code = await errorCode { try rig.publish(5, "s.a", bytes: 2_000_000) }
        #expect(code == .payloadTooLarge)
        #expect(rig.publisher.inFlight == 0)
        await rig.connection.close()
    }

    /// On servers up to 2.11.10 a header that contains the key, in front of it, hides it. Ours stands first.
    @Test func aShadowingHeaderDoesNotSwitchDeduplicationOff() async throws {
        let rig = try await Rig(server: TestServer())
        defer { rig.server.kill() }
        try await JetStreamAPI(rig.connection).createStream("S", configuration: Self.stream)
        for token in 1...2 as ClosedRange<UInt64> {
            var headers = NATSHeaders()
            try headers.append(.messageID, "same")
            for number in 0..<20 { try headers.append(HeaderName("X\(number)-Nats-Msg-Id"), "Nats-Msg-Id: other") }
            try rig.publisher.publish(
                token: token, OutgoingMessage(subject: Subject("s.a"), headers: headers, payload: []))
        }
        #expect(await rig.resolved.wait(count: 2))
        #expect(rig.resolved.all.last?.outcome == .acknowledged(stream: "S", sequence: 1, duplicate: true))
        await rig.connection.close()
    }

    @Test func answersThatAreNoPubAckAreTold() async throws {
        let rig = try await Rig(server: TestServer())
        defer { rig.server.kill() }
        let answers = ["hello", #"{"stream":"S"}"#, #"{"stream":"S","seq":0,"duplicate":true}"#]
        let connection = rig.connection
        let responder = try connection.subscribe(SubjectFilter("plain.*")) { message in
            let index = Int(message.subject.last ?? 0) - 0x30
            guard let reply = try? Subject(String(decoding: message.reply, as: UTF8.self)) else { return }
            _ = try? connection.publish(reply, payload: Array(answers[index].utf8))
        }
        for number in 0..<3 { try rig.publish(UInt64(number), "plain.\(number)") }
        #expect(await rig.resolved.wait(count: 3))
        let outcomes = rig.resolved.all.sorted { $0.token < $1.token }.map(\.outcome)
        #expect(
            outcomes == [
                .notAPubAck(Array(answers[0].utf8)), .notAPubAck(Array(answers[1].utf8)), .unconfirmed(stream: "S"),
            ])
        responder.cancel()
        await rig.connection.close()
    }

    @Test func timesOutOnceAndIgnoresLateAnswers() async throws {
        let rig = try await Rig(server: TestServer(), timeout: .milliseconds(200))
        defer { rig.server.kill() }
        let connection = rig.connection
        let asked = Recorder<String>()
        let silent = try connection.subscribe(SubjectFilter("silent")) {
            asked.record(String(decoding: $0.reply, as: UTF8.self))
        }
        let start = MonotonicClock.now()
        try rig.publish(1, "silent")
        #expect(await rig.resolved.wait(count: 1))
        #expect((200...600).contains((MonotonicClock.now() - start) / 1_000_000))
        #expect(rig.resolved.all == [PublishResolution(token: 1, outcome: .timedOut)])
        let reply = try Subject(#require(asked.all.first))
        try rig.publish(2, "silent")
        try connection.publish(reply, payload: Array(#"{"stream":"S","seq":9}"#.utf8))
        #expect(await rig.resolved.wait(count: 2))
        #expect(rig.resolved.all.last == PublishResolution(token: 2, outcome: .timedOut))
        silent.cancel()
        await connection.close()
    }

    @Test func boundsWhatIsInFlight() async throws {
        let rig = try await Rig(server: TestServer(), maxInFlight: 3)
        defer { rig.server.kill() }
        let silent = try rig.connection.subscribe(SubjectFilter("silent")) { _ in }
        for number in 0..<3 { try rig.publish(UInt64(number), "silent") }
        #expect(await errorCode { try rig.publish(3, "silent") } == .tooManyInFlight)
        rig.publisher.cancelAll()
        #expect(rig.resolved.all.map(\.token) == [0, 1, 2])
        try rig.publish(4, "silent")
        rig.publisher.shutdown()
        #expect(rig.resolved.all.map(\.token) == [0, 1, 2, 4])
        #expect(await errorCode { try rig.publish(5, "silent") } == .closed)
        silent.cancel()
        await rig.connection.close()
    }

    @Test func forbiddenSubjectsAreResolvedAsSuch() async throws {
        let server = try TestServer(
            extra: #"""
                authorization { users: [{user: u, password: p, permissions: {publish: {deny: ["secret.>"]}}}] }
                """#)
        let rig = try await Rig(server: server, user: true)
        defer { rig.server.kill() }
        try await JetStreamAPI(rig.connection).createStream("S", configuration: Self.stream)
        try rig.publish(1, "secret.x")
        try rig.publish(2, "s.ok")
        #expect(await rig.resolved.wait(count: 2))
        let byToken = Dictionary(uniqueKeysWithValues: rig.resolved.all.map { ($0.token, $0.outcome) })
        #expect(byToken[1] == .notPermitted)
        #expect(byToken[2] == .acknowledged(stream: "S", sequence: 1, duplicate: false))
        await rig.connection.close()
    }

    /// The server is killed and started again while 50,000 publishes are under way: each one either throws, and was
    /// not sent, or is resolved exactly once; every acknowledged one is in the stream.
    @Test func resolvesExactlyOnceAcrossKills() async throws {
        let rig = try await Rig(server: TestServer(), timeout: .seconds(3))
        defer { rig.server.kill() }
        let jetstream = JetStreamAPI(rig.connection)
        try await jetstream.createStream("S", configuration: Self.stream)
        let (rejected, handed) = try await Task.onOwnThread {
            var rejected = 0
            var handed = Set<UInt64>()
            for number in 0..<50_000 as Range<UInt64> {
                if number % 20_000 == 10_000 {
                    rig.server.kill()
                    try rig.server.start()
                }
                do throws(NATSError) {
                    try rig.publisher.publish(
                        token: number, OutgoingMessage(subject: Subject("s.a"), payload: [1, 2, 3]))
                    handed.insert(number)
                } catch {
                    #expect(error.isCertainlyNotSent)
                    rejected += 1
                    usleep(50)
                }
            }
            return (rejected, handed)
        }
        #expect(await rig.resolved.wait(count: handed.count))
        #expect(rejected > 0)
        let all = rig.resolved.all
        #expect(all.count == handed.count)
        #expect(Set(all.map(\.token)) == handed)
        let acknowledged = all.count { if case .acknowledged = $0.outcome { true } else { false } }
        let unknown = all.count { $0.outcome.isUnknown }
        let stored = try #require(try await jetstream.streamInfo("S")).messages
        #expect(acknowledged <= Int(stored) && Int(stored) <= acknowledged + unknown)
        #expect(rig.publisher.inFlight == 0)
        await rig.connection.close()
    }

    @Test func aStoppedServerResolvesWithinTheTimeout() async throws {
        let rig = try await Rig(server: TestServer(), timeout: .seconds(1))
        defer { rig.server.kill() }
        rig.server.signal(SIGSTOP)
        for number in 0..<100 { try rig.publish(UInt64(number), "s.a") }
        #expect(await rig.resolved.wait(count: 100, within: .seconds(3)))
        #expect(rig.resolved.all.allSatisfy { $0.outcome.isUnknown })
        rig.server.signal(SIGCONT)
        await rig.connection.close()
    }
}

extension Task where Success == Never, Failure == Never {
    /// Runs blocking test code on a thread of its own.
    static func onOwnThread<Value: Sendable>(
        _ body: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            startThread { continuation.resume(with: Result(catching: body)) }
        }
    }
}

private final class ThreadBody: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}

private func startThread(_ run: @escaping @Sendable () -> Void) {
    var thread = pthread_t()
    let body = Unmanaged.passRetained(ThreadBody(run)).toOpaque()
    pthread_create(
        &thread, nil,
        { argument in
            guard let argument else { return nil }
            Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue().run()
            return nil
        }, body)
    pthread_detach(thread)
}
