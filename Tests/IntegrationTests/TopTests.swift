import Glibc
import JSONText
import LocalServers
import NATSClient
import ServiceFixture
import TestSupport
import Testing

extension Integration {
    /// `carillon top` as somebody sees it who sits before it.
    @Suite("carillon top", .serialized, .timeLimit(.minutes(1))) struct TopTests {
        private static let space = "top"
        private static let hasTmux = Filesystem.program("tmux") != nil

        /// Runs it without a terminal. - Returns: its exit code, and what it said.
        private func run(_ arguments: [String], environment: [String: String] = [:]) async throws -> (Int32, String) {
            let folder = try Filesystem.makeTemporaryFolder()
            defer { Filesystem.remove(folder) }
            let log = folder + "/top.log"
            let process = try ChildProcess(
                [ServiceFixture.program, "top"] + arguments, environment: environment, logPath: log)
            #expect(await process.waitForEnd(.seconds(15)))
            return (process.exitCode ?? -1, Filesystem.tail(log, bytes: 65_536))
        }

        @Test("--once prints a frame as text, says in its exit code whether anybody answered, and needs no terminal")
        func once() async throws {
            let fixture = try await SharedSystem.running.fixture
            let url = await fixture.nats.url
            let (code, text) = try await run(
                ["--once", "--nats-url", url], environment: ["COLUMNS": "100", "LINES": "40", "LANG": "C.UTF-8"])
            let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
            #expect(code == 0 && lines[0].hasPrefix("carillon top  nats://") && lines[0].count == 100, "\(text)")
            #expect(lines[1].hasPrefix("ready, 1 member"), "\(text)")
            #expect(lines[9].contains(" 256/256 ready "), "\(text)")
            #expect(!text.contains("\u{1B}"))
            let (alone, nobody) = try await run(["--once", "--nats-url", url, "--subject-prefix", "elsewhere"])
            #expect(
                alone == EX_UNAVAILABLE && nobody.contains("NO ANSWER for ")
                    && nobody.contains(" s: no scheduler runs here"), "\(nobody)")
            let (refused, why) = try await run(["--nats-url", url])
            #expect(refused == EX_USAGE && why.contains("--once prints one frame as text"), "\(why)")
        }

        @Test(
            "In a terminal: live events, another size, a lost connection, and the terminal as it was",
            .enabled(if: hasTmux, "tmux is missing: make bootstrap installs it"))
        func inATerminal() async throws {
            let fixture = try await SharedSystem.running.fixture
            let proxy = try CuttingProxy(to: await fixture.nats.port)
            defer { proxy.stop() }
            let screen = try await Screen.start(width: 80, height: 24)
            let command = "\(ServiceFixture.program) top --nats-url nats://127.0.0.1:\(proxy.port)"
            try await screen.type(command, "Enter")
            #expect(
                await screen.shows {
                    $0.first?.hasPrefix("carillon top") == true && $0.line(1).hasPrefix("ready, 1 member")
                }
            )
            #expect(await screen.shows { $0.contains { $0.hasPrefix("one ") && $0.contains(" 256/256 ready ") } })
            #expect(try await screen.state() == "1 0", "its own screen, without a cursor")

            let body =
                #"{"name":"seen","schedule_type":"interval","interval_seconds":0.5,"target_command":"demo.top","delivery":"core"}"#
            try await fixture.done("schedule.create", body, in: Self.space)
            #expect(
                await screen.shows {
                    $0.contains { $0.contains("execution.delivered") && $0.contains("top/seen  late ") }
                })
            #expect(await screen.shows { $0.line(4).contains("lateness p50 ") })

            try await screen.tmux("resize-window", "-x", "110", "-y", "30")
            // The clock stands at the right end.
            #expect(await screen.shows { $0.first?.count == 110 && $0.first?.hasSuffix("Z") == true && $0.count > 24 })

            proxy.set(.cutBefore("scheduler.admin"), then: .cutEach("CONNECT"))
            #expect(await screen.shows { $0.line(1).hasPrefix("CONNECTION LOST for ") })
            #expect(await screen.shows { $0.line(2).contains(" active") }, "what was known stays")
            proxy.set(.forward)
            #expect(await screen.shows { $0.line(1).hasPrefix("ready, 1 member") })
            try await fixture.done("schedule.pause", #"{"name":"seen","reason":"enough seen"}"#, in: Self.space)
            #expect(await screen.shows { $0.contains { $0.contains("schedule.paused") && $0.contains("enough seen") } })

            try await screen.type("q")
            #expect(await screen.shows { $0.last?.hasPrefix("at-the-prompt") == true })
            #expect(try await screen.state() == "0 1", "the first screen, with a cursor")
            try await screen.type("stty -a; echo ended with $?", "Enter")
            #expect(await screen.shows { $0.contains("ended with 0") })
            let stty = try await screen.lines().joined(separator: " ")
            for mode in [" icanon", " echo ", " isig", " icrnl"] { #expect(stty.contains(mode), "\(stty)") }

            try await screen.type("\(command); echo left with $?", "Enter")
            #expect(await screen.shows { $0.line(1).hasPrefix("ready, ") })
            try await screen.type("C-c")
            #expect(await screen.shows { $0.contains("left with 0") })
            await screen.end()
            try await fixture.done("schedule.delete", #"{"name":"seen"}"#, in: Self.space)
        }
    }
}

