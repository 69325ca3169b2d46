import Glibc
import LocalServers

/// Programs that tests ask for help.
package enum Tool {
    /// The Python that has the tests' packages: `CARILLON_TEST_PYTHON`, else the project's own, else the machine's.
    package static var python: String {
        if let named = Filesystem.environment("CARILLON_TEST_PYTHON") { return named }
        let parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
        let own = parts.dropLast(3).joined(separator: "/") + "/.venv/bin/python"
        return access(own, X_OK) == 0 ? own : Filesystem.program("python3") ?? "python3"
    }

    /// Runs a program to its end; what it says goes to `tool.log` in the folder.
    /// - Throws: with that, where it fails.
    package static func run(_ program: String, _ arguments: [String], in folder: String) async throws {
        guard let path = Filesystem.program(program) else {
            throw TestSupportError(description: "expected the program \(program): make bootstrap installs it")
        }
        let log = folder + "/tool.log"
        let process = try ChildProcess([path] + arguments, logPath: log)
        guard await process.waitForEnd(.seconds(30)), process.hasSucceeded else {
            throw TestSupportError(description: "\(program) \(arguments.first ?? ""): \(Filesystem.tail(log))")
        }
    }
}
