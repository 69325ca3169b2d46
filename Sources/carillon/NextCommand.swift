import ArgumentParser
import Glibc
import Recurrence
import Telemetry
import ZoneData

/// `carillon next`: when a cron expression is due. Needs no server.
struct NextCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "next", abstract: "Show when a cron expression is due next.",
        discussion: "Prints one instant a line, RFC 3339 in UTC: carillon next '30 2 * * *' --timezone Europe/Paris")

    @Argument(help: "Five fields, six with seconds, a nickname such as @daily, or '@every 1h30m'.")
    var expression: String

    @Option(help: "An IANA time zone, from this system's tzdata.") var timezone = "UTC"
    @Option(help: ArgumentHelp("The instants are later than this one, RFC 3339; now by default.", valueName: "instant"))
    var from: String?
    @Option(help: "How many, 1 to 10000.") var count = 5
    @Option(help: "vixie, skip, literal or utc: what happens where clocks are moved.") var dstPolicy = "vixie"

    func run() throws {
        do throws(NextFires.Fault) {
            let start = try NextFires.instant(from)
            let fires = NextFires(
                expression: expression, timezone: timezone, dstPolicy: dstPolicy, count: count, start: start)
            for line in try fires.lines() { print(line) }
        } catch {
            Console.error(error.lines.joined(separator: "\n"))
            throw ExitCode(EX_DATAERR)
        }
    }
}

/// The answer of `carillon next`, as text.
struct NextFires {
    let expression: String
    let timezone: String
    let dstPolicy: String
    let count: Int
    let start: Instant

    /// What is wrong with a question; the later lines show the place.
    struct Fault: Error {
        let lines: [String]
    }

    /// An instant as a flag has it; nil is now.
    static func instant(_ text: String?) throws(Fault) -> Instant {
        guard let text else { return WallClockText.instant() }
        guard let instant = Instant(rfc3339: text) else {
            throw Fault(lines: ["--from: expected an instant such as 2026-11-21T07:40:00Z, got '\(text)'"])
        }
        return instant
    }

    func lines() throws(Fault) -> [String] {
        guard (1...10_000).contains(count) else {
            throw Fault(lines: ["--count: expected a number from 1 to 10000, got \(count)"])
        }
        guard let policy = DSTPolicy(rawValue: dstPolicy) else {
            let known = DSTPolicy.allCases.map(\.rawValue).joined(separator: ", ")
            throw Fault(lines: ["--dst-policy: expected one of \(known), got '\(dstPolicy)'"])
        }
        let zone: ZoneRules
        do { zone = try ZoneDatabase().rules(for: timezone) } catch {
            throw Fault(lines: ["--timezone: \(error)"])
        }
        let parsed: CronExpression
        do { parsed = try CronExpression(parsing: expression) } catch {
            throw Fault(lines: [error.description, "  " + Self.oneLine(expression), "  " + caret(error.offset)])
        }
        return Recurrence(parsed, zone: zone, policy: policy, anchor: start)
            .fires(after: start, count: count).map { Self.text($0) }
    }

    /// A `^` below the byte that an error names.
    private func caret(_ offset: Int) -> String {
        String(repeating: " ", count: expression.utf8.prefix(offset).count { $0 & 0xC0 != 0x80 }) + "^"
    }

    private static func oneLine(_ text: String) -> String {
        String(text.map { $0.isNewline || $0 == "\t" ? " " : $0 })
    }

    /// Without a fraction where there is none.
    private static func text(_ instant: Instant) -> String {
        let text = instant.rfc3339
        return text.hasSuffix(".000000Z") ? text.dropLast(8) + "Z" : text
    }
}
