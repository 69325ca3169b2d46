import JSONText
import Recurrence
import Testing
import TopView

/// The frames of `carillon top`, as text.
@Suite("The frames of top") struct TopFrameTests {
    private static let one = "01a1fd73-4acf-7c52-9c07-fd9a55eb6b51"
    private static let two = "01a1fd73-4acf-7c52-9c07-000000000002"
    private let start = Instant(milliseconds: 1_795_219_200_000)

    private func after(_ seconds: Double) -> Instant { start.adding(milliseconds: Int64(seconds * 1000)) }

    private func model() -> TopModel { TopModel(server: "nats://127.0.0.1:4222", prefix: "scheduler", now: start) }

    private func status(
        _ more: String = #""ready":true,"reasons":[],"warnings":[]"#, instance: String = one, name: String = "one"
    ) throws -> JSONValue {
        try JSONValue.parse(
            """
            {"type":"t","system":{\(more),"instance":"\(instance)","instance_name":"\(name)",
             "members":[{"instance":"\(Self.one)","partitions":128},{"instance":"\(Self.two)","partitions":128}],
             "in_flight":12,"unanswered":3,"due_waiting":1234,"events_owed":7,"clock_skew_ms":-2,"overdue":5,"claims":21,
             "waiting":4,"outbox_pending":6,"commands_pending":1,"freezes":[{}],
             "schedules":{"active":12345,"paused":3,"exhausted":9}}}
            """)
    }

    private func event(_ family: String, _ kind: String, _ data: String) throws -> JSONValue {
        try JSONValue.parse(
            """
            {"type":"io.carillon.\(family).v1.\(kind)",
             "data":{"namespace":"demo","schedule_name":"report","instance_name":null\(data)}}
            """)
    }

    private func text(_ model: TopModel, at seconds: Double, width: Int = 80, height: Int = 24) -> [String] {
        TopFrame(width: width, height: height).lines(model, at: after(seconds)).map {
            $0.text(width: width, coloured: false)
        }
    }

