import Synchronization
import TestSupport

/// Counts what came on a subject.
final class FiredReplies: Sendable {
    let count = Atomic<Int>(0)
}

/// Bodies of `schedule.create` that are wrong in a random way: fields with values of others, and broken bytes.
enum HostileBody {
    private static let names = [
        "name", "description", "schedule_type", "cron_expression", "interval_seconds", "run_at", "rrule", "timezone",
        "dst_policy", "start_at", "end_at", "max_runs", "spread_seconds", "target_command", "command_payload",
        "command_headers", "payload_template", "delivery", "priority", "tags", "metadata", "paused", "request_id",
        "misfire_policy", "misfire_grace_seconds", "max_in_flight", "nonsense", "id", "if_version", "dry_run", "",
    ]
    private static let values = [
        "null", "true", "0", "-1", "1.5", "1e308", "-1e-308", "9007199254740993", "18446744073709551616", #""""#,
        #""a""#, #""\u0000""#, #""\ud83d\ude00""#, #""* * * * *""#, #""0 0 30 2 *""#, #""*/0 99 L W #""#, "[]", "{}",
        "[[[[]]]]", #"{"a":{"b":[1,2,{}]}}"#, #"{"Nats-Msg-Id":"x"}"#, #""2026-01-01T00:00:00Z""#,
        #""9999-12-31T23:59:59Z""#, #""0001-01-01T00:00:00Z""#, #""Europe/Vienna""#, #""../../etc/passwd""#,
        #""demo.a""#, #""demo.>""#, #""$JS.API.>""#, #""cron""#, #""interval""#, #""once""#, #""immediate""#, "0.1",
        "253402300799", "3155760000", #""skip""#, #""core""#,
    ]

    static func make(_ random: inout SeededGenerator) -> [UInt8] {
        var fields: [String] = []
        if Bool.random(using: &random) {
            fields = [#""schedule_type":"interval""#, #""interval_seconds":3600"#, #""target_command":"demo.a""#]
        }
        for _ in 0..<Int.random(in: 0...6, using: &random) {
            let name = names[Int.random(in: 0..<names.count, using: &random)]
            fields.append("\"\(name)\":" + values[Int.random(in: 0..<values.count, using: &random)])
        }
        var bytes = Array("{\(fields.joined(separator: ","))}".utf8)
        guard Int.random(in: 0..<4, using: &random) == 0 else { return bytes }
        for _ in 0..<Int.random(in: 1...4, using: &random) where !bytes.isEmpty {
            let place = Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0..<3, using: &random) {
            case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
            case 1: bytes.remove(at: place)
            default: bytes.insert(UInt8.random(in: 0...255, using: &random), at: place)
            }
        }
        return bytes
    }
}
