import Synchronization
import TestSupport

/// Counts what came on a subject.
final class FiredReplies: Sendable {
    let count = Atomic<Int>(0)
}

/// A body that is right but for one thing, and what is wrong with it.
struct HostileBody: Sendable {
    /// `<noun>.<verb>`.
    let command: String
    let bytes: [UInt8]
    /// What was done to it, for a test's log.
    let what: String
}

extension HostileBody {
    /// Bodies that their commands would take, as members of one object.
    private static let commands: [(name: String, members: [(name: String, value: String)])] =
        definitions + [
            ("schedule.update", [("name", #""n""#), ("interval_seconds", "7200")]),
            ("schedule.get", [("name", #""n""#)]), ("schedule.delete", [("name", #""n""#)]),
            ("schedule.pause", [("name", #""n""#), ("reason", #""r""#)]),
            ("schedule.resume", [("name", #""n""#), ("catch_up", "false")]),
            ("schedule.trigger", [("name", #""n""#), ("payload", "{}")]),
            ("schedule.backfill", [("name", #""n""#), ("from", instant), ("limit", "5")]),
            ("schedule.explain", [("name", #""n""#), ("at", instant)]),
            ("schedule.stats", [("name", #""n""#), ("window_seconds", "60"), ("step_seconds", "60")]),
            ("schedule.timeline", [("name", #""n""#), ("past", "5")]), ("schedule.forecast", [("limit", "10")]),
            ("schedule.list", [("limit", "10"), ("name_prefix", #""n""#)]),
            ("schedule.bulk", [("names", #"["n"]"#), ("operation", #""pause""#)]),
            ("execution.list", [("limit", "10")]), ("execution.get", [("id", id)]),
            ("execution.cancel", [("id", id)]), ("execution.retry", [("id", id)]),
            ("execution.stats", [("window_seconds", "60")]), ("audit.list", [("limit", "10")]),
            ("target.list", [("limit", "10")]),
            ("calendar.put", [("name", #""n""#), ("working_days", #"["MON-FRI"]"#)]),
            ("calendar.get", [("name", #""n""#)]), ("calendar.delete", [("name", #""n""#)]),
            ("calendar.list", [("limit", "10")]),
        ] + administration

    private static let instant = #""2026-01-01T00:00:00Z""#
    private static let id = #""01a1fd73-4acf-7c52-9c07-fd9a55eb6b51""#

    private static let definitions: [(name: String, members: [(name: String, value: String)])] = [
        ("schedule.create", definition), ("schedule.put", [("name", #""n""#)] + definition),
        ("schedule.validate", definition), ("schedule.preview", definition + [("count", "3")]),
        ("schedule.bulk_create", [("atomic", "true"), ("schedules", "[{\(text(of: definition))}]")]),
    ]

    private static let administration: [(name: String, members: [(name: String, value: String)])] = [
        ("admin.target.allow", [("namespace", #""hostile""#), ("subject", #""hostile.>""#)]),
        ("admin.target.revoke", [("namespace", #""hostile""#), ("subject", #""hostile.>""#)]),
        ("admin.namespace.limits", [("namespace", #""hostile""#), ("max_schedules", "5")]),
        ("admin.freeze.set", [("namespace", #""hostile""#), ("until", #""2999-01-01T00:00:00Z""#)]),
        ("admin.freeze.clear", [("id", id)]), ("admin.system.forecast", [("limit", "10")]),
        ("admin.system.verify", [("limit", "10")]),
        ("admin.audit.list", [("namespace", #""hostile""#), ("limit", "10")]),
        ("admin.data.import", [("records", #"[{"kind":"nonsense"}]"#)]), ("admin.data.export", [("limit", "1")]),
    ]

    private static let definition = [
        ("schedule_type", #""interval""#), ("interval_seconds", "3600"), ("target_command", #""demo.a""#),
    ]

    private static func text(of members: [(name: String, value: String)]) -> String {
        members.map { "\"\($0.name)\":\($0.value)" }.joined(separator: ",")
    }

    /// What no field of any command takes, whatever stands beside it.
    private static let nobodysValues = [
        "[[[[]]]]", "1e308", "-1e-308", "9007199254740993.5", "18446744073709551616", "-1",
        #"{"a":{"b":[1,2,{}]}}"#, #"[null,[]]"#, #"[{"Nats-Msg-Id":"x"}]"#,
    ]
    /// Unknown members; look-alikes of known ones among them.
    private static let nobodysNames = [
        "nonsense", "", "Name", "nаme", "name ", "schedule_typе", "interval_seconds\\u0000", "__proto__", "$ref",
        "target_command\\r\\nNats-Evil: 1", "\\ud83d\\ude00", "a/b~c", "id\\u200b",
    ]
    private static let hostileTargets = [
        "*", ">", "demo.*", "demo.>", "$JS.API.STREAM.PURGE.DEMO", "$SRV.PING", "_INBOX.a", "scheduler",
        "scheduler.cmd.victim.schedule.delete", "demo..a", ".demo", "demo.", "demo a", "demo.a\\r\\nPUB demo.b 0\\r\\n",
        "demo.\\u0000", "dеmo.a", "ｄemo.a", "demo.a\\u200b", "Demo.a", "demonic.a",
    ]

    /// One that is refused for certain.
    static func make(_ random: inout SeededGenerator) -> HostileBody {
        let command = commands[Int.random(in: 0..<commands.count, using: &random)]
        var members = command.members
        let what: String
        switch Int.random(in: 0..<10, using: &random) {
        case 0...2:
            let place = Int.random(in: 0..<members.count, using: &random)
            // A payload may be anything.
            guard members[place].name != "payload" else { return make(&random) }
            members[place].value = nobodysValues[Int.random(in: 0..<nobodysValues.count, using: &random)]
            what = "\(members[place].name) is \(members[place].value)"
        case 3...4:
            let name = nobodysNames[Int.random(in: 0..<nobodysNames.count, using: &random)]
            members.insert((name, "1"), at: Int.random(in: 0...members.count, using: &random))
            what = "a member '\(name)'"
        case 5:
            let twice = members[Int.random(in: 0..<members.count, using: &random)]
            members.append(twice)
            what = "\(twice.name) twice"
        case 6 where members.contains { $0.name == "target_command" }:
            let target = hostileTargets[Int.random(in: 0..<hostileTargets.count, using: &random)]
            members = members.map { $0.name == "target_command" ? ($0.name, "\"\(target)\"") : $0 }
            what = "the target '\(target)'"
        case 7:
            let size = [5000, 100_000, 1_000_000][Int.random(in: 0..<3, using: &random)]
            members =
                members.filter { $0.name != "name" } + [("name", "\"\(String(repeating: "é", count: size / 2))\"")]
            what = "a name of \(size) bytes"
        case 8:
            let depth = Int.random(in: 33...20_000, using: &random)
            let isArray = Bool.random(using: &random)
            let deep =
                String(repeating: isArray ? "[" : #"{"a":"#, count: depth) + "1"
                + String(repeating: isArray ? "]" : "}", count: depth)
            members.append(("command_payload", deep))
            what = "\(depth) deep"
        default:
            return broken(command.name, Array("{\(text(of: members))}".utf8), &random)
        }
        return HostileBody(command: command.name, bytes: Array("{\(text(of: members))}".utf8), what: what)
    }

    /// Bytes that are no JSON, or no UTF-8.
    private static func broken(
        _ command: String, _ whole: [UInt8], _ random: inout SeededGenerator
    ) -> HostileBody {
        var bytes = whole
        switch Int.random(in: 0..<4, using: &random) {
        case 0:
            bytes.removeLast(Int.random(in: 1..<bytes.count, using: &random))
            return HostileBody(command: command, bytes: bytes, what: "cut off after \(bytes.count) bytes")
        case 1:
            let place = Int.random(in: 0...bytes.count, using: &random)
            let byte = [0xFF, 0xFE, 0xC0, 0x80, 0xF8][Int.random(in: 0..<5, using: &random)]
            bytes.insert(UInt8(byte), at: place)
            return HostileBody(command: command, bytes: bytes, what: "the byte \(byte) at \(place)")
        case 2:
            bytes += bytes
            return HostileBody(command: command, bytes: bytes, what: "two values")
        default:
            return HostileBody(command: command, bytes: Array("[".utf8) + bytes + Array("]".utf8), what: "an array")
        }
    }
}
