import JSONText
import LocalServers
import NATSClient
import SchedulerWire
import ServiceFixture
import Testing

@testable import SchedulerAPI

/// The catalogue says of every command what is true.
@Suite struct CatalogueTests {
    private func names(_ kind: CommandPage.Kind) -> Set<String> {
        Set(CommandCatalogue.all.filter { $0.kind == kind }.map { "\($0.noun).\($0.verb)" })
    }

    @Test func catalogueAndHandlersNameTheSameCommands() {
        #expect(names(.command) == Set(CommandHandlers.names.map { "\($0.noun).\($0.verb)" }))
        #expect(names(.administration) == Set(AdministrationCommands.names.map { "\($0.noun).\($0.verb)" }))
        #expect(Set(CommandCatalogue.all.map(\.name)).count == CommandCatalogue.all.count)
    }

    @Test(arguments: CommandCatalogue.all)
    func aPageIsFitToBePasted(page: CommandPage) throws {
        #expect(page.summary.hasSuffix(".") && page.summary.count <= 120, "\(page.summary)")
        #expect(1...3 ~= page.examples.count)
        for example in page.examples {
            #expect(!example.contains("'") && !example.contains("\n"), "a shell reads '…' up to the next quote")
            if !example.isEmpty { #expect(try JSONValue.parse(example).kind == .object) }
        }
    }

    /// In their order, as somebody would who reads them from the first to the last.
    @Test(.timeLimit(.minutes(1))) func everyExampleOfHelpWorksAsItStands() async throws {
        let dev = try await RunningDev.start([])
        let (client, recorder) = try await dev.observe()
        let help = try await client.request(
            try Subject("scheduler.help"), payload: Array(#"{"format":"json"}"#.utf8), timeout: .seconds(5))
        let commands = try #require(try JSONValue.parse(help.payload)["help"]?["commands"])
        for name in ["", "schedule.create"] {
            let page = try await client.request(
                try Subject("scheduler.help"), payload: Array(name.utf8), timeout: .seconds(5))
            #expect(page.payload.contains(UInt8(ascii: "\n")) && page.header("Nats-Service-Error") == nil)
        }
        #expect(commands.count == CommandCatalogue.all.count)
        var execution = "none"
        for example in commands.elements.flatMap({ $0["examples"].map { Array($0.elements) } ?? [] }) {
            let subject = try #require(example["subject"]?.string)
            let body = try #require(example["body"]?.string).split(
                separator: ExampleText.executionID, omittingEmptySubsequences: false
            ).joined(separator: execution)
            let reply = try await client.request(
                try Subject(subject), payload: Array(body.utf8), timeout: .seconds(10))
            let text = String(decoding: reply.payload, as: UTF8.self)
            let value = try JSONValue.parse(reply.payload)
            // Which execution it is decides over these: one that was delivered is neither cancelled nor tried again, and
            // leaves no dead letter.
            let mayBe: Int64? =
                !body.contains(execution)
                ? nil : subject.contains(".execution.") ? 20412 : subject.contains(".dlq.") ? 20408 : nil
            let code = value["error"]?["err_code"]?.int64
            #expect(code == nil || code == mayBe, "\(subject) '\(body)': \(text)")
            execution = value["executions"].flatMap { Array($0.elements).first }?["id"]?.string ?? execution
        }
        await recorder?.stop()
        await client.close()
        #expect(await dev.stop())
    }
}
