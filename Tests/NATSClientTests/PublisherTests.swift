import Glibc
import LocalServers
import NATSClient
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(1))) struct PublisherTests {
    static let stream = #"{"name":"S","subjects":["s.>"],"storage":"file","max_msg_size":2000}"#

    private struct Rig {
        let server: NATSServer
        let connection: NATSConnection
        let publisher: JetStreamPublisher
        let resolved = Recorder<PublishResolution>()

        init(
            server: NATSServer, user: Bool = false, timeout: Duration = .seconds(5), maxInFlight: Int = 100_000
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

        /// Publishes one message for each number. - Returns: those that were taken.
        func publishEach(of numbers: Range<UInt64>) throws -> Set<UInt64> {
            var handed = Set<UInt64>()
            for number in numbers {
                do throws(NATSError) {
                    let message = OutgoingMessage(subject: try Subject("s.a"), payload: [1, 2, 3])
                    try publisher.publish(token: number, message)
                    handed.insert(number)
                } catch {
                    #expect(error.isCertainlyNotSent)
                    usleep(50)
                }
            }
            return handed
        }
    }

    @Test func acknowledgesEachOnceInAnyNumber() async throws {
        let rig = try await Rig(server: NATSServer.running())
        defer { withExtendedLifetime(rig) {} }
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
        let rig = try await Rig(server: NATSServer.running())
        defer { withExtendedLifetime(rig) {} }
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
        let rig = try await Rig(server: NATSServer.running())
        defer { withExtendedLifetime(rig) {} }
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
        let rig = try await Rig(server: NATSServer.running())
        defer { withExtendedLifetime(rig) {} }
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
        let rig = try await Rig(server: NATSServer.running(), timeout: .milliseconds(200))
        defer { withExtendedLifetime(rig) {} }
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
        let rig = try await Rig(server: NATSServer.running(), maxInFlight: 3)
        defer { withExtendedLifetime(rig) {} }
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
        let server = try await NATSServer.running(
            configuration: #"""
                authorization { users: [{user: u, password: p, permissions: {publish: {deny: ["secret.>"]}}}] }
                """#)
        let rig = try await Rig(server: server, user: true)
        defer { withExtendedLifetime(rig) {} }
        try await JetStreamAPI(rig.connection).createStream("S", configuration: Self.stream)
        try rig.publish(1, "secret.x")
        try rig.publish(2, "s.ok")
        #expect(await rig.resolved.wait(count: 2))
        let byToken = Dictionary(uniqueKeysWithValues: rig.resolved.all.map { ($0.token, $0.outcome) })
        #expect(byToken[1] == .notPermitted)
        #expect(byToken[2] == .acknowledged(stream: "S", sequence: 1, duplicate: false))
        await rig.connection.close()
    }

    /// The server is killed and started again, thrice, while 50,000 publishes are under way: each one either throws,
    /// and was not sent, or is resolved exactly once; every acknowledged one is in the stream.
    @Test func resolvesExactlyOnceAcrossKills() async throws {
        let rig = try await Rig(server: NATSServer.running(), timeout: .seconds(3))
        defer { withExtendedLifetime(rig) {} }
        let jetstream = JetStreamAPI(rig.connection)
        try await jetstream.createStream("S", configuration: Self.stream)
        var rejected = 0
        var handed = Set<UInt64>()
        var restart: Task<Void, any Error>?
        for numbers in [0..<10_000, 10_000..<30_000, 30_000..<50_000] as [Range<UInt64>] {
            let taken = try await Task.onOwnThread { try rig.publishEach(of: numbers) }
            rejected += numbers.count - taken.count
            handed.formUnion(taken)
            try await restart?.value
            await rig.server.kill()
            restart = Task { try await rig.server.start() }
        }
        try await restart?.value
        #expect(await rig.connection.settled { $0.isConnected })
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
        let rig = try await Rig(server: NATSServer.running(), timeout: .seconds(1))
        defer { withExtendedLifetime(rig) {} }
        await rig.server.pause()
        for number in 0..<100 { try rig.publish(UInt64(number), "s.a") }
        #expect(await rig.resolved.wait(count: 100))
        #expect(rig.resolved.all.allSatisfy { $0.outcome.isUnknown })
        await rig.server.resume()
        await rig.connection.close()
    }
}
