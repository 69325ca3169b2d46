import LocalServers
import SchedulerCore
import SchedulerHTTP
import Testing

@testable import carillon

@Suite("The file of bearer tokens") struct TokensFileTests {
    private static let digest = Digest.hexadecimal(Digest.sha256("secret".utf8))

    @Test func itIsRead() throws {
        let reading = TokensFile.read(
            """
            tokens:
              - name: billing
                sha256: \(Self.digest.uppercased())
                namespaces: [billing, invoices]
                read_only: true
              - {name: admin, sha256: "\(String(repeating: "0", count: 64))", namespaces: ["*"], admin: true}
            """)
        #expect(reading.problems == [])
        let access = try #require(reading.table.access(with: "secret".utf8))
        #expect(access.name == "billing" && access.isReadOnly && !access.isAdministrator)
        #expect(try access.namespaces == [Namespace("billing"), Namespace("invoices")])
        #expect(reading.table.entries.last?.access.namespaces == nil)
        #expect(reading.table.entries.last?.access.isAdministrator == true)
        #expect(reading.table.access(with: "Secret".utf8) == nil)
    }

    @Test(arguments: [
        ("", "expected 'tokens:'"), ("tokens: 7", "expected 'tokens:'"), ("tokens: [", "expected YAML"),
        ("tokens: []\nothers: 1", "there is no field 'others'"), ("tokens: [7]", "tokens[0]: expected an entry"),
        ("tokens: [{sha256: DIGEST, namespaces: [a]}]", "tokens[0].name: is required"),
        ("tokens: [{name: a, namespaces: [a]}]", "tokens[0].sha256: is required"),
        ("tokens: [{name: a, sha256: s3cret, namespaces: [a]}]", "tokens[0].sha256: is required"),
        ("tokens: [{name: a, sha256: DIGEST}]", "tokens[0].namespaces: is required"),
        ("tokens: [{name: a, sha256: DIGEST, namespaces: ['*', a]}]", "tokens[0].namespaces: expected a namespace"),
        ("tokens: [{name: a, sha256: DIGEST, namespaces: [a], admin: maybe}]", "tokens[0].admin: expected true"),
        ("tokens: [{name: a, sha256: DIGEST, namespaces: [a], token: x}]", "tokens[0].token: is no field"),
        (
            "tokens: [{name: a, sha256: DIGEST, namespaces: [a]}, {name: b, sha256: DIGEST, namespaces: [a]}]",
            "tokens[1]: has the name or the digest of another"
        ),
    ])
    func aProblemIsALineWithItsPlace(text: String, expected: String) throws {
        let reading = TokensFile.read(
            text.split(separator: "DIGEST", omittingEmptySubsequences: false).joined(separator: "'\(Self.digest)'"))
        let problem = try #require(reading.problems.first)
        #expect(problem.hasPrefix(expected) && !problem.contains("\n"), "\(problem)")
        #expect(!problem.contains("s3cret"))
    }

    @Test("A change holds from the next look on; what cannot be read changes nothing")
    func itIsLookedAtAgain() throws {
        let folder = try Filesystem.makeTemporaryFolder()
        defer { Filesystem.remove(folder) }
        let path = folder + "/tokens.yaml"
        try Filesystem.write("tokens: [{name: a, sha256: '\(Self.digest)', namespaces: [a]}]", to: path)
        let board = try TokenList.board(try Settings(values: ["API_TOKENS_FILE": path]))
        #expect(board.look() == nil)
        #expect(try board.access(authorization: "Bearer secret").name == "a")
        try Filesystem.write("tokens: 7", to: path)
        #expect(board.look() == .fault("expected 'tokens:' with a list of entries"))
        #expect(board.look() == nil && board.fault != nil)
        #expect(try board.access(authorization: "Bearer secret").name == "a")
        Filesystem.remove(path)
        guard case .fault = board.look() else {
            Issue.record("a file that is gone was taken")
            return
        }
        try Filesystem.write("tokens: []", to: path)
        #expect(board.look() == .changed(entries: 0) && board.fault == nil)
        #expect(throws: (any Error).self) { try board.access(authorization: "Bearer secret") }
    }
}
