import JSONText
import NATSClient
import ServiceFixture

/// The proof of the ledger (`admin.system.verify`), asked for page after page.
struct LedgerProof {
    let fixture: ServiceFixture
    /// No further page is asked for after so long.
    let seconds: Int64

    /// How many rows were looked at, how quickly, and the problems found.
    func line() async throws -> String {
        var (rows, looks): (Int64, Int64) = (0, 0)
        var problems: [String] = []
        var cursor = ""
        let begun = wallClock()
        while true {
            let body = #"{"check":"ledger","namespace":"bench","limit":50000,"from":"2000-01-01T00:00:00Z"\#(cursor)}"#
            let subject = try Subject("scheduler.admin.system.verify")
            let reply = try await fixture.client.request(subject, payload: Array(body.utf8), timeout: .seconds(20))
            let value = try JSONValue.parse(reply.payload)
            guard let ledger = value["verified"]?["ledger"] else {
                return "verify was refused: \(value["error"]?["description"]?.string ?? "?")"
            }
            rows += ledger["rows"]?.int64 ?? 0
            problems += (ledger["problems"].map { Array($0.elements) } ?? []).map { "\($0)" }
            looks += 1
            guard let next = value["next_cursor"]?.string, wallClock() - begun < seconds * 1_000_000 else { break }
            cursor = #","cursor":"\#(next)""#
        }
        let speed = Double(rows) / (Double(wallClock() - begun) / 1e6)
        let found = problems.isEmpty ? "no problem" : "\(problems.count) problems, the first: \(problems[0])"
        return "verify: \(rows) rows in \(looks) looks, \(Int(speed))/s, \(found)"
    }
}
