import LocalServers
import TestSupport
import Testing

/// `schemas/`, held to its standards and to the documentation by a validator that others wrote.
@Suite struct ContractTests {
    @Test(arguments: ["generator", "standards", "asyncapi", "openapi", "documentation"])
    func theContractKeeps(what: String) async throws {
        let folder = try Filesystem.makeTemporaryFolder()
        defer { Filesystem.remove(folder) }
        try await Tool.run(Tool.python, ["Tests/python/check_contract.py", what], in: folder)
    }
}
