import JSONText
import LocalServers
import Testing

@testable import JSONSchema

/// The draft-07 tests of the JSON Schema organisation, as Debian packages them (`json-schema-test-suite`): all that are
/// mandatory, but for references that leave the document, which are refused when the schema is compiled.
@Suite struct SuiteTests {
    private static let folder = "/usr/share/json-schema-test-suite/tests/draft7"

    /// Groups whose schema refers to a document elsewhere, by file and description.
    private static let remote: Set<String> = [
        "refRemote.json: remote ref",
        "refRemote.json: fragment within remote ref",
        "refRemote.json: ref within remote ref",
        "refRemote.json: base URI change",
        "refRemote.json: base URI change - change folder",
        "refRemote.json: base URI change - change folder in subschema",
        "refRemote.json: root ref in remote ref",
    ]

    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        let schema: JSONValue
        let tests: [(description: String, data: JSONValue, isValid: Bool)]

        var testDescription: String { name }
    }

    private static func cases(in folder: String) throws -> [Case] {
        try Filesystem.names(in: folder).filter { $0.hasSuffix(".json") }.sorted().flatMap { file in
            try JSONValue.parse(contents(of: folder + "/" + file)).elements.map { group in
                Case(
                    name: "\(file): \(group["description"]?.string ?? "?")", schema: try #require(group["schema"]),
                    tests: try #require(group["tests"]).elements.map {
                        ($0["description"]?.string ?? "?", try #require($0["data"]), $0["valid"]?.bool ?? false)
                    })
            }
        }
    }

    @Test("All mandatory tests of draft-07 pass, but for remote references, which are refused by name")
    func mandatory() throws {
        let cases = try Self.cases(in: Self.folder)
        var asked = 0
        var refused: Set<String> = []
        for group in cases {
            if Self.remote.contains(group.name) {
                let error = #expect(throws: SchemaError.self) { try CompiledSchema(group.schema) }
                if error?.code == .unresolved { refused.insert(group.name) }
                continue
            }
            let schema = try CompiledSchema(group.schema)
            for test in group.tests {
                asked += 1
                let problems = schema.validate(test.data)
                #expect(
                    problems.isEmpty == test.isValid,
                    "\(group.name): \(test.description): \(problems.map(\.description))")
            }
        }
        // Of the package's version 2.0.0; a newer one may have more.
        #expect(asked >= 408, "asked \(asked) of \(cases.count) groups")
        #expect(refused == Self.remote)
    }

    @Test("Of the optional tests, numbers beyond every machine word")
    func largeNumbers() throws {
        let groups = try JSONValue.parse(contents(of: Self.folder + "/optional/bignum.json"))
        #expect(groups.count >= 7)
        for group in groups.elements {
            let schema = try CompiledSchema(try #require(group["schema"]))
            for test in try #require(group["tests"]).elements {
                let data = try #require(test["data"])
                #expect(schema.validate(data).isEmpty == test["valid"]?.bool, "\(test["description"]?.string ?? "?")")
            }
        }
    }
}
