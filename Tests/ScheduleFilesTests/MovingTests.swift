import JSONText
import LocalServers
import Testing

@testable import ScheduleFiles

/// What docs/moving.md tells movers to apply.
@Suite("The page for moving over") struct MovingTests {
    private static func contents(_ path: String) -> String { Filesystem.tail(path, bytes: 1 << 20) }

    private static func items(_ text: String) -> (bodies: [JSONValue], problems: [String]) {
        var file = DefinitionFile(DefinitionFile.Reading())
        file.read(text, file: "moving")
        let problems = file.problems + file.items.flatMap { DefinitionFileTests.check.problems(of: $0) }
        return (file.items.compactMap { try? JSONValue.parse($0.body) }, problems.map(\.description))
    }

    @Test("Its definitions are valid, in shadow, and those of the example, one by one")
    func definitions() throws {
        let example = Self.items(Self.contents("examples/moving.yaml"))
        #expect(example.problems == [] && example.bodies.count == 6)
        let blocks = Self.contents("docs/moving.md").split(separator: "```yaml\n").dropFirst().map {
            String($0.prefix(upTo: $0.firstRange(of: "```")?.lowerBound ?? $0.endIndex))
        }
        let page = blocks.map(Self.items)
        #expect(page.flatMap(\.problems) == [])
        #expect(
            page.flatMap(\.bodies).map { String(decoding: $0.bytes, as: UTF8.self) }
                == example.bodies.map { String(decoding: $0.bytes, as: UTF8.self) })
        #expect(example.bodies.allSatisfy { $0["shadow"]?.bool == true })
    }
}
