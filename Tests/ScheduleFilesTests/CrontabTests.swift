import JSONText
import SchedulerCore
import TestSupport
import Testing

@testable import ScheduleFiles

@Suite struct CrontabTests {
    private static let options = ConversionOptions(target: "cron.run")

    private static func converted(
        _ text: String, hasUsers: Bool = false, _ options: ConversionOptions = options
    ) -> Conversion {
        var conversion = Crontab.read(text, file: "crontab", hasUsers: hasUsers, options)
        conversion.check(DefinitionFileTests.check, file: "crontab")
        return conversion
    }

    private static func text(_ schedule: ConvertedSchedule?, _ field: String) -> String? {
        schedule?[field].map { String(decoding: $0.bytes, as: UTF8.self) }
    }

    struct Case: Sendable, CustomTestStringConvertible {
        let line: String
        let expression: String
        let payload: String
        var hasUsers = false
        var testDescription: String { line }
    }

    @Test(arguments: [
        Case(
            line: "0 3 * * * /usr/bin/backup --all", expression: "0 3 * * *",
            payload: #"{"command":"/usr/bin/backup --all"}"#),
        Case(
            line: "  */5\t*  * jan-mar mon,fri  a  b ", expression: "*/5 * * jan-mar mon,fri",
            payload: #"{"command":"a  b "}"#),
        Case(line: "@daily x", expression: "@daily", payload: #"{"command":"x"}"#),
        Case(
            line: "0 0 * * * mail a%Hello,%you", expression: "0 0 * * *",
            payload: #"{"command":"mail a","stdin":"Hello,\nyou\n"}"#),
        Case(
            line: #"0 0 * * * date +\%F%x"#, expression: "0 0 * * *", payload: #"{"command":"date +%F","stdin":"x\n"}"#),
        Case(
            line: "17 * * * * root cd / && run-parts x", expression: "17 * * * *",
            payload: #"{"command":"cd / && run-parts x","user":"root"}"#, hasUsers: true),
        Case(
            line: "A=1\nPATH = \"/bin:/usr/bin\"\nA='two words'\n0 0 1 * * x=1 y", expression: "0 0 1 * *",
            payload: #"{"command":"x=1 y","environment":{"PATH":"/bin:/usr/bin","A":"two words"}}"#),
        // cron joins the day fields by AND as soon as one begins with *.
        Case(line: "0 0 */2 * 1 x", expression: "0 0 */2 * +1", payload: #"{"command":"x"}"#),
        Case(line: "0 0 1 * */2 x", expression: "0 0 1 * +*/2", payload: #"{"command":"x"}"#),
        Case(line: "0 0 13 * 5 x", expression: "0 0 13 * 5", payload: #"{"command":"x"}"#),
        Case(line: "0 0 */2 * * x\r", expression: "0 0 */2 * *", payload: #"{"command":"x"}"#),
    ]) func anEntryBecomesASchedule(expected: Case) {
        let conversion = Self.converted(expected.line, hasUsers: expected.hasUsers)
        #expect(conversion.problems == [])
        #expect(conversion.schedules.count == 1)
        let schedule = conversion.schedules.first
        #expect(schedule?["cron_expression"]?.string == expected.expression)
        #expect(Self.text(schedule, "command_payload") == expected.payload)
        #expect(schedule?["target_command"]?.string == "cron.run" && schedule?["misfire_policy"]?.string == "skip")
    }

    @Test(arguments: [
        ("@reboot x", "crontab:1: @reboot is left out"), ("0 0 * * x", "crontab:1: expected a command after the time"),
        ("0 0 * *", "crontab:1: expected five fields"), ("61 * * * * x", "crontab:1: schedule 'x-"),
        ("# c\n\n0/15 * * * * x", "crontab:3: schedule 'x-"), ("@sometimes x", "crontab:1: schedule 'x-"),
        ("0 0 30 2 * x", "crontab:1: schedule 'x-"), ("CRON_TZ=Mars/X\n0 0 * * * x", "crontab:2: schedule 'x-"),
    ]) func whatIsNotTakenOverIsToldAtItsLine(text: String, problem: String) {
        let conversion = Self.converted(text)
        #expect(conversion.schedules.isEmpty)
        #expect(conversion.problems.count == 1 && "\(conversion.problems)".contains(problem), "\(conversion.problems)")
    }

    @Test func namesAreStableWhateverStandsAround() throws {
        let alone = Self.converted("0 3 * * * /usr/bin/backup a")
        let name = try #require(alone.schedules.first?.name)
        #expect(name.hasPrefix("backup-") && name.count == 13)
        let among = Self.converted(
            "1 1 * * * /usr/bin/backup b\n# moved\n5 4 * * * /usr/bin/backup a\n6 4 * * * /usr/bin/backup a")
        #expect(among.schedules.map(\.name).contains(name) && among.schedules.map(\.name).contains(name + "-2"))
        #expect(Set(among.schedules.map(\.name)).count == 3)
        #expect(Self.converted("0 0 * * * cd /tmp && ls").schedules.first?.name.hasPrefix("tmp-") == true)
        #expect(Self.converted("0 0 * * * ; § ;").schedules.first?.name.hasPrefix("job-") == true)
    }

    @Test func zonesCommentsAndNotes() {
        let conversion = Self.converted(
            "MAILTO=ann\n# Once a day.\n# Really.\n0 0 * * * x\n\n# far\n\nCRON_TZ=Europe/Paris\n0 1 * * * y\n")
        #expect(conversion.schedules.map { $0["description"]?.string } == ["Once a day.\nReally.", nil])
        #expect(conversion.schedules.map { $0["timezone"]?.string } == [nil, "Europe/Paris"])
        #expect(conversion.notes.contains { $0.hasPrefix("MAILTO is left out") })
        #expect(conversion.notes.contains { $0.contains("UTC here") })
        #expect(conversion.notes.contains { $0.contains("misfire_policy is 'skip'") })
        let and = Self.converted("0 0 */2 * 1 x")
        #expect(and.schedules.first?.notes.count == 1)
    }

    @Test func theYAMLIsWhatApplyReads() throws {
        let conversion = Self.converted("# a \"comment\"\n0 3 * * * echo \"ü: #\" 'q' > /dev/null", hasUsers: false)
        var file = DefinitionFile(DefinitionFile.Reading(namespace: try Namespace("ops")))
        file.read(conversion.yaml(from: "crontab"), file: "made.yaml")
        #expect(file.problems == [] && file.items.count == 1)
        let item = try #require(file.items.first)
        #expect(DefinitionFileTests.check.problems(of: item) == [])
        let body = try JSONValue.parse(item.body)
        #expect(body["command_payload"]?["command"]?.string == "echo \"ü: #\" 'q' > /dev/null")
        #expect(body["description"]?.string == "a \"comment\"" && body["shadow"] == nil)
    }

    @Test func inShadowAllOfThemAre() throws {
        var conversion = Self.converted("0 3 * * * a\n0 4 * * * b\n")
        conversion.putInShadow()
        var file = DefinitionFile(DefinitionFile.Reading(namespace: try Namespace("ops")))
        file.read(conversion.yaml(from: "crontab"), file: "made.yaml")
        #expect(file.problems == [] && file.items.flatMap { DefinitionFileTests.check.problems(of: $0) } == [])
        #expect(try file.items.map { try JSONValue.parse($0.body)["shadow"]?.bool } == [true, true])
    }
}

@Suite("crontab beside python-crontab") struct CrontabOracleTests {
    private static let times = [
        "0 3 * * *", "*/5 * * * *", "0-30/10 1,2 1-15 * mon", "@daily", "@hourly", "5 4 * jan sun",
    ]
    private static let commands = [
        "/usr/bin/true", "echo a b", "x=1 y", "cd / && run", "cat > /tmp/x 2>&1", "sh -c 'a; b'", "A=B",
        "test -x /a || b",
    ]

    @Test(.timeLimit(.minutes(1))) func findsTheSameEntries() async throws {
        var generator = TestForm.generator(for: "crontab")
        var questions: [[String: String]] = []
        for _ in 0..<TestForm.count(200, long: 5000) {
            let hasUsers = Bool.random(using: &generator)
            var lines: [String] = []
            for _ in 0..<Int.random(in: 1...6, using: &generator) {
                let time = Self.times.randomElement(using: &generator) ?? ""
                let command = Self.commands.randomElement(using: &generator) ?? ""
                switch Int.random(in: 0..<6, using: &generator) {
                case 0: lines.append("# \(command)")
                case 1: lines.append("NAME=\(command)")
                case 2: lines.append("")
                default: lines.append(hasUsers ? "\(time) root \(command)" : "\(time) \(command)")
                }
            }
            questions.append(["text": lines.joined(separator: "\n") + "\n", "user": hasUsers ? "yes" : "no"])
        }
        let answers = try await PythonOracle.ask("crontab_lines.py", questions)
        try #require(answers.count == questions.count)
        for (answer, question) in zip(answers, questions) {
            let conversion = Crontab.read(
                question["text"] ?? "", file: "f", hasUsers: question["user"] == "yes", ConversionOptions(target: "t"))
            let mine = conversion.schedules.map { schedule in
                let payload = schedule["command_payload"]
                return [
                    schedule["cron_expression"]?.string ?? "", payload?["user"]?.string ?? "",
                    payload?["command"]?.string ?? "",
                ].joined(separator: "\t")
            }
            #expect(conversion.problems == [])
            #expect(
                mine.map { $0.lowercased() } == answer.split(separator: "\n").map { $0.lowercased() },
                "\(question); TEST_SEED=\(TestForm.seed)")
        }
    }
}
