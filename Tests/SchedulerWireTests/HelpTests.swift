import JSONText
import Recurrence
import SchedulerWire
import Testing

@Suite("What <p>.help answers")
struct HelpTests {
    private let help = Help(prefix: "chimes", now: Instant(milliseconds: 1_795_000_000_123))

    private func text(_ request: String) -> String {
        String(decoding: help.answer(Array(request.utf8)).body, as: UTF8.self)
    }

    @Test(arguments: ["", "null", "{}", " \n", #"{"format":"text"}"#, #"{"command":null}"#])
    func nothingListsEveryCommandWithALineToPaste(request: String) {
        let text = text(request)
        for page in CommandCatalogue.all {
            #expect(text.contains("\n\(page.name)  \(page.summary)\n"), "\(page.name)")
            #expect(text.contains("  nats req \(page.subject(prefix: "chimes", namespace: "demo")) '"), "\(page.name)")
        }
    }

    @Test(arguments: [
        "schedule.create", "schedule create", "\"schedule.create\"", #"{"command":"schedule.create"}"#,
        "chimes.cmd.demo.schedule.create", "schedule.create\n",
    ])
    func aNameShowsAllOfItsPage(request: String) throws {
        let text = text(request)
        let page = try #require(CommandCatalogue.page("schedule.create"))
        #expect(text.hasPrefix("schedule.create\n\(page.summary)\nIt changes something"))
        #expect(
            text.split(separator: "\n").count { $0.hasPrefix("  nats req chimes.cmd.demo.") } == page.examples.count)
        #expect(text.contains("schemas/commands/schedule.create.request.v1.json"))
        // The examples' tomorrow lies a day after now.
        #expect(text.contains(#""run_at":"2026-11-19T11:06:40Z""#), "\(text)")
    }

    @Test func whatMayBeSubmittedSaysSo() {
        #expect(text("").contains("chimes.submit.<namespace>.<noun>.<verb>"))
        #expect(text("schedule.pause").contains("\nIt may be submitted: chimes.submit.<namespace>.schedule.pause "))
        for name in ["schedule.get", "admin.freeze.set"] { #expect(!text(name).contains("submit"), "\(name)") }
    }

    @Test func aNounShowsItsCommands() {
        let text = text("freeze")
        #expect(text.split(separator: "\n").count { $0.hasPrefix("admin.freeze.") } == 3)
        #expect(!text.contains("schedule.create"))
    }

    @Test(arguments: [
        ("schedule.crate", "schedule.create"), ("create", "schedule.create"), ("Schedule.Pausee", "schedule.pause"),
        ("system.status.", "admin.system.status"), ("execution.lst", "execution.list"),
    ])
    func anUnknownNameGetsTheNearest(request: String, nearest: String) {
        let answer = help.answer(Array(request.utf8))
        #expect(answer.failure?.code == .unknownCommand)
        let text = String(decoding: answer.body, as: UTF8.self)
        #expect(text.contains(nearest), "\(text)")
    }

    @Test func whatIsNearToNothingGetsNoName() {
        #expect(text("zzzzzzzzzz") == "there is no command 'zzzzzzzzzz'; `help` lists all\n")
        #expect(CommandCatalogue.names(near: "").isEmpty)
    }

    @Test func programsGetTheSameAsJSON() throws {
        let all = try JSONValue.parse(help.answer(Array(#"{"format":"json"}"#.utf8)).body)
        #expect(all["type"]?.string == "io.carillon.v1.system_help_response")
        let commands = try #require(all["help"]?["commands"])
        #expect(commands.elements.compactMap { $0["name"]?.string } == CommandCatalogue.all.map(\.name))
        let one = try JSONValue.parse(help.answer(Array(#"{"command":"schedule.get","format":"json"}"#.utf8)).body)
        let page = try #require(one["help"]?["commands"].flatMap { Array($0.elements).first })
        #expect(page["subject"]?.string == "chimes.cmd.<namespace>.schedule.get")
        #expect(page["request_schema"]?.string == "carillon:schemas/commands/schedule.get.request.v1.json")
        #expect(page["changes"]?.bool == false)
        let submitted = commands.elements.filter { $0["may_be_submitted"]?.bool == true }
        let changing = commands.elements.filter { $0["changes"]?.bool == true && $0["kind"]?.string == "cmd" }
        #expect(!changing.isEmpty && submitted.map { $0["name"]?.string } == changing.map { $0["name"]?.string })
    }

    @Test func aRefusalIsOfTheFormatThatWasAskedFor() throws {
        let json = help.answer(Array(#"{"command":"nope.nope","format":"json"}"#.utf8))
        #expect(try JSONValue.parse(json.body)["error"]?["err_code"]?.int64 == 10404)
        #expect(help.answer(Array(#"{"format":"yaml"}"#.utf8)).failure?.code == .invalidValue)
        #expect(help.answer(Array(#"{"verbose":true}"#.utf8)).failure?.code == .unknownField)
        #expect(help.answer(Array(#"{"command":"#.utf8)).failure?.code == .badJSON)
        #expect(help.answer([UInt8](repeating: 0x61, count: 5000)).failure?.code == .requestTooLarge)
    }
}
