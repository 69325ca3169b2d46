import Glibc

/// Reads settings one by one and collects what is wrong, a line each.
struct SettingsReader {
    private var values: [String: String]
    private(set) var problems: [String] = []

    /// - Parameter values: by their names; what a context stands for is filled in here.
    init(_ values: [String: String]) {
        self.values = values
        guard let name = text(.natsContext) else { return }
        do {
            let path = try NATSContext.path(of: name, environment: values)
            let context = try NATSContext(
                CommandLineEnvironment.contents(of: path), path: path, environment: values)
            self.values = context.filling(values)
        } catch {
            report(.natsContext, error.message)
        }
    }

    /// Nil where it is absent or empty.
    func text(_ name: SettingName) -> String? {
        guard let text = values[name.rawValue], !text.isEmpty else { return nil }
        return text
    }

    mutating func report(_ name: SettingName, _ problem: String) {
        problems.append("\(name.rawValue): \(problem)")
    }

    /// Reports what was expected; what came is shown unless it is secret.
    private mutating func report(_ name: SettingName, expected: String, got text: String) {
        report(name, "expected \(expected)" + (name.isSecret ? "" : ", got '\(text)'"))
    }

    /// - Parameter expectation: what was expected, where a text is not it; nil for a good one.
    mutating func read(
        _ name: SettingName, _ value: inout String, _ expectation: (String) -> String? = { _ in nil }
    ) {
        guard let text = text(name) else { return }
        if let expected = expectation(text) { report(name, expected: expected, got: text) } else { value = text }
    }

    mutating func integer(_ name: SettingName, in range: ClosedRange<Int64>, otherwise value: Int64) -> Int64 {
        guard let text = text(name) else { return value }
        if let number = Int64(text), range.contains(number) { return number }
        let bounds =
            range.upperBound == .max
            ? "of at least \(range.lowerBound)" : "from \(range.lowerBound) to \(range.upperBound)"
        report(name, expected: "a whole number \(bounds)", got: text)
        return value
    }

    mutating func seconds(_ name: SettingName, in range: ClosedRange<Double>, otherwise value: Double) -> Double {
        guard let text = text(name) else { return value }
        if let number = Double(text), range.contains(number) { return number }
        let bounds = "\(Self.plain(range.lowerBound)) to \(Self.plain(range.upperBound))"
        report(name, expected: "seconds from \(bounds)", got: text)
        return value
    }

    mutating func choice<Value: CaseIterable & RawRepresentable>(
        _ name: SettingName, otherwise value: Value
    ) -> Value where Value.RawValue == String {
        guard let text = text(name) else { return value }
        if let chosen = Value(rawValue: text.lowercased()) { return chosen }
        report(name, expected: "one of " + Value.allCases.map(\.rawValue).joined(separator: ", "), got: text)
        return value
    }

    static func plain(_ number: Double) -> String {
        Int64(exactly: number).map { String($0) } ?? String(number)
    }
}

extension SettingsReader {
    /// A path that must be readable.
    mutating func file(_ name: SettingName) -> String? {
        guard let path = text(name) else { return nil }
        guard access(path, R_OK) == 0 else {
            report(name, "expected a readable file, got '\(path)': \(String(cString: strerror(errno)))")
            return nil
        }
        return path
    }
}
