import ArgumentParser
import Glibc
import Recurrence
import SchedulerCore
import Telemetry
import ZoneData

/// `carillon next`: when a cron expression or a recurrence rule is due. Needs no server.
struct NextCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "next", abstract: "Show when a cron expression or a recurrence rule is due next.",
        discussion: "Prints one instant a line, RFC 3339 in UTC: carillon next '30 2 * * *' --timezone Europe/Paris")

    @Argument(
        help: ArgumentHelp(
            "Five fields, six with seconds, seven with a year as well, a nickname such as @daily, or '@every 1h30m'.",
            discussion: "Or a recurrence rule of RFC 5545: 'FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=9;BYMINUTE=0'."))
    var expression: String

    @Option(help: "An IANA time zone, from this system's tzdata; UTC by default, or what CRON_TZ= in front says.")
    var timezone: String?
    @Option(help: ArgumentHelp("The instants are later than this one, RFC 3339; now by default.", valueName: "instant"))
    var from: String?
    @Option(
        help: ArgumentHelp(
            "What rules and '@every' begin with, RFC 3339, as a schedule's start_at.", valueName: "instant"))
    var startAt: String?
    @Option(help: "How many, 1 to 10000.") var count = 5
    @Option(help: "vixie, skip, literal or utc: what happens where clocks are moved.") var dstPolicy = "vixie"
    @Option(help: ArgumentHelp("What H chooses by: a schedule's namespace/name.", valueName: "key"))
    var hashKey: String?
    @Flag(
        help: "Say the expression in words, and of each fire the local time and what a change of the clocks did to it.")
    var explain = false

    func run() throws {
        do throws(NextFires.Fault) {
            let fires = NextFires(
                expression: expression, timezone: timezone, dstPolicy: dstPolicy, hashKey: hashKey, count: count,
                start: try NextFires.instant(from, "--from") ?? WallClockText.instant(),
                startAt: try NextFires.instant(startAt, "--start-at"))
            for line in try explain ? fires.explanation() : fires.lines() { print(line) }
        } catch {
            Console.error(error.lines.joined(separator: "\n"))
            throw ExitCode(EX_DATAERR)
        }
    }
}

/// The answer of `carillon next`, as text.
struct NextFires {
    let expression: String
    /// Nil where none was given.
    let timezone: String?
    let dstPolicy: String
    var hashKey: String?
    let count: Int
    /// The instants are later than this one.
    let start: Instant
    /// What rules and `@every` begin with; nil is `start`, which is then no instant of theirs.
    var startAt: Instant?

    /// What is wrong with a question; the later lines show the place.
    struct Fault: Error {
        let lines: [String]
    }

    /// An instant as a flag has it.
    static func instant(_ text: String?, _ flag: String) throws(Fault) -> Instant? {
        guard let text else { return nil }
        guard let instant = Instant(rfc3339: text) else {
            throw Fault(lines: ["\(flag): expected an instant such as 2026-11-21T07:40:00Z, got '\(text)'"])
        }
        return instant
    }

    func lines() throws(Fault) -> [String] {
        try recurrence().recurrence.fires(after: lower, count: count).map { Self.text($0) }
    }

    func explanation() throws(Fault) -> [String] {
        let (recurrence, zone, policy) = try recurrence()
        return FireExplanation(recurrence: recurrence, zone: zone, policy: policy).lines(after: lower, count: count)
    }

    /// Nothing comes before what the expression begins with.
    private var lower: Instant {
        guard let startAt, startAt > start else { return start }
        return Instant(milliseconds: startAt.milliseconds - 1)
    }

    private func recurrence() throws(Fault) -> (recurrence: Recurrence, zone: ZoneRules, policy: DSTPolicy) {
        guard (1...10_000).contains(count) else {
            throw Fault(lines: ["--count: expected a number from 1 to 10000, got \(count)"])
        }
        guard let policy = DSTPolicy(rawValue: dstPolicy) else {
            let known = DSTPolicy.allCases.map(\.rawValue).joined(separator: ", ")
            throw Fault(lines: ["--dst-policy: expected one of \(known), got '\(dstPolicy)'"])
        }
        guard !isRule else {
            let zone = try rules(of: timezone ?? "UTC")
            return (.rrule(try rule(zone, policy)), zone, policy)
        }
        let parsed: CronExpression
        do {
            parsed = try CronExpression(parsing: expression, hash: hashKey.map { Digest.stableNumber(of: $0) })
        } catch {
            let hint = error.code == .hashKey ? ["--hash-key: give the schedule's namespace/name"] : []
            throw Fault(lines: place(error.description, error.offset) + hint)
        }
        let zone = try zone(of: parsed)
        return (Recurrence(parsed, zone: zone, policy: policy, anchor: startAt ?? start), zone, policy)
    }

    /// No cron expression has this in it.
    private var isRule: Bool { expression.uppercased().contains("FREQ=") }

    private func rule(_ zone: ZoneRules, _ policy: DSTPolicy) throws(Fault) -> ZonedRule {
        guard hashKey == nil else { throw Fault(lines: ["--hash-key: a recurrence rule has no H"]) }
        do {
            return try ZonedRule(
                RecurrenceRule(parsing: expression), zone: zone, policy: policy, start: startAt ?? start,
                includesStart: startAt != nil)
        } catch { throw Fault(lines: place(error.description, error.offset)) }
    }

    private func zone(of parsed: CronExpression) throws(Fault) -> ZoneRules {
        if let prefix = parsed.timezone, let timezone, prefix != timezone {
            throw Fault(lines: ["--timezone: '\(timezone)' is another than '\(prefix)' in front of the expression"])
        }
        return try rules(of: parsed.timezone ?? timezone ?? "UTC")
    }

    private func rules(of name: String) throws(Fault) -> ZoneRules {
        do { return try ZoneDatabase().rules(for: name) } catch {
            guard let prefix = CronExpression.zonePrefix(of: expression) else {
                throw Fault(lines: ["--timezone: \(error)"])
            }
            throw Fault(lines: place("The time zone in front (byte \(prefix.offset)): \(error)", prefix.offset))
        }
    }

    /// A message, and below it the expression with a `^` under the byte it speaks of.
    private func place(_ message: String, _ offset: Int) -> [String] {
        let column = expression.utf8.prefix(offset).count { $0 & 0xC0 != 0x80 }
        return [message, "  " + Self.oneLine(expression), "  " + String(repeating: " ", count: column) + "^"]
    }

    private static func oneLine(_ text: String) -> String {
        String(text.map { $0.isNewline || $0 == "\t" ? " " : $0 })
    }

    /// Without a fraction where there is none.
    static func text(_ instant: Instant) -> String {
        let text = instant.rfc3339
        return text.hasSuffix(".000000Z") ? text.dropLast(8) + "Z" : text
    }
}
