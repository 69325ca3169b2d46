/// A file of settings: `NAME=value`, a line each, as an environment file has it. Blank lines and those that begin with
/// `#` say nothing; quotes around a value fall off.
enum SettingsFile {
    /// - Returns: the values, and what is wrong, a line each.
    static func read(_ text: String, path: String) -> (values: [String: String], problems: [String]) {
        var values: [String: String] = [:]
        var problems: [String] = []
        let known = Set(SettingName.allCases.map(\.rawValue))
        for (index, raw) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
            let line = trimmed(raw)
            if line.isEmpty || line.hasPrefix("#") { continue }
            let place = "\(path):\(index + 1)"
            guard let equals = line.firstIndex(of: "=") else {
                // Not shown: it may be a secret that lost its name.
                problems.append("\(place): expected NAME=value")
                continue
            }
            let name = String(trimmed(line[..<equals]))
            guard known.contains(name) else {
                problems.append("\(place): there is no setting '\(name)'")
                continue
            }
            guard values[name] == nil else {
                problems.append("\(place): \(name) stands in the file twice")
                continue
            }
            values[name] = unquoted(trimmed(line[line.index(after: equals)...]))
        }
        return (values, problems)
    }

    private static func unquoted(_ text: Substring) -> String {
        for quote in ["\"", "'"] where text.count >= 2 && text.hasPrefix(quote) && text.hasSuffix(quote) {
            return String(text.dropFirst().dropLast())
        }
        return String(text)
    }

    private static func trimmed(_ text: Substring) -> Substring {
        let isBlank: (Character) -> Bool = { $0 == " " || $0 == "\t" || $0 == "\r" }
        var text = text.drop(while: isBlank)
        while let last = text.last, isBlank(last) { text.removeLast() }
        return text
    }
}
