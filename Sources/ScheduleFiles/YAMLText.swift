package import JSONText

/// Writes JSON values as YAML that every reader takes for the same.
package enum YAMLText {
    /// A value on one line, in flow style: JSON, with every character that YAML does not print escaped its way.
    package static func flow(_ value: JSONValue) -> String {
        switch value.kind {
        case .null: return "null"
        case .bool: return value.bool == true ? "true" : "false"
        case .number: return number(value)
        case .string: return quoted(value.string ?? "")
        case .array: return "[" + value.elements.map { flow($0) }.joined(separator: ", ") + "]"
        case .object:
            return "{" + value.members.map { "\(quoted($0.name)): \(flow($0.value))" }.joined(separator: ", ") + "}"
        }
    }

    /// `1e3` is a text to some readers; with a point and a sign it is a number to all.
    private static func number(_ value: JSONValue) -> String {
        let text = value.numberText ?? "0"
        guard let mark = text.firstIndex(where: { $0 == "e" || $0 == "E" }) else { return text }
        let mantissa = text[..<mark]
        var exponent = text[text.index(after: mark)...]
        let sign = exponent.first == "-" ? "-" : "+"
        exponent = exponent.drop { $0 == "-" || $0 == "+" }
        return mantissa + (mantissa.contains(".") ? "" : ".0") + "e" + sign + exponent
    }

    /// In double quotes.
    package static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            case "\t": quoted += "\\t"
            case "\r": quoted += "\\r"
            default:
                if isPrintable(scalar.value) {
                    quoted.unicodeScalars.append(scalar)
                } else {
                    quoted += escape(scalar.value)
                }
            }
        }
        return quoted + "\""
    }

    /// What YAML 1.1 and 1.2 both let stand, without marks and separators that nobody sees.
    private static func isPrintable(_ value: UInt32) -> Bool {
        switch value {
        case 0x20...0x7E, 0xA0...0x200A, 0x2010...0x2027, 0x202F...0x205F, 0x2070...0xD7FF, 0xE000...0xFDFF,
            0xFE10...0xFEFE, 0xFF00...0xFFEF, 0x10000...0x1FFFD:
            true
        default: false
        }
    }

    private static func escape(_ value: UInt32) -> String {
        let digits = String(value, radix: 16, uppercase: true)
        let (mark, width) = value <= 0xFF ? ("x", 2) : value <= 0xFFFF ? ("u", 4) : ("U", 8)
        return "\\\(mark)" + String(repeating: "0", count: width - digits.count) + digits
    }

    /// A text as comment lines.
    package static func comment(_ text: String, indent: String = "") -> String {
        text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
            .map { line in
                indent + "# " + String(line.unicodeScalars.filter { isPrintable($0.value) }.map(Character.init)) + "\n"
            }.joined()
    }
}