    @Test("A frame of 80 columns and 24 lines shows all there is")
    func whole() throws {
        var model = model()
        model.take(status: try status(), at: after(1))
        model.take(
            members: try JSONValue.parse(
                """
                {"members":[{"instance":"\(Self.one)","name":"one","lease":"held","partitions":128},
                 {"instance":"\(Self.two)","name":"two","lease":"held","partitions":128}]}
                """))
        for lateness in [1, 2, 3, 4] {
            model.take(event: try event("execution", "delivered", #","lateness_ms":\#(lateness)"#), at: after(8))
        }
        model.take(
            event: try event("execution", "dead", #","attempt":4,"reason":"no responders""#), at: after(9))
        model.take(
            event: try event("execution", "skipped", #","reason":"misfire","range_from":"x","count":40"#),
            at: after(9.5))
        model.take(event: try event("schedule", "paused", #","actor":"ann","reason":"holidays""#), at: after(9.7))
        func blanks(_ count: Int) -> String { String(repeating: " ", count: count) }
        let expected: [String] = [
            "carillon top  nats://127.0.0.1:4222" + blanks(25) + "2026-11-21 00:00:10Z",
            "ready, 2 members",
            "schedules  12,345 active  3 paused  0 invalid  9 exhausted  1 freeze",
            "backlog    5 overdue  21 claims  4 waiting  6 events to tell  1 submitted",
            "fires      4 in 10 s, 0.4/s   lateness p50 2 ms  p99 4 ms  max 4 ms",
            "troubles   1 dead  0 failed  0 timed out  0 retried  40 skipped  0 cancelled",
            "a second   " + blanks(57) + "█   4",
            "",
            "MEMBER         ID       SHARE   STATE  IN FLIGHT    DUE  SILENT   OWED    CLOCK",
            "one            55eb6b51 128/256 ready         12  1,234       3      7    -2 ms",
            "two            00000002 128/256 held           -      -       -      -        -",
            "",
            "EVENTS  4.6/s" + blanks(60) + "q quits",
            "00:00:09 schedule.paused        demo/report  holidays, by ann",
            "00:00:09 execution.skipped      demo/report  40 occurrences, misfire",
            "00:00:09 execution.dead         demo/report  attempt 4, no responders",
            "00:00:08 execution.delivered    demo/report  late 4 ms",
            "00:00:08 execution.delivered    demo/report  late 3 ms",
            "00:00:08 execution.delivered    demo/report  late 2 ms",
            "00:00:08 execution.delivered    demo/report  late 1 ms",
        ]
        #expect(text(model, at: 10) == expected)
    }

    @Test("Before the first answer, without one, without a connection, and back again")
    func troubles() throws {
        var model = model()
        #expect(text(model, at: 0)[1] == "waiting for an answer" && !model.isAnswered)
        model.wasNotAnswered("no scheduler runs here", at: after(1))
        model.wasNotAnswered("no scheduler answered in time", at: after(2))
        #expect(text(model, at: 4)[1] == "NO ANSWER for 3 s: no scheduler answered in time")
        model.take(status: try status(), at: after(5))
        #expect(text(model, at: 5)[1] == "ready, 2 members" && model.isAnswered)
        model.connectionWasLost("", at: after(6))
        model.connectionWasLost("refused", at: after(7))
        model.wasNotAnswered("disconnected", at: after(8))
        let lost = text(model, at: 9)
        #expect(lost[1] == "CONNECTION LOST for 3 s: refused")
        #expect(lost[2].hasPrefix("schedules  12,345 active"), "what was known stays")
        model.connectionIsBack()
        #expect(text(model, at: 9)[1] == "NO ANSWER for 1 s: disconnected")
        model.take(status: try JSONValue.parse(#"{"error":{"description":"no"}}"#), at: after(10))
        #expect(text(model, at: 10)[1] == "NO ANSWER for 2 s: no")
        let reasons = #""ready":false,"reasons":["NATS: away","joining"]"#
        model.take(status: try status(reasons), at: after(11))
        let unready = text(model, at: 11)
        #expect(unready[1] == "NOT READY: NATS: away; joining" && unready.contains { $0.contains(" unwell ") })
        model.take(status: try JSONValue.parse(#"{"system":{"ready":false,"reasons":["starting"]}}"#), at: after(12))
        #expect(text(model, at: 12)[1] == "NOT READY: starting")
        model.cannotHear("this user may not listen")
        #expect(text(model, at: 12).contains("EVENTS: this user may not listen"))
    }

    @Test("A member that is silent, one that has gone, and an answer that is old")
    func members() throws {
        var model = model()
        model.take(status: try status(), at: after(0))
        model.take(
            members: try JSONValue.parse(
                """
                {"members":[{"instance":"\(Self.one)","name":"one","lease":"held","partitions":256},
                 {"instance":"\(Self.two)","name":"two","lease":"silent","partitions":0}]}
                """))
        let frame = text(model, at: 19)
        #expect(frame[1] == "ready, 1 member, 1 silent")
        #expect(frame[9].hasPrefix("one            55eb6b51 256/256 ready"))
        #expect(frame[10].hasPrefix("two            00000002 0/256   silent"))
        #expect(text(model, at: 21)[9].hasSuffix("-        -"), "nobody knows how it is now")
        model.take(
            members: try JSONValue.parse(
                #"{"members":[{"instance":"\#(Self.one)","name":"one","lease":"held","partitions":256}]}"#))
        #expect(text(model, at: 21).filter { $0.contains("00000002") }.isEmpty)
    }

    @Test("The window forgets what is older than a minute, and lateness keeps two digits")
    func window() throws {
        var model = model()
        for second in 0..<120 {
            let late = second == 119 ? 98_765 : 12
            model.take(
                event: try event("execution", "delivered", #","lateness_ms":\#(late)"#), at: after(Double(second)))
        }
        let frame = text(model, at: 119.9)
        #expect(frame[4] == "fires      60 in 60 s, 1.0/s   lateness p50 12 ms  p99 98,000 ms  max 98,000 ms")
        #expect(text(model, at: 400)[4] == "fires      0 in 60 s, 0.0/s   lateness -")
    }

    @Test("A flood of what goes well leaves room for what does not")
    func flood() throws {
        var model = model()
        model.take(event: try event("execution", "dead", #","reason":"r""#), at: after(1))
        for count in 0..<2000 {
            model.take(
                event: try event("execution", "delivered", #","lateness_ms":0"#), at: after(2 + Double(count) / 1000))
        }
        let frame = text(model, at: 5)
        #expect(frame.count == 24)
        #expect(frame.last == "00:00:01 execution.dead         demo/report  r")
    }

    @Test("No text of others reaches the terminal as more than text")
    func hostileTexts() throws {
        var model = TopModel(server: "nats://\u{1B}]0;x\u{07}", prefix: "p", now: start)
        model.take(
            status: try status(#""ready":false,"reasons":["\u001b[2J\u0085é"]"#, name: #"\u001b[31m漢"#), at: start)
        model.wasNotAnswered("\u{1B}c", at: start)
        let hostile = #","reason":"\u001b[?1049l\r\n\u200e","actor":"\u009b1A""#
        model.take(event: try event("schedule", "paused", hostile), at: start)
        for coloured in [false, true] {
            for line in TopFrame(width: 200, height: 50).lines(model, at: start) {
                let text = line.text(width: 200, coloured: coloured)
                var rest = text[...]
                // What stands between our own colours has one column each.
                while let escape = rest.firstIndex(of: "\u{1B}") {
                    #expect(coloured && rest[escape...].dropFirst().first == "[")
                    let end = try #require(rest[escape...].firstIndex(of: "m"))
                    #expect(rest[escape..<end].dropFirst(2).allSatisfy { $0.isNumber || $0 == ";" }, "\(text)")
                    rest = rest[rest.index(after: end)...]
                }
                let plain = line.text(width: 200, coloured: false)
                #expect(plain.unicodeScalars.allSatisfy { $0.value >= 0x20 && !(0x7F...0xA0).contains($0.value) })
            }
        }
    }

    @Test("It fits into any size", arguments: [(1, 1), (20, 5), (40, 10), (79, 13), (200, 60)])
    func sizes(width: Int, height: Int) throws {
        var model = model()
        for count in 0..<30 {
            let id = "01a1fd73-4acf-7c52-9c07-0000000000\(10 + count)"
            model.take(status: try status(instance: id, name: "member-with-a-long-name-\(count)"), at: start)
            model.take(
                event: try event("execution", "failed", #","reason":"\#(String(repeating: "r", count: 300))""#),
                at: start)
        }
        for frame in [TopFrame(width: width, height: height), TopFrame(width: width, height: height, hasBlocks: false)]
        {
            let lines = frame.lines(model, at: start)
            #expect(lines.count <= height)
            #expect(lines.allSatisfy { $0.text(width: width, coloured: false).count <= width })
            let shown = lines.map { $0.text(width: width, coloured: true) }.joined()
            #expect(frame.hasBlocks || !shown.contains { "▁▂▃▄▅▆▇█".contains($0) })
        }
    }
}