/// A terminal: a shell in a tmux of its own.
private struct Screen {
    private let folder: String
    /// tmux' own server, which ends with the test.
    private let server: ChildProcess

    private static func arguments(_ folder: String) throws -> [String] {
        [try #require(Filesystem.program("tmux")), "-u", "-S", folder + "/socket", "-f", "/dev/null"]
    }

    private static func environment(_ folder: String) -> [String: String] {
        [
            "PATH": Filesystem.environment("PATH") ?? "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": folder,
            "TERM": "xterm-256color",
        ]
    }

    static func start(width: Int, height: Int) async throws -> Screen {
        let folder = try Filesystem.makeTemporaryFolder()
        let server = try ChildProcess(
            try arguments(folder) + ["-D"], environment: environment(folder), logPath: folder + "/server")
        #expect(await waitUntil(.seconds(5)) { access(folder + "/socket", F_OK) == 0 })
        let screen = Screen(folder: folder, server: server)
        try await screen.tmux(
            "new-session", "-d", "-x", "\(width)", "-y", "\(height)",
            "PS1='at-the-prompt ' exec bash --norc --noprofile")
        #expect(await screen.shows { $0.last?.hasPrefix("at-the-prompt") == true })
        return screen
    }

    /// - Returns: what tmux said.
    @discardableResult
    func tmux(_ arguments: String...) async throws -> String {
        try await tmux(arguments)
    }

    private func tmux(_ arguments: [String]) async throws -> String {
        let log = folder + "/said"
        let process = try ChildProcess(
            try Self.arguments(folder) + arguments, environment: Self.environment(folder), logPath: log)
        let ended = await process.waitForEnd(.seconds(5))
        let said = Filesystem.tail(log, bytes: 65_536)
        Filesystem.remove(log)
        guard ended, process.hasSucceeded else {
            throw TestSupportError(description: "tmux \(arguments.joined(separator: " ")): \(said)")
        }
        return said
    }

    /// Keys as tmux names them; what is no name is typed.
    func type(_ keys: String...) async throws { _ = try await tmux(["send-keys"] + keys) }

    /// Whether it shows the other screen, and whether a cursor.
    func state() async throws -> String {
        let said = try await tmux("display-message", "-p", "#{alternate_on} #{cursor_flag}")
        return said.split(separator: "\n").first.map(String.init) ?? ""
    }

    /// What stands on it, without what is blank at the end.
    func lines() async throws -> [String] {
        var lines = try await tmux("capture-pane", "-p").split(separator: "\n", omittingEmptySubsequences: false)
        while lines.last?.isEmpty == true { lines.removeLast() }
        return lines.map(String.init)
    }

    /// Waits until it shows what is looked for.
    func shows(_ expected: @escaping ([String]) -> Bool) async -> Bool {
        let isShown = await waitUntil(.seconds(15)) {
            guard let lines = try? await lines() else { return false }
            return expected(lines)
        }
        if !isShown { print((try? await lines().joined(separator: "\n")) ?? "no screen") }
        return isShown
    }

    func end() async {
        _ = try? await tmux("kill-server")
        _ = await server.waitForEnd(.seconds(5))
        Filesystem.remove(folder)
    }
}

extension [String] {
    /// A line of a screen; empty where it has not so many.
    fileprivate func line(_ number: Int) -> String { indices.contains(number) ? self[number] : "" }
}
