import Glibc
import LocalServers
import Testing

/// `carillon dev` as a newcomer runs it: a process, read by what it prints.
@Suite(.serialized) struct DevTests {
    private struct Run {
        let process: ChildProcess
        let log: String

        init(_ arguments: [String], in folder: String, _ name: String) throws {
            log = "\(folder)/\(name).log"
            process = try ChildProcess([TestProgram.path, "dev"] + arguments, logPath: log)
        }

        var text: String { Filesystem.tail(log, bytes: 1 << 20) }

        func lines(with word: String) -> [Substring] { text.split(separator: "\n").filter { $0.contains(word) } }

        func waitForLine(_ word: String, _ limit: Duration = .seconds(30)) async -> Bool {
            await waitUntil(limit) { !lines(with: word).isEmpty || process.reap() } && !lines(with: word).isEmpty
        }
    }

    private func withFolder(_ body: (String) async throws -> Void) async throws {
        let folder = try Filesystem.makeTemporaryFolder()
        defer { Filesystem.remove(folder) }
        try await body(folder)
    }

    @Test(.timeLimit(.minutes(1))) func itShowsFiredCommandsAndEventsAndLeavesNothingBehind() async throws {
        try await withFolder { folder in
            let run = try Run([], in: folder, "dev")
            #expect(await run.waitForLine(" fired  demo.hello"), "\(run.text)")
            #expect(await run.waitForLine(" event  execution.delivered"), "\(run.text)")
            let pids = ["nats-server", "postgres"].flatMap { name in Self.pids(of: name, below: run.process.pid) }
            #expect(pids.count >= 2)
            let data = try #require(run.lines(with: "  data ").first?.split(separator: " ").dropFirst().first)
            // Together they are one wish, as when a process and its group are signalled.
            run.process.signal(SIGINT)
            run.process.signal(SIGTERM)
            #expect(await run.process.waitForEnd(.seconds(15)))
            #expect(run.process.hasSucceeded, "\(run.text)")
            #expect(access(String(data), F_OK) != 0)
            for pid in pids { #expect(kill(pid, 0) != 0) }
        }
    }

    @Test(.timeLimit(.minutes(1))) func aSecondStartOnTheSameFolderKeepsTheSchedules() async throws {
        try await withFolder { folder in
            chmod(folder, 0o755)
            let arguments = ["--data-dir", folder + "/data"]
            for name in ["first", "second"] {
                let run = try Run(arguments, in: folder, name)
                #expect(await run.waitForLine(" fired  demo.hello"), "\(run.text)")
                #expect(run.lines(with: "schedule.created").count == (name == "first" ? 1 : 0))
                let rival = try Run(arguments, in: folder, "rival of \(name)")
                #expect(await rival.process.waitForEnd(.seconds(10)))
                #expect(rival.text.contains("is in use by another carillon dev"))
                run.process.signal(SIGINT)
                #expect(await run.process.waitForEnd(.seconds(15)))
            }
        }
    }

    @Test(.timeLimit(.minutes(1)), arguments: ["--nats-port", "--postgres-port"])
    func aPortThatIsTakenIsOneLine(flag: String) async throws {
        try await withFolder { folder in
            let rival = try NATSServer()
            try await rival.start()
            let port = await rival.port
            let run = try Run([flag, "\(port)"], in: folder, "dev")
            #expect(await run.process.waitForEnd(.seconds(30)))
            #expect(!run.process.hasSucceeded)
            let faults = run.lines(with: "carillon: ")
            #expect(faults.count == 1)
            #expect(faults.first?.contains("port \(port) is taken") == true, "\(run.text)")
            await rival.remove()
        }
    }

    /// The processes of a program that descend from one of ours.
    private static func pids(of name: String, below parent: pid_t) -> [pid_t] {
        let tasks = Filesystem.names(in: "/proc/\(parent)/task").flatMap { task in
            Filesystem.tail("/proc/\(parent)/task/\(task)/children", bytes: 1 << 16).split(separator: " ")
        }
        return Set(tasks.compactMap { pid_t($0) })
            .filter { Filesystem.tail("/proc/\($0)/comm").hasPrefix(name) }
    }
}
