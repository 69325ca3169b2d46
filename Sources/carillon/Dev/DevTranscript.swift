import Glibc
import JSONText
import NATSClient
import Recurrence
import Synchronization
import Telemetry

/// Shows what happens, a line each: the commands that are fired on `demo.>`, and the events.
///
/// A load test shall not drown in its own transcript: beyond so many lines a second the rest is counted.
final class DevTranscript: Sendable {
    private struct State {
        var shown = 0
        var fired = 0
        var events = 0
    }

    private static let mostLines = 40
    private static let mostPayloadBytes = 160

    private let console: LineSink
    private let isColoured: Bool
    private let state = Mutex(State())
    private let subscriptions = Mutex<[NATSCallbackSubscription]>([])

    init(_ console: LineSink, isColoured: Bool) {
        self.console = console
        self.isColoured = isColoured
    }

    func begin(on connection: NATSConnection, commands: String, events: String) throws(NATSError) {
        let fired = try connection.subscribe(try SubjectFilter(commands)) { [weak self] message in
            self?.show(command: message)
        }
        let told = try connection.subscribe(try SubjectFilter(events)) { [weak self] message in
            self?.show(event: message)
        }
        subscriptions.withLock { $0 = [fired, told] }
    }

    func end() {
        let ended = subscriptions.withLock { subscriptions in
            defer { subscriptions = [] }
            return subscriptions
        }
        for subscription in ended { subscription.cancel() }
    }

    /// Once a second: tells what was not shown.
    func turnSecond() {
        let past = state.withLock { state in
            defer { state = State() }
            return state
        }
        guard past.fired + past.events > 0 else { return }
        console.write("  … and in the same second \(past.fired) more fired commands, \(past.events) more events")
    }

    private func show(command message: borrowing IncomingMessage) {
        guard takesLine({ $0.fired += 1 }) else { return }
        let now = WallClockText.instant()
        var line = "\(Self.clock(now)) fired  \(String(decoding: message.subject, as: UTF8.self))"
        line += "  " + Self.printable(message.payload)
        if let id = message.header("Scheduler-Execution-Id") {
            line += "  schedule=\(message.header("Scheduler-Schedule-Name") ?? "?")"
            if let text = message.header("Scheduler-Scheduled-For"), let nominal = Instant(rfc3339: text) {
                line += " late=\(now.milliseconds(since: nominal))ms"
            }
            line += " attempt=\(message.header("Scheduler-Attempt") ?? "?") execution=\(id)"
        }
        console.write(isColoured ? "\u{1B}[1m\(line)\u{1B}[0m" : line)
    }

    private func show(event message: borrowing IncomingMessage) {
        guard takesLine({ $0.events += 1 }) else { return }
        let now = WallClockText.instant()
        var line = "\(Self.clock(now)) event  "
        if let event = try? JSONValue.parse(Array(message.payload)) {
            let tokens = (event["type"]?.string ?? "?").split(separator: ".")
            line += tokens.count >= 5 ? "\(tokens[2]).\(tokens[4])" : "?"
            let data = event["data"]
            for name in ["schedule_name", "instance_name"] {
                if let text = data?[name]?.string { line += "  \(name.split(separator: "_")[0])=\(text)" }
            }
            if let status = data?["reason"]?.string { line += " reason=\(status)" }
            if let text = data?["outcome"]?.string { line += " outcome=\(text)" }
            if let milliseconds = data?["lateness_ms"]?.int64 { line += " late=\(milliseconds)ms" }
            if let id = data?["execution_id"]?.string { line += " execution=\(id)" }
        } else {
            line += Self.printable(message.payload)
        }
        console.write(isColoured ? "\u{1B}[2m\(line)\u{1B}[0m" : line)
    }

    /// Whether there is room for a line in this second; else counts what is not shown.
    private func takesLine(_ count: (inout State) -> Void) -> Bool {
        state.withLock { state in
            guard state.shown >= Self.mostLines else {
                state.shown += 1
                return true
            }
            count(&state)
            return false
        }
    }

    /// `15:04:05.678`, UTC.
    private static func clock(_ instant: Instant) -> Substring { instant.rfc3339.dropFirst(11).prefix(12) }

    /// The beginning of a payload, fit for a terminal.
    private static func printable(_ payload: UnsafeRawBufferPointer) -> String {
        let text = String(decoding: payload.prefix(mostPayloadBytes), as: UTF8.self)
        let safe = String(
            String.UnicodeScalarView(text.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7F ? " " : $0 }))
        return payload.count > mostPayloadBytes ? safe + "… (\(payload.count) bytes)" : safe
    }
}
