import Glibc
import LocalServers
import NATSClient
import Testing

@Suite(.serialized, .timeLimit(.minutes(1))) struct ConnectionTests {
    @Test func headersArriveAsSent() async throws {
        let server = try await NATSServer.running()
        defer { withExtendedLifetime(server) {} }
        let connection = try await server.connect()
        let subscription = try connection.subscribe(SubjectFilter("t.>"))
        var headers = NATSHeaders()
        try headers.append(.messageID, "id-1")
        try headers.append("X-A", "eins zwei")
        try headers.append("X-B", "ü: ;\\\"")
        try connection.publish(Subject("t.a"), reply: Subject("r.b"), headers: headers, payload: Array("body".utf8))
        var iterator = subscription.makeAsyncIterator()
        let message = try #require(await iterator.next())
        #expect(message.subject == "t.a")
        #expect(message.reply == "r.b")
        #expect(message.payload == Array("body".utf8))
        #expect(message.headers.count == 3)
        #expect(message.header("nats-msg-id") == "id-1")
        #expect(message.header("X-A") == "eins zwei")
        #expect(message.header("X-B") == "ü: ;\\\"")
        await connection.close()
        #expect(await iterator.next() == nil)
    }

    /// Timers, callbacks and the collector; the connection's own threads are ordinary ones, as is the one that connected.
    @Test func theLibrarysThreadsInterruptNobody() async throws {
        let server = try await NATSServer.running()
        defer { withExtendedLifetime(server) {} }
        let connection = try await server.connect()
        let batch: Int32 = 3
        let tasks = try #require(opendir("/proc/self/task"))
        defer { closedir(tasks) }
        var policies: [Int32] = []
        while let entry = readdir(tasks) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if let thread = pid_t(name) { policies.append(sched_getscheduler(thread)) }
        }
        #expect((1...4).contains(policies.count { $0 == batch }))
        #expect(policies.count { $0 == SCHED_OTHER } > 4)
        await connection.close()
    }

    @Test func requestsGetTheirOwnReplies() async throws {
        let server = try await NATSServer.running()
        defer { withExtendedLifetime(server) {} }
        let connection = try await server.connect()
        let echo = try connection.subscribe(SubjectFilter("echo")) { message in
            guard let reply = try? Subject(String(decoding: message.reply, as: UTF8.self)) else { return }
            _ = try? connection.publish(reply, payload: message.payload)
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<200 {
                group.addTask {
                    let body = Array("n\(number)".utf8)
                    let reply = try await connection.request(Subject("echo"), payload: body, timeout: .seconds(5))
                    #expect(reply.payload == body)
                }
            }
            try await group.waitForAll()
        }
        echo.cancel()
        await connection.close()
        #expect(await errorCode { try await connection.request(Subject("echo"), timeout: .seconds(1)) } == .closed)
    }

    @Test func noRespondersTimeoutAndCancellationAreTold() async throws {
        let server = try await NATSServer.running()
        defer { withExtendedLifetime(server) {} }
        let connection = try await server.connect()
        let silent = try connection.subscribe(SubjectFilter("silent")) { _ in }
        let code = await errorCode { try await connection.request(Subject("nobody"), timeout: .seconds(5)) }
        #expect(code == .noResponders)
        let start = MonotonicClock.now()
        let late = await errorCode { try await connection.request(Subject("silent"), timeout: .milliseconds(100)) }
        #expect(late == .timeout)
        #expect(MonotonicClock.now() - start >= 100_000_000)
        let task = Task { await errorCode { try await connection.request(Subject("silent"), timeout: .seconds(60)) } }
        task.cancel()
        #expect(await task.value == .cancelled)
        silent.cancel()
        await connection.close()
    }

    @Test func publishReconnectFlushIsAnError() async throws {
        let server = try await NATSServer.running()
        defer { withExtendedLifetime(server) {} }
        let connection = try await server.connect()
        let events = connection.recordEvents()
        let epoch = try connection.publish(Subject("t"), payload: [])
        try await connection.flush(since: epoch)
        let lost = try connection.publish(Subject("t"), payload: [])
        await server.kill()
        #expect(await events.wait { $0.contains(.disconnected) })
        #expect(await errorCode { try connection.publish(Subject("t"), payload: []) } == .disconnected)
        try await server.start()
        #expect(await events.wait { $0.contains { if case .reconnected = $0 { true } else { false } } })
        #expect(await errorCode { try await connection.flush(since: lost) } == .connectionLost)
        try await connection.flush(since: connection.publish(Subject("t"), payload: []))
        #expect(connection.counters.reconnects == 1)
        await connection.close()
    }

    @Test func subscriptionsAndRequestsSurviveARestart() async throws {
        let server = try await NATSServer.running()
        defer { withExtendedLifetime(server) {} }
        let connection = try await server.connect()
        let events = connection.recordEvents()
        let subscription = try connection.subscribe(SubjectFilter("s"))
        let pending = Task { await errorCode { try await connection.request(Subject("s"), timeout: .seconds(30)) } }
        var iterator = subscription.makeAsyncIterator()
        _ = await iterator.next()
        await server.kill()
        #expect(await pending.value == .connectionLost)
        try await server.start()
        #expect(await events.wait { $0.contains { if case .reconnected = $0 { true } else { false } } })
        try connection.publish(Subject("s"), payload: [7])
        #expect(await iterator.next()?.payload == [7])
        await connection.close()
    }

    @Test func aLinkClosedByAuthenticationErrorsIsMadeAnew() async throws {
        let server = try await NATSServer.running(configuration: #"authorization { user: u, password: "first-word" }"#)
        defer { withExtendedLifetime(server) {} }
        let connection = try await server.connect { $0.authentication = .user("u", password: "first-word") }
        let events = connection.recordEvents()
        let subscription = try connection.subscribe(SubjectFilter("s"))
        await server.kill()
        let other = try await NATSServer.running(
            port: await server.port, configuration: #"authorization { user: u, password: "two" }"#)
        defer { withExtendedLifetime(other) {} }
        #expect(await events.wait { $0.contains { if case .linkLost = $0 { true } else { false } } })
        await other.kill()
        try await server.start()
        #expect(await events.wait { $0.contains { if case .connected = $0 { true } else { false } } })
        #expect(connection.counters.rebuilds == 1)
        try connection.publish(Subject("s"), payload: [1])
        var iterator = subscription.makeAsyncIterator()
        #expect(await iterator.next()?.payload == [1])
        #expect(!events.all.description.contains("first-word"))
        await connection.close()
    }

    @Test func wrongPasswordIsToldAfterTheLimit() async throws {
        let server = try await NATSServer.running(configuration: #"authorization { user: u, password: "right" }"#)
        defer { withExtendedLifetime(server) {} }
        var configuration = NATSConfiguration(servers: ["nats://u:wrong@127.0.0.1:\(await server.port)"], name: "t")
        let code = await errorCode { try await NATSConnection.connect(configuration, within: .seconds(1)) }
        #expect(code == .notAuthorized)
        configuration.servers = ["nats://u:right@127.0.0.1:\(await server.port)"]
        let connection = try await NATSConnection.connect(configuration, within: .seconds(5))
        #expect(connection.serverInfo?.maximumPayload == 1_048_576)
        #expect(connection.serverInfo?.supportsHeaders == true)
        await connection.close()
    }

    @Test func aStoppedServerBlocksAPublisherNoLongerThanTheDeadline() async throws {
        let server = try await NATSServer.running()
        defer { withExtendedLifetime(server) {} }
        let connection = try await server.connect { $0.writeDeadline = .seconds(1) }
        await server.pause()
        let payload = [UInt8](repeating: 1, count: 100_000)
        var longest: Int64 = 0
        var failure: NATSError?
        for _ in 0..<2000 where failure == nil {
            let start = MonotonicClock.now()
            do throws(NATSError) { try connection.publish(Subject("t"), payload: payload) } catch { failure = error }
            longest = max(longest, MonotonicClock.now() - start)
        }
        #expect(failure?.code == .connectionLost || failure?.code == .disconnected)
        // A deadline of one second, and what a busy machine needs; without one it would be for ever.
        #expect(longest < 5_000_000_000)
        await server.resume()
        await connection.close()
    }

    @Test func slowConsumersAreCounted() async throws {
        let server = try await NATSServer.running()
        defer { withExtendedLifetime(server) {} }
        let connection = try await server.connect()
        let events = connection.recordEvents()
        let subscription = try connection.subscribe(SubjectFilter("s"), capacity: 10, pendingLimit: 20)
        for number in 0..<200 { try connection.publish(Subject("s"), payload: [UInt8(number)]) }
        try await connection.flush()
        #expect(
            await events.wait {
                $0.contains { if case .slowConsumer("s", let dropped) = $0 { dropped > 0 } else { false } }
            })
        // At most ten wait in the sequence, one is in the hand of libnats' thread, twenty are in libnats.
        #expect(await connection.settled { $0.droppedMessages >= 200 - 31 && subscription.waiting == 10 })
        let kept = 200 - Int(connection.droppedMessages)
        #expect((20...31).contains(kept))
        var received: [UInt8] = []
        for await message in subscription {
            received += message.payload
            if received.count == kept { break }
        }
        // Which of those around the full mark were dropped depends on when the reader's thread took one.
        #expect(received.prefix(10) == Array(0..<10)[...])
        #expect(received == received.sorted())
        #expect(connection.counters.slowConsumers >= 1)
        await connection.close()
    }

    @Test func backPressureLosesNothingWithinTheLimit() async throws {
        let server = try await NATSServer.running()
        defer { withExtendedLifetime(server) {} }
        let connection = try await server.connect()
        let subscription = try connection.subscribe(SubjectFilter("s"), capacity: 4)
        for number in 0..<5000 { try connection.publish(Subject("s"), payload: Array("\(number)".utf8)) }
        try await connection.flush()
        #expect(subscription.waiting <= 4)
        var next = 0
        for await message in subscription {
            #expect(message.payload == Array("\(next)".utf8))
            next += 1
            if next == 5000 { break }
        }
        #expect(subscription.dropped == 0)
        await connection.close()
    }

    @Test func drainingDeliversWhatHasCome() async throws {
        let server = try await NATSServer.running()
        defer { withExtendedLifetime(server) {} }
        let connection = try await server.connect()
        let seen = Recorder<UInt8>()
        let subscription = try connection.subscribe(SubjectFilter("s")) { message in
            usleep(2000)
            seen.record(message.payload.first ?? 0)
        }
        for number in 0..<100 { try connection.publish(Subject("s"), payload: [UInt8(number)]) }
        try await connection.flush()
        await connection.drainSubscriptions(within: .seconds(5))
        #expect(seen.all == Array(0..<100))
        withExtendedLifetime(subscription) {}
        await connection.close()
    }

    @Test func permissionViolationsNameTheSubject() async throws {
        let server = try await NATSServer.running(
            configuration: #"authorization { users: [{user: u, password: p, permissions: {publish: ["ok.>"]}}] }"#)
        defer { withExtendedLifetime(server) {} }
        let connection = try await server.connect { $0.authentication = .user("u", password: "p") }
        let events = connection.recordEvents()
        try connection.publish(Subject("not.ok"), payload: [])
        #expect(
            await events.wait {
                $0.contains {
                    if case .permissionViolation(let violation) = $0 {
                        violation.subject == "not.ok" && violation.operation == .publish
                    } else {
                        false
                    }
                }
            })
        await connection.close()
    }
}

extension NATSConnection {
    /// Looks every few milliseconds, for what no event tells.
    func settled(_ isSettled: (NATSConnection) -> Bool) async -> Bool {
        for _ in 0..<500 {
            if isSettled(self) { return true }
            try? await Task.sleep(for: .milliseconds(10))
        }
        return false
    }
}
