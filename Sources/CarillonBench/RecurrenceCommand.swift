import ArgumentParser
import Foundation
import Recurrence
import ZoneData

/// *recurrence*: how quick the arithmetic of occurrences is, on one core, beside croniter, cronsim and Foundation.
struct RecurrenceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "recurrence",
        abstract: "next and parse on one core, beside croniter, cronsim and Foundation; the worst legal expression.")

    @Option(help: "The time zone.") var zone = "America/New_York"
    @Option(help: "Rounds of each measurement; the quickest counts.") var rounds = 20
    @Option(help: "How many random expressions are tried for the worst one.") var worst = 20_000
    @Option(help: "The seed of that search.") var seed: UInt64 = 1

    /// Zones with gaps and repeats of every kind, for the search.
    private static let zones = [
        "Africa/Cairo", "Africa/Casablanca", "America/New_York", "Antarctica/Troll", "Asia/Gaza", "Australia/Lord_Howe",
        "Europe/Berlin", "Pacific/Apia",
    ]

    func run() throws {
        let database = ZoneDatabase()
        let speed = RecurrenceSpeed(zone: try database.rules(for: zone), rounds: rounds)
        let others = PythonSpeed(zone: zone).nanoseconds(RecurrenceSpeed.ordinary)
        if others.isEmpty { print("croniter and cronsim are missing: make bootstrap") }
        print("\(zone), one core; \"any\" asks at random instants, \"iterated\" after the last answer; others iterated")
        print(row("expression", ["any", "iterated", "parse", "croniter", "cronsim", "Foundation"]))
        var slowest = 0.0
        for text in RecurrenceSpeed.ordinary {
            let recurrence = try speed.recurrence(text)
            let any = speed.next(recurrence)
            slowest = max(slowest, any)
            let foundation = RecurrenceSpeed.components[text].flatMap { speed.foundation($0) }
            let python = others[text] ?? [nil, nil]
            let times = [any, speed.chain(recurrence), speed.parse(text)] + python + [foundation]
            print(row(text, times.map { $0.map(brief) ?? "-" }))
        }
        print("slowest of these: \(brief(slowest)), \(Int(1e9 / slowest)) a second")
        let longest = RecurrenceSpeed.longestTexts.map { ($0, speed.parse($0)) }.max { $0.1 < $1.1 }
        if let longest { print("slowest text to parse: \(brief(longest.1)) for \(longest.0.prefix(60))…") }
        try printWorst(database)
    }

    private func printWorst(_ database: ZoneDatabase) throws {
        var search = RecurrenceWorst(zones: try Self.zones.map { try database.rules(for: $0) }, seed: seed)
        let findings = try search.search(worst)
        print("worst of \(worst) random expressions, seed \(seed):")
        for finding in findings.prefix(5) {
            let question = "\(finding.text) in \(finding.zone), \(finding.policy), after \(finding.instant.rfc3339)"
            print("  \(brief(finding.nanoseconds)): \(question)")
        }
    }

    private func row(_ name: String, _ columns: [String]) -> String {
        let cells = columns.map { String(repeating: " ", count: max(1, 12 - $0.count)) + $0 }
        return name.padding(toLength: 20, withPad: " ", startingAt: 0) + cells.joined()
    }

    private func brief(_ nanoseconds: Double) -> String {
        nanoseconds < 10_000 ? "\(Int(nanoseconds)) ns" : "\(Int(nanoseconds / 1000)) µs"
    }
}
