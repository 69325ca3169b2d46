import JSONText
import SchedulerWire
import Testing

@testable import carillon

/// What the documentation lists is what there is.
@Suite struct DocumentTests {
    private func contents(_ path: String) throws -> String {
        try #require(CommandLineEnvironment.contents(of: path), "\(path)")
    }

    @Test func theListOfErrorsIsTheRegistry() throws {
        let rows = try contents("docs/errors.md").split(separator: "\n").filter { $0.hasPrefix("| ") }.dropFirst(2)
        let expected = ErrorCode.allCases.sorted { $0.errCode < $1.errCode }.map {
            "| \($0.errCode) | `\($0.name)` | \($0.httpStatus) | \($0.meaning) |"
        }
        #expect(rows.map(String.init) == expected)
    }

    /// Each command, event and endpoint has its files, and asyncapi.yaml its channel.
    @Test func everyCommandAndEventHasItsSchemasAndItsChannel() throws {
        let channels = try contents("schemas/asyncapi.yaml")
        func expectFile(of id: String) throws {
            let path = String(id.dropFirst("carillon:".count))
            #expect(try JSONValue.parse(contents(path))["$id"]?.string == id)
        }
        for page in CommandCatalogue.all {
            try expectFile(of: page.requestSchema)
            try expectFile(of: page.replySchema)
            let address = page.subject(prefix: "scheduler", namespace: "{namespace}")
            #expect(channels.contains("address: \"\(address)\"\n"), "\(page.name)")
            let request = try JSONValue.parse(contents(String(page.requestSchema.dropFirst("carillon:".count))))
            #expect((request["properties"]?["dry_run"] != nil) == page.isChanging, "\(page.name)")
        }
        try expectFile(of: Help.requestSchema)
        try expectFile(of: Help.replySchema)
    }
}
