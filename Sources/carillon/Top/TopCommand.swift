import ArgumentParser
import Glibc
import NATSClient
import Telemetry
import TopView
import UnixSignals

/// `carillon top`: members, backlog, lateness, troubles and events, as they are.
struct TopCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "top",
        abstract: "Show members, backlog, lateness, failures and events in a terminal, as they are.",
        discussion: """
            q or ctrl-C leaves. A lost connection is shown, and made again. It asks admin.system.status once a second, and \
            listens to the events from now on; the user of NATS needs both. NO_COLOR leaves the colours out.
            """)

    @Flag(help: "Listen for a second, print one frame as text, and end: for scripts and pipes. 69: nobody answered.")
    var once = false
    @OptionGroup var client: ClientOptions

    private static let listening = Duration.seconds(1)
    /// How often a frame is drawn, and how often keys are looked at.
    private static let rhythm = Duration.milliseconds(500)
    private static let glance = Duration.milliseconds(100)

    private enum Wake {
        case look, resized, stop
    }

    func run() async throws {
        guard once || Terminal.isThere else {
            Console.error("top: expected a terminal on standard output; --once prints one frame as text")
            throw ExitCode(EX_USAGE)
        }
        let once = once
        try await client.withClient { client in
            if once { return try await Self.printOnce(client) }
            try await Termination.run { try await Self.show(client, until: $0) }
        }
    }

    private static func printOnce(_ client: ServiceClient) async throws {
        let board = TopBoard(client)
        let subscription = try board.listen()
        async let listened: Void = Task.sleep(for: listening)
        await board.ask(withMembers: true)
        try await listened
        subscription.cancel()
        let model = board.current
        for line in Terminal.frame.lines(model, at: WallClockText.instant()) {
            print(line.text(width: Terminal.frame.width, coloured: false))
        }
        if !model.isAnswered { throw ExitCode(EX_UNAVAILABLE) }
    }

    private static func show(_ client: ServiceClient, until stop: StopRequest) async throws {
        let board = TopBoard(client)
        let events = client.connection.eventStream()
        let subscription = try board.listen()
        let (wakes, wake) = AsyncStream.makeStream(of: Wake.self, bufferingPolicy: .bufferingNewest(16))
        await stop.handle { wake.yield(.stop) }
        let sizes = await UnixSignalsSequence(trapping: .sigwinch)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await board.askOnAndOn() }
            group.addTask { await board.follow(events) }
            group.addTask { for await _ in sizes { wake.yield(.resized) } }
            group.addTask {
                while !Task.isCancelled {
                    wake.yield(.look)
                    try? await Task.sleep(for: glance)
                }
            }
            await draw(board, wakes)
            group.cancelAll()
        }
        subscription.cancel()
    }

    private static func draw(_ board: TopBoard, _ wakes: AsyncStream<Wake>) async {
        let isColoured = Console.isColoured
        let terminal = Terminal()
        terminal.enter()
        defer { terminal.leave() }
        var drawn: ContinuousClock.Instant?
        for await wake in wakes {
            if wake == .stop { return }
            for key in terminal.keys() {
                switch key {
                case UInt8(ascii: "q"), UInt8(ascii: "Q"), 0x03: return
                case 0x1A:
                    // ctrl-Z: as any other program, with the terminal as it was; here it goes on.
                    terminal.leave()
                    raise(SIGTSTP)
                    terminal.enter()
                    drawn = nil
                default: break
                }
            }
            if wake != .resized, let drawn, .now - drawn < rhythm { continue }
            let frame = Terminal.frame
            terminal.draw(
                frame.lines(board.current, at: WallClockText.instant()).map {
                    $0.text(width: frame.width, coloured: isColoured)
                }, height: frame.height)
            drawn = .now
        }
    }
}
