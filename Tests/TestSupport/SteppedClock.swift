import Glibc
import LocalServers

/// A wall clock that a test sets while a program runs under it: the program's questions for the time are answered by a
/// small library that is loaded before its own. The monotonic clock stays.
///
/// Debian's `faketime` does not serve: under it Swift's programs lose their arguments.
package struct SteppedClock: Sendable {
    private let file: String
    /// What the program needs in its environment.
    package let environment: [String: String]

    /// - Parameter folder: every user of the program must be able to reach it.
    package init(in folder: String) async throws {
        file = folder + "/clock"
        let own = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
        let library = folder + "/stepped_clock.so"
        // Swift's toolchain has a C compiler.
        try await Tool.run(
            "clang", ["-O2", "-shared", "-fPIC", "-o", library, own + "/c/stepped_clock.c", "-ldl"], in: folder)
        environment = ["LD_PRELOAD": library, "STEPPED_CLOCK": file]
        try set(ahead: 0)
    }

    /// Sets the clock so many seconds ahead of the machine's, or behind it.
    package func set(ahead seconds: Int64) throws {
        // Programs have the file mapped: it is written in place, never cut.
        let descriptor = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
        defer { close(descriptor) }
        var value = seconds
        guard pwrite(descriptor, &value, 8, 0) == 8 else {
            throw TestSupportError(description: "expected to set the clock in \(file), got errno \(errno)")
        }
    }
}
