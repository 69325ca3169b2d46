import Glibc
import LocalServers
import NATSClient
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(1))) struct RequestPublisherTests {
    private struct Rig {
        let server: NATSServer
        let asking: NATSConnection
        let gathering: NATSConnection
        let worker: NATSConnection
        let publisher: RequestPublisher
        let resolved = Recorder<RequestResolution>()

        init(server: NATSServer, port: UInt16? = nil) async throws {
            self.server = server
            let url = port.map { "nats://127.0.0.1:\($0)" }
            asking = try await server.connect { configuration in
                configuration.sendAsap = true
                if let url { configuration.servers = [url] }
            }
            gathering = try await server.connect()
            worker = try await server.connect { $0.sendAsap = true }
            let resolved = resolved
            publisher = try RequestPublisher(prompt: asking, gathered: gathering) { resolved.record(contentsOf: $0) }
        }

        func ask(
            _ token: UInt64, _ subject: String, key: UInt64? = nil, by road: RequestPublisher.Road = .prompt,
            timeout: Duration = .seconds(5), outlasts: Bool = false
        ) throws {
            try publisher.request(
                token: token, key: key ?? token, OutgoingMessage(subject: Subject(subject), payload: [1]), by: road,
                timeout: timeout, outlastsBreaks: outlasts)
        }

        /// Answers what comes on a subject with what `body` says; nil for silence.
        func work(
            on subject: String, _ answer: @escaping @Sendable (String) -> (NATSHeaders, [UInt8])?
        ) async throws -> NATSCallbackSubscription {
            let worker = worker
            let subscription = try worker.subscribe(SubjectFilter(subject)) { message in
                guard let reply = try? Subject(String(decoding: message.reply, as: UTF8.self)),
                    let (headers, body) = answer(String(decoding: message.subject, as: UTF8.self))
                else { return }
                _ = try? worker.publish(reply, headers: headers, payload: body)
            }
            try await worker.flush()
            return subscription
        }

        func close() async {
            for connection in [asking, gathering, worker] { await connection.close() }
        }

        var outcomes: [UInt64: RequestOutcome] {
            Dictionary(resolved.all.map { ($0.token, $0.outcome) }, uniquingKeysWith: { first, _ in first })
        }
    }

    @Test func answersEachOnceByEitherWay() async throws {
        let rig = try await Rig(server: NATSServer.running())
        defer { withExtendedLifetime(rig) {} }
        let working = try await rig.work(on: "work.*") { (.none, Array($0.utf8)) }
        for number in 0..<4000 as Range<UInt64> {
            try rig.ask(number, "work.\(number)", by: number % 2 == 0 ? .prompt : .gathered)
        }
        #expect(await rig.resolved.wait(count: 4000))
        let outcomes = rig.outcomes
        #expect(outcomes.count == 4000 && rig.resolved.all.count == 4000)
        for number in 0..<4000 as Range<UInt64> {
            #expect(outcomes[number] == .answered(RequestReply(body: Array("work.\(number)".utf8))))
        }
        #expect(rig.publisher.inFlight == 0)
        working.cancel()
        await rig.close()
    }

    @Test func tellsErrorsStreamsNobodyAndLongReplies() async throws {
        let rig = try await Rig(server: NATSServer.running())
        defer { withExtendedLifetime(rig) {} }
        try await JetStreamAPI(rig.worker).createStream(
            "S", configuration: #"{"name":"S","subjects":["stored"],"storage":"file"}"#)
        let working = try await rig.work(on: "work.*") { subject in
            var headers = NATSHeaders()
            switch subject {
            case "work.error":
                try? headers.append("Nats-Service-Error", "no funds")
                try? headers.append("Nats-Service-Error-Code", "402")
            // Some other client's spelling, and only the code.
            case "work.code": try? headers.append("nats-service-error-code", "500")
            default: break
            }
            return (headers, [UInt8](repeating: 0x78, count: subject == "work.long" ? 65_537 : 1))
        }
        for road in RequestPublisher.Road.allCases {
            let first: UInt64 = road == .prompt ? 0 : 10
            let subjects = ["work.error", "work.code", "work.long", "stored", "nowhere"]
            for (number, subject) in subjects.enumerated() {
                try rig.ask(first + UInt64(number), subject, by: road)
            }
        }
        #expect(await rig.resolved.wait(count: 10))
        let outcomes = rig.outcomes
        for first in [0, 10] as [UInt64] {
            let code = RequestReply(serviceError: "", serviceErrorCode: "500", body: [0x78])
            #expect(
                outcomes[first]
                    == .answered(RequestReply(serviceError: "no funds", serviceErrorCode: "402", body: [0x78])))
            #expect(outcomes[first + 1] == .answered(code))
            #expect(outcomes[first + 2] == .answered(RequestReply(body: nil)))
            guard case .answered(let stored) = outcomes[first + 3] else {
                Issue.record("\(outcomes)")
                continue
            }
            #expect(stored.isPubAck)
            #expect(outcomes[first + 4] == .noResponders)
        }
        working.cancel()
        await rig.close()
    }

    @Test func eachHasItsOwnTimeout() async throws {
        let rig = try await Rig(server: NATSServer.running())
        defer { withExtendedLifetime(rig) {} }
        let silent = try await rig.work(on: "silent") { _ in nil }
        try rig.ask(1, "silent", timeout: .seconds(30))
        try rig.ask(2, "silent", timeout: .milliseconds(300))
        try rig.ask(3, "silent", timeout: .milliseconds(100))
        #expect(await rig.resolved.wait(count: 2))
        #expect(rig.resolved.all.map(\.token) == [3, 2])
        #expect(rig.resolved.all.allSatisfy { $0.outcome == .timedOut })
        #expect(rig.publisher.inFlight == 1)
        rig.publisher.shutdown()
        #expect(rig.resolved.all.last == RequestResolution(token: 1, outcome: .connectionLost))
        #expect(await errorCode { try rig.ask(4, "silent") } == .closed)
        silent.cancel()
        await rig.close()
    }

    /// One that asks again under the same number is answered by the first reply, whichever copy it is to; whoever knows
    /// the inbox and not the number answers nobody.
    @Test func aLateReplyToTheFirstCopyCounts() async throws {
        let rig = try await Rig(server: NATSServer.running())
        defer { withExtendedLifetime(rig) {} }
        let inboxes = Recorder<String>()
        let silent = try rig.worker.subscribe(SubjectFilter("slow")) {
            inboxes.record(String(decoding: $0.reply, as: UTF8.self))
        }
        try await rig.worker.flush()
        try rig.ask(1, "slow", key: 0xABC, timeout: .milliseconds(100))
        #expect(await rig.resolved.wait(count: 1))
        try rig.ask(2, "slow", key: 0xABC, by: .gathered)
        let first = try #require(inboxes.all.first)
        try rig.worker.publish(Subject(String(first.dropLast(3)) + "abd"), payload: [7])
        try rig.worker.publish(Subject(first), payload: [8])
        #expect(await rig.resolved.wait(count: 2))
        #expect(rig.resolved.all.last == RequestResolution(token: 2, outcome: .answered(RequestReply(body: [8]))))
        silent.cancel()
        await rig.close()
    }

    /// A break ends the wait of whoever sends again; who may not waits on, and gets its reply over the new link.
    @Test func aBreakEndsTheWaitOfThoseThatMaySendAgain() async throws {
        let server = try await NATSServer.running()
        let proxy = try CuttingProxy(to: await server.port)
        let rig = try await Rig(server: server, port: proxy.port)
        defer { withExtendedLifetime(rig) {} }
        let inboxes = Recorder<String>()
        let working = try rig.worker.subscribe(SubjectFilter("slow")) {
            inboxes.record(String(decoding: $0.reply, as: UTF8.self))
        }
        try await rig.worker.flush()
        try rig.ask(1, "slow")
        try rig.ask(2, "slow", outlasts: true)
        try rig.ask(3, "slow", by: .gathered)
        #expect(await inboxes.wait(count: 3))
        proxy.set(.cutBefore("PUB bye"))
        _ = try? rig.asking.publish(Subject("bye"), payload: [])
        #expect(await rig.resolved.wait(count: 1))
        #expect(rig.resolved.all == [RequestResolution(token: 1, outcome: .connectionLost)])
        // Whoever asks in the moment of the break is told of it: the new link is there when a flush succeeds.
        #expect(await waitUntil(.seconds(10)) { (try? await rig.asking.flush()) != nil })
        for inbox in inboxes.all { try rig.worker.publish(Subject(inbox), payload: [9]) }
        #expect(await rig.resolved.wait(count: 3))
        let answered = RequestOutcome.answered(RequestReply(body: [9]))
        #expect(rig.outcomes == [1: .connectionLost, 2: answered, 3: answered])
        working.cancel()
        await rig.close()
        proxy.stop()
    }

    @Test func aForbiddenSubjectIsToldAsSuch() async throws {
        let server = try await NATSServer.running(
            configuration: #"""
                authorization { users: [{user: u, password: p, permissions: {publish: {deny: ["secret.>"]}}}] }
                """#)
        let connection = try await server.connect { $0.authentication = .user("u", password: "p") }
        let resolved = Recorder<RequestResolution>()
        let publisher = try RequestPublisher(prompt: connection, gathered: connection) {
            resolved.record(contentsOf: $0)
        }
        try publisher.request(
            token: 1, key: 1, OutgoingMessage(subject: Subject("secret.x"), payload: []), by: .prompt,
            timeout: .seconds(5), outlastsBreaks: false)
        #expect(await resolved.wait(count: 1))
        #expect(resolved.all == [RequestResolution(token: 1, outcome: .notPermitted)])
        publisher.shutdown()
        await connection.close()
        withExtendedLifetime(server) {}
    }
}
