import Glibc
import LocalServers
import ServiceFixture

/// The floor: a C program that does only the durable work of firing. It is run beside what is measured, on the same
/// servers, so that every figure is a ratio.
struct Floor {
    let fixture: ServiceFixture

    /// Fires a second, by the program's own count.
    func firesPerSecond(_ arguments: [String]) async throws -> Double {
        let program =
            ServiceFixture.program.split(separator: "/", omittingEmptySubsequences: false).dropLast()
            .joined(separator: "/") + "/CarillonFloor"
        let log = fixture.folder + "/floor.log"
        Filesystem.remove(log)
        let port = await fixture.postgres.port
        let process = try ChildProcess(
            [
                program, "--pg", "host=127.0.0.1 port=\(port) user=postgres dbname=floor", "--nats",
                await fixture.nats.url,
            ] + arguments, logPath: log)
        guard await process.waitForEnd(.seconds(300)), process.hasSucceeded else {
            throw FixtureError(description: "the floor failed: \(Filesystem.tail(log))")
        }
        let mark = "fires_per_second="
        guard let line = Filesystem.tail(log).split(separator: "\n").last(where: { $0.contains(mark) }),
            let range = line.firstRange(of: mark), let number = Double(line[range.upperBound...])
        else { return 0 }
        return number
    }

    /// Makes the floor's own database with a million timers.
    func setUp() async throws {
        try await fixture.postgres.createDatabase("floor")
        _ = try await firesPerSecond(["--setup", "1000000"])
    }
}
