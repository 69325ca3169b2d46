/// What a YAML scalar without quotes means as JSON.
///
/// YAML 1.1 and 1.2 read many of them differently: `yes`, `010`, `1:30`, `1e3`, `2026-12-25`. A schedule must not depend
/// on who reads its file, so whatever the two disagree about is refused with the advice to write quotes; and what neither
/// reads as JSON has it (`.inf`, `0x1F`, `+5`) is refused too. What is left means the same everywhere.
enum PlainScalar: Equatable {
    case null
    case bool(Bool)
    /// A number of JSON; its digits are kept as they stand.
    case number
    case string
    /// - Parameter: what some readers take it for.
    case ambiguous(String)

    init(_ text: String) {
        switch text {
        case "", "~", "null", "Null", "NULL": self = .null
        case "true", "True", "TRUE": self = .bool(true)
        case "false", "False", "FALSE": self = .bool(false)
        case "=", "<<": self = .ambiguous("a directive of YAML 1.1")
        default:
            if Self.truths.contains(text.lowercased()) {
                self = .ambiguous("true or false")
            } else if let first = text.utf8.first, Self.begins(number: first) {
                self = Self.numeral(text)
            } else {
                self = .string
            }
        }
    }

    private static let truths: Set<String> = ["y", "n", "yes", "no", "on", "off"]

    private static func begins(number byte: UInt8) -> Bool {
        isDigit(byte) || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "+") || byte == UInt8(ascii: ".")
    }

    /// Of a text that begins as a number does.
    private static func numeral(_ text: String) -> PlainScalar {
        // Regex literals hold no state; made here, for they are not Sendable.
        let json = /-?(0|[1-9][0-9]*)(\.[0-9]+([eE][-+][0-9]+)?)?/
        if text.wholeMatch(of: json) != nil { return .number }
        let date = /[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].*)?/
        if text.wholeMatch(of: date) != nil { return .ambiguous("a date") }
        let clock = /[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?/
        // `09:30` is text to all readers, `9:30` and `10:30` are 570 and 630 to some.
        if text.wholeMatch(of: clock) != nil {
            return text.hasPrefix("0") && !text.contains(".") ? .string : .ambiguous("a number to the base 60")
        }
        let based = /[-+]?0([xX][0-9a-fA-F_]+|[oO][0-7_]+|[bB][01_]+|[0-9_]+)/
        if text.wholeMatch(of: based) != nil { return .ambiguous("a number to another base") }
        let loose = /[-+]?([0-9][0-9_]*(\.[0-9_]*)?|\.[0-9_]+)([eE][-+]?[0-9]+)?/
        if text.wholeMatch(of: loose) != nil { return .ambiguous("a number that JSON writes otherwise") }
        let special = /[-+]?\.(inf|Inf|INF|nan|NaN|NAN)/
        return text.wholeMatch(of: special) != nil ? .ambiguous("a number that JSON does not have") : .string
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
}
