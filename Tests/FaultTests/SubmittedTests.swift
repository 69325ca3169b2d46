import JSONText
import LocalServers
import NATSClient
import PostgresClient
import ServiceFixture
import TestSupport
import Testing

/// Submitted commands over crashes and outages: each is applied once, in its schedule's order, with one event.
@Suite(.serialized) struct SubmittedTests {
    /// Commands for some schedules, each of which may only be applied where the one before it was, and once: every one
    /// demands the version that the one before it left.
    struct Chains: Sendable {
        let namespace: String
        let schedules: Int
        private static let edits = 5
        /// Of one schedule: create, edits, trigger, pause, resume, delete.
        static let length = edits + 5

        var total: Int { schedules * Self.length }

        /// The commands in the order of publishing: those of one schedule lie apart.
        var commands: [(command: String, body: String)] {
            var commands: [(String, String)] = []
            for step in 0..<Self.length {
                for schedule in 0..<schedules {
                    let name = #""name":"c\#(schedule)""#
                    let next = #"{\#(name),"if_version":\#(step)"#
                    switch step {
                    case 0:
                        commands.append(
                            (
                                "schedule.create",
                                #"{\#(name),"schedule_type":"interval","interval_seconds":3600,"target_command":"demo.js.c"}"#
                            ))
                    case 1...Self.edits: commands.append(("schedule.update", next + #","description":"\#(step)"}"#))
                    case Self.edits + 1: commands.append(("schedule.trigger", next + "}"))
                    // A trigger leaves the version as it is.
                    default:
                        let verb = ["pause", "resume", "delete"][step - Self.edits - 2]
                        commands.append(("schedule.\(verb)", #"{\#(name),"if_version":\#(step - 1)}"#))
                    }
                }
            }
            return commands
        }

        /// Hands all to NATS, as one who does not wait for any, and returns once the stream has them.
        func publish(_ fixture: ServiceFixture) async throws {
            let epoch = fixture.client.epoch
            for (command, body) in commands {
                try fixture.client.publish(
                    try Subject("scheduler.submit.\(namespace).\(command)"), payload: Array(body.utf8))
            }
            try await fixture.client.flush(since: epoch, timeout: .seconds(30))
        }

        /// Waits until all are told, and checks that each was applied once.
        func check(_ fixture: ServiceFixture, within limit: Duration = .seconds(40)) async throws {
            let told =
                "SELECT count(*) FROM scheduler.audit_log WHERE namespace = '\(namespace)' AND action LIKE 'command_%'"
            let isOver = await waitUntil(limit) {
                guard (try? await fixture.count(told)) == Int64(total) else { return false }
                return (try? await fixture.count("SELECT count(*) FROM scheduler.outbox")) == 0
            }
            let count = try await fixture.count(told)
            #expect(isOver, "\(namespace): \(count) of \(total) were told")
            var events: [String: CommandEvent] = [:]
            for message in try await fixture.everyMessage(of: "SCHEDULER_EVENTS")
            where message.subject.hasPrefix("scheduler.evt.\(namespace).schedule.command_") {
                let event = try CommandEvent(message)
                events[event.id] = event
            }
            #expect(events.count == total, "\(namespace)")
            let others = events.values.filter { $0.outcome != "applied" }
            #expect(others.isEmpty, "\(namespace): \(others.map { "\($0.sequence) \($0.outcome)" }.sorted().prefix(5))")
            #expect(Set(events.values.map(\.sequence)).count == total, "\(namespace): each is told once")
            let final = try await fixture.rows(
                """
                SELECT state || ' ' || version || ' ' || (SELECT count(*) FROM scheduler.executions e WHERE e.schedule_id = s.id)
                FROM scheduler.schedules s WHERE namespace = '\(namespace)'
                """)
            #expect(final.count == schedules)
            #expect(Set(final.map { $0[0] }) == ["deleted \(Self.length - 1) 1"], "\(namespace)")
            #expect(await fixture.submittedDrains())
        }
    }

    private static let cursor = "SELECT coalesce(max(sequence), 0)::bigint FROM scheduler.command_cursors"

    private func reaches(_ sequence: Int64, _ fixture: ServiceFixture) async -> Bool {
        await waitUntil(.seconds(20)) { ((try? await fixture.count(Self.cursor)) ?? 0) >= sequence }
    }

    private func started(
        _ configure: (inout ServiceFixture.Options) -> Void = { _ in }
    ) async throws -> ServiceFixture {
        var options = ServiceFixture.Options()
        configure(&options)
        let fixture = try await ServiceFixture.start(options)
        try await fixture.makeStream()
        return fixture
    }

    @Test(.timeLimit(.minutes(5))) func aBacklogIsAppliedInOrderOverOutages() async throws {
        let fixture = try await started { $0.natsConfiguration = "max_payload: 2MB" }
        let first = try await fixture.startInstance()
        #expect(await first.stop())
        let backlog = Chains(namespace: "backlog", schedules: TestForm.isLong ? 1000 : 30)
        try await backlog.publish(fixture)
        // nats-server 2.15 stores what it has in its own time.
        let isStored = await waitUntil(.seconds(10)) {
            (try? await fixture.submittedWaiting()) == UInt64(backlog.total)
        }
        #expect(isStored)
        let begun = ContinuousClock.now
        let instance = try await fixture.startInstance()
        try await backlog.check(fixture, within: .seconds(200))
        print("\(backlog.total) submitted commands: \(ContinuousClock.now - begun), start included")

        // PostgreSQL goes in the midst of it, and comes back.
        let outage = Chains(namespace: "outage", schedules: 12)
        let before = try await fixture.count(Self.cursor)
        try await outage.publish(fixture)
        #expect(await reaches(before + 20, fixture))
        await fixture.postgres.kill()
        try await fixture.postgres.start()
        try await outage.check(fixture)

        // So does NATS.
        let deaf = Chains(namespace: "deaf", schedules: 12)
        try await deaf.publish(fixture)
        #expect(await reaches(before + Int64(outage.total) + 20, fixture))
        await fixture.nats.kill()
        try await fixture.nats.start()
        try await deaf.check(fixture)

        // The stream is made anew, and counts from 1.
        let api = JetStreamAPI(fixture.client)
        let old = try #require(try await api.streamInfo(ServiceFixture.commandsStream))
        try await fixture.delete(stream: ServiceFixture.commandsStream, under: [instance])
        let isBack = await waitUntil(.seconds(15)) {
            guard let new = try? await api.streamInfo(ServiceFixture.commandsStream) else { return false }
            return new.created != old.created
        }
        #expect(isBack)
        let anew = Chains(namespace: "anew", schedules: 3)
        try await anew.publish(fixture)
        try await anew.check(fixture)
        #expect(try await fixture.count(Self.cursor) == Int64(anew.total))

        // What is longer than any body, and what fails again and again, ends; what is behind it is applied.
        try await fixture.database.execute(
            script: "ALTER TABLE scheduler.schedules ADD CONSTRAINT fault CHECK (name <> 'fault')")
        try await fixture.submit(
            "schedule.create", #"{"description":"\#(String(repeating: "x", count: 1 << 20))"}"#, in: "late")
        for name in ["fault", "fine"] {
            try await fixture.submit(
                "schedule.create",
                #"{"name":"\#(name)","schedule_type":"interval","interval_seconds":60,"target_command":"demo.js.c"}"#,
                in: "late")
        }
        let isTold = await waitUntil(.seconds(15)) { (try? await fixture.outcomes(in: "late").count) == 3 }
        #expect(isTold)
        #expect(try await fixture.outcomes(in: "late").map(\.outcome) == ["10413", "50500", "applied"])
        // As a request it has its reply, and the next one too.
        let long = #"{"description":"\#(String(repeating: "x", count: 1 << 20))"}"#
        let refusal = try await fixture.command("schedule.create", long, namespace: "late")
        #expect(refusal["error"]?["err_code"]?.int64 == 10413)
        #expect(try await fixture.command("schedule.list", "", namespace: "late")["schedules"]?.count == 1)
        #expect(await instance.stop())
        await fixture.stop()
    }

    @Test(.timeLimit(.minutes(2))) func theHoldersEndLosesAndDoublesNothing() async throws {
        let fixture = try await started()
        let instances = [try await fixture.startInstance("one"), try await fixture.startInstance("two")]
        let chains = Chains(namespace: "killed", schedules: 30)
        try await chains.publish(fixture)
        #expect(await reaches(60, fixture))
        let holder = try #require(instances.first { $0.log.contains("submitted commands are applied here") })
        let other = try #require(instances.first { $0.name != holder.name })
        await holder.kill()
        try await chains.check(fixture)
        #expect(other.log.contains("submitted commands are applied here"))
        // One that stands still is followed, and changes nothing when it wakes.
        let third = try await fixture.startInstance("three")
        let still = Chains(namespace: "still", schedules: 12)
        var before = try await fixture.count(Self.cursor)
        try await still.publish(fixture)
        #expect(await reaches(before + 20, fixture))
        other.pause()
        #expect(await waitUntil(.seconds(20)) { third.log.contains("submitted commands are applied here") })
        other.resume()
        try await still.check(fixture)
        // So is one that stops in good order.
        let stopped = Chains(namespace: "stopped", schedules: 12)
        before = try await fixture.count(Self.cursor)
        try await stopped.publish(fixture)
        #expect(await reaches(before + 20, fixture))
        #expect(await third.stop())
        try await stopped.check(fixture)
        #expect(await other.stop())
        await fixture.stop()
    }

    @Test(.timeLimit(.minutes(2))) func whereverAHolderEndsTheNextGoesOn() async throws {
        let fixture = try await started()
        let proxy = try CuttingProxy(to: await fixture.postgres.port)
        // What is applied when it ends: all before it; in the second case the command itself, which comes again.
        for (point, applied) in [("submit.taken", 14), ("submit.committed", 15)] as [(String, Int64)] {
            let before = try await fixture.count(Self.cursor)
            let victim = try await fixture.startInstance("victim", environment: ["CARILLON_FAIL_AT": "\(point)@15"])
            let chains = Chains(namespace: point.replacing(".", with: "-"), schedules: 3)
            try await chains.publish(fixture)
            #expect(await victim.process.waitForEnd(.seconds(20)))
            #expect(try await fixture.count(Self.cursor) == before + applied)
            let next = try await fixture.startInstance("next")
            try await chains.check(fixture)
            #expect(await next.stop())
        }
        // A command in whose midst one process after the other ended is given up.
        let victim = try await fixture.startInstance("victim", environment: ["CARILLON_FAIL_AT": "submit.taken"])
        let last = try await fixture.submit("schedule.delete", #"{"name":"c0"}"#, in: "endless")
        #expect(await victim.process.waitForEnd(.seconds(20)))
        let tries = "SELECT tries::bigint FROM scheduler.command_cursors WHERE tried_sequence = \(last)"
        #expect(try await fixture.count(tries) == 1)
        try await fixture.database.execute(script: "UPDATE scheduler.command_cursors SET tries = 5")
        let instance = try await fixture.startInstance(
            environment: ["DATABASE_URL": "postgresql://postgres@127.0.0.1:\(proxy.port)/carillon"])
        #expect(await reaches(last, fixture))
        let isGivenUp = await waitUntil(.seconds(5)) { (try? await fixture.outcomes(in: "endless").count) == 1 }
        #expect(isGivenUp)
        #expect(try await fixture.outcomes(in: "endless").map(\.outcome) == ["50500"])
        // A COMMIT without an answer, which took place, or did not.
        for (namespace, rule) in [
            ("committed", CuttingProxy.Rule.cutAfter("command_cursors_advance")),
            ("not-committed", .cutBefore("command_cursors_advance")),
        ] {
            let cuts = proxy.triggered
            proxy.set(rule)
            let chains = Chains(namespace: namespace, schedules: 2)
            try await chains.publish(fixture)
            try await chains.check(fixture)
            #expect(proxy.triggered == cuts + 1)
        }
        #expect(await instance.stop())
        proxy.stop()
        await fixture.stop()
    }

    @Test(.timeLimit(.minutes(1))) func aBulkOfTriggersOverACrashFiresEachOnce() async throws {
        let fixture = try await started()
        // It ends at its fifth publish: some are triggered, most are not.
        let victim = try await fixture.startInstance("victim", environment: ["CARILLON_FAIL_AT": "publish.before@5"])
        let names = (0..<200).map { "b\($0)" }
        let items = names.map {
            #"{"name":"\#($0)","schedule_type":"interval","interval_seconds":3600,"target_command":"demo.js.b"}"#
        }
        let made = try await fixture.command(
            "schedule.bulk_create", #"{"schedules":[\#(items.joined(separator: ","))]}"#, namespace: "bulk")
        #expect(made["created"]?.int64 == 200)
        let list = names.map { "\"\($0)\"" }.joined(separator: ",")
        try await fixture.submit("schedule.bulk", #"{"names":[\#(list)],"operation":"trigger"}"#, in: "bulk")
        #expect(await victim.process.waitForEnd(.seconds(20)))
        let begun = try await fixture.count("SELECT count(*) FROM scheduler.executions")
        #expect((1..<200).contains(begun), "\(begun) were triggered before it ended")
        let next = try await fixture.startInstance("next")
        let delivered = "SELECT count(*) FROM scheduler.executions WHERE state = 'delivered' AND origin = 'manual'"
        let isOver = await waitUntil(.seconds(20)) { (try? await fixture.count(delivered)) == 200 }
        #expect(isOver)
        let isTold = await waitUntil(.seconds(10)) { (try? await fixture.outcomes(in: "bulk").count) == 1 }
        #expect(isTold)
        #expect(try await fixture.outcomes(in: "bulk").map(\.outcome) == ["applied"])
        #expect(
            try await fixture.rows("SELECT count(*)::text, count(DISTINCT schedule_id)::text FROM scheduler.executions")
                == [["200", "200"]])
        let fired = try await fixture.messages(of: "DEMO").compactMap { $0.header("Scheduler-Execution-Id") }
        #expect(fired.count == 200 && Set(fired).count == 200)
        #expect(await fixture.submittedDrains())
        #expect(await next.stop())
        await fixture.stop()
    }

    @Test(.timeLimit(.minutes(1))) func aStreamThatIsNotOursIsNamed() async throws {
        let fixture = try await started()
        let api = JetStreamAPI(fixture.client)
        _ = try await api.createStream(
            "THEIRS", configuration: #"{"name":"THEIRS","subjects":["scheduler.submit.>"],"storage":"file"}"#)
        let instance = try await fixture.startInstance(waits: false)
        func reasons() async -> String {
            let statuses = (try? await fixture.statuses()) ?? []
            return statuses.first?["reasons"].map { String(decoding: $0.bytes, as: UTF8.self) } ?? ""
        }
        let isNamed = await waitUntil(.seconds(20)) {
            await reasons().contains("the stream THEIRS takes scheduler.submit.>")
        }
        #expect(isNamed)
        // Nor is one of our name that would throw commands away; the instance must not be quicker with its own.
        instance.pause()
        try await api.deleteStream("THEIRS")
        _ = try await api.createStream(
            ServiceFixture.commandsStream,
            configuration: """
                {"name":"SCHEDULER_COMMANDS","subjects":["scheduler.submit.>","scheduler.run.*.*.*"],\
                "retention":"limits","storage":"file"}
                """)
        instance.resume()
        let isRefused = await waitUntil(.seconds(20)) { await reasons().contains("the stream SCHEDULER_COMMANDS ") }
        #expect(isRefused)
        try await fixture.delete(stream: ServiceFixture.commandsStream, under: [instance])
        try await fixture.waitUntilReady(instance)
        #expect(await instance.stop())
        await fixture.stop()
    }
}

extension ServiceInstance {
    /// All that it logged.
    fileprivate var log: String { Filesystem.tail(logPath, bytes: 1 << 20) }
}
