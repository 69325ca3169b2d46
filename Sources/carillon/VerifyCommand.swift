import ArgumentParser
import JSONText
import Recurrence
import SchedulerCore

/// `carillon verify`: asks the service to prove its ledger and its audit log from the tables.
struct VerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract:
            "Prove from the tables that every occurrence ended in exactly one place, and that the audit log is whole.",
        discussion: """
            What is wrong is told line by line, and what cannot be proved. Exit code 0: all is proved; 1: something is \
            wrong; 2: nothing is wrong, and something cannot be proved.
            """)

    @Option(help: "The first instant, RFC 3339; a day before --to by default.") var from: String?
    @Option(help: "Up to this instant; now by default.") var to: String?
    @Option(help: "Only the schedules of this namespace.") var namespace: String?
    @Option(help: "Only the schedule of this name; needs --namespace.") var schedule: String?
    @Flag(help: "Leave the audit log out.") var ledgerOnly = false
    @OptionGroup var client: ClientOptions

    func validate() throws {
        if schedule != nil, namespace == nil { throw ValidationError("--schedule needs --namespace: whose it is") }
        for (option, text) in [("--from", from), ("--to", to)] {
            guard let text, Instant(rfc3339: text) == nil else { continue }
            throw ValidationError("\(option): expected an instant such as 2026-11-21T09:30:00Z, got '\(text)'")
        }
    }

    func run() async throws {
        let namespace = try DefinitionFiles.namespace(namespace)
        var tally = Tally()
        try await client.withClient { client in
            do {
                try await verifyLedger(client, in: namespace, &tally)
                if !ledgerOnly { try await verifyAudit(client, &tally) }
            } catch let refusal as ServiceClient.Refusal {
                Console.error("system.verify: \(refusal)")
                for detail in refusal.details { Console.error("  \(detail.pointer): \(detail.message)") }
                throw ExitCode(1)
            }
        }
        if tally.problems > 0 { throw ExitCode(1) }
        if tally.unproved > 0 { throw ExitCode(2) }
    }

    /// What all pieces say together.
    private struct Tally {
        var problems = 0
        var unproved = 0
        var counts: [String: Int64] = [:]

        mutating func add(_ ledger: JSONValue) {
            for name in ["schedules", "occurrences", "ended", "open", "waiting", "commanded"] {
                counts[name, default: 0] += ledger[name]?.int64 ?? 0
            }
        }
    }

    private func verifyLedger(_ client: ServiceClient, in namespace: Namespace?, _ tally: inout Tally) async throws {
        var cursor: String?
        var window = ""
        repeat {
            var body = JSONWriter(capacity: 256)
            body.object { writer in
                writer.member("check", "ledger")
                writer.member("limit", 50_000)
                writer.member("from", ifPresent: from)
                writer.member("to", ifPresent: to)
                writer.member("namespace", ifPresent: namespace?.description)
                writer.member("schedule_name", ifPresent: schedule)
                writer.member("cursor", ifPresent: cursor)
            }
            let reply = try await client.administration("system.verify", body.bytes)
            guard let ledger = reply["verified"]?["ledger"] else { break }
            tally.add(ledger)
            window = "\(ledger["from"]?.string ?? "?") to \(ledger["to"]?.string ?? "?")"
            for problem in ledger["problems"].map({ Array($0.elements) }) ?? [] {
                tally.problems += 1
                print("\(Self.name(of: problem)): \(problem["kind"]?.string ?? "?"): \(Self.sentence(of: problem))")
            }
            for doubt in ledger["unproved"].map({ Array($0.elements) }) ?? [] {
                tally.unproved += 1
                let time = "\(doubt["from"]?.string ?? "?") to \(doubt["through"]?.string ?? "?")"
                print("\(Self.name(of: doubt)): not proved from \(time): \(Self.sentence(of: doubt))")
            }
            cursor = reply["next_cursor"]?.string
        } while cursor != nil
        let counts = tally.counts
        func count(_ name: String) -> Int64 { counts[name] ?? 0 }
        print(
            "ledger, \(window): \(count("occurrences")) occurrences of \(count("schedules")) schedules, "
                + "\(count("ended")) ended, \(count("open")) open, \(count("waiting")) waiting, "
                + "\(count("commanded")) by command; \(tally.problems) problems, \(tally.unproved) unproved")
    }

    private func verifyAudit(_ client: ServiceClient, _ tally: inout Tally) async throws {
        var cursor: String?
        var checked: Int64 = 0
        repeat {
            var body = JSONWriter(capacity: 128)
            body.object { writer in
                writer.member("limit", 50_000)
                writer.member("cursor", ifPresent: cursor)
            }
            let reply = try await client.administration("system.verify", body.bytes)
            guard let audit = reply["verified"]?["audit"] else { break }
            checked += audit["checked"]?.int64 ?? 0
            if let broken = audit["broken"] {
                tally.problems += 1
                print("audit: \(broken["problem"]?.string ?? "?"): \(Self.sentence(of: broken))")
            }
            cursor = reply["next_cursor"]?.string
        } while cursor != nil
        print("audit: \(checked) entries checked")
    }

    private static func name(of finding: JSONValue) -> String {
        guard let name = finding["schedule_name"]?.string else { return "ledger" }
        return "\(finding["namespace"]?.string ?? "?")/\(name)"
    }

    private static func sentence(of finding: JSONValue) -> String { finding["description"]?.string ?? "?" }
}
