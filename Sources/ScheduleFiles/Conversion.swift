package import JSONText
package import SchedulerCore
import SchedulerWire

/// Definitions made of another scheduler's file.
package struct Conversion: Sendable {
    package internal(set) var schedules: [ConvertedSchedule] = []
    /// What was not taken over, and why: nobody may find out by a job that never ran.
    package internal(set) var problems: [FileProblem] = []
    /// What concerns the file as a whole.
    package internal(set) var notes: [String] = []

    mutating func note(_ text: String) {
        if !notes.contains(text) { notes.append(text) }
    }

    /// Has them all in shadow, to run beside the scheduler that they come from.
    package mutating func putInShadow() {
        guard let isShadow = FieldValue.bool(true) else { return }
        for index in schedules.indices { schedules[index].fields.append(("shadow", isShadow)) }
    }
}

/// One definition made of a line or a document of another scheduler's file.
package struct ConvertedSchedule: Sendable {
    package let name: String
    package let namespace: String?
    /// Where it comes from, from 1 on.
    package let line: Int?
    /// The fields of the definition in the order in which they are shown, as JSON.
    package internal(set) var fields: [(name: String, value: JSONValue)]
    /// What means something else here than there, or is left out.
    package internal(set) var notes: [String] = []

    subscript(_ name: String) -> JSONValue? { fields.first { $0.name == name }?.value }

    /// `+ backup-3f9a1c: 0 3 * * * (line 4)`
    package var summary: String {
        let when = self["cron_expression"]?.string ?? "?"
        let place = line.map { " (line \($0))" } ?? ""
        return "+ \(namespace.map { $0 + "/" } ?? "")\(name): \(when)\(place)"
    }
}

/// What the command line says of all definitions of a conversion.
package struct ConversionOptions: Sendable {
    package var target: String
    package var namespace: Namespace?
    /// Where the file says none; nil: UTC.
    package var timezone: String?
    /// In front of each name.
    package var prefix: String

    package init(target: String, namespace: Namespace? = nil, timezone: String? = nil, prefix: String = "") {
        self.target = target
        self.namespace = namespace
        self.timezone = timezone
        self.prefix = prefix
    }
}

extension Conversion {
    /// The definitions as a file that `carillon apply` takes, with the notes as comments.
    package func yaml(from source: String) -> String {
        var text = YAMLText.comment("Made by carillon from \(source). Review it, then: carillon apply -f <this file>")
        for note in notes { text += YAMLText.comment(note) }
        guard !schedules.isEmpty else { return text + "schedules: []\n" }
        text += "schedules:\n"
        for schedule in schedules {
            for note in schedule.notes { text += YAMLText.comment(note, indent: "  ") }
            text += "  - name: \(YAMLText.quoted(schedule.name))\n"
            if let namespace = schedule.namespace { text += "    namespace: \(YAMLText.quoted(namespace))\n" }
            for field in schedule.fields { text += "    \(field.name): \(YAMLText.flow(field.value))\n" }
        }
        return text
    }

    /// Takes out what no service would take; each is a problem at its line.
    package mutating func check(_ check: DefinitionCheck, file: String) {
        var file = DefinitionFileNames(file: file)
        schedules.removeAll { schedule in
            let faults = file.problems(of: schedule, check)
            problems += faults
            return !faults.isEmpty
        }
    }
}

/// Tells problems of a conversion at the lines of the file that was converted.
private struct DefinitionFileNames {
    let file: String

    mutating func problems(of schedule: ConvertedSchedule, _ check: DefinitionCheck) -> [FileProblem] {
        var single = Conversion()
        single.schedules = [schedule]
        var reader = DefinitionFile(DefinitionFile.Reading())
        reader.read(single.yaml(from: file), file: file)
        let problems = reader.problems + reader.items.flatMap { check.problems(of: $0) }
        return problems.map { problem in
            let field = problem.pointer.tokens.dropFirst(2).joined(separator: "/")
            return FileProblem(
                file: file, line: schedule.line, name: schedule.name,
                pointer: JSONPointer(field.isEmpty ? "" : "/" + field) ?? .root, problem.message)
        }
    }
}

/// Values of definitions.
enum FieldValue {
    static func text(_ text: String) -> JSONValue? { value { $0.value(text) } }

    static func bool(_ bool: Bool) -> JSONValue? { value { $0.value(bool) } }

    static func value(_ write: (inout JSONWriter) -> Void) -> JSONValue? {
        var writer = JSONWriter(capacity: 256)
        write(&writer)
        return try? JSONValue.parse(writer.bytes, limits: JSONLimits(maxDepth: 64))
    }
}

/// Names made of what they stand for.
enum DerivedName {
    private static let mostCharacters = 100

    /// The program that a shell command starts, as a name; `job` where there is none to be seen.
    static func program(of command: String) -> String {
        let words = command.split { $0 == " " || $0 == "\t" || $0 == "\n" }
        let word = words.first { !$0.contains("=") && !$0.hasPrefix("-") && !shellWords.contains(String($0)) }
        let base = word?.split(separator: "/").last.map(String.init) ?? ""
        let plain = String(base.unicodeScalars.filter { isNameScalar($0) }.map(Character.init))
        let trimmed = plain.drop { !($0.isLetter || $0.isNumber) }
        return trimmed.isEmpty ? "job" : String(trimmed.prefix(mostCharacters))
    }

    /// What stands in front of a program's name and says nothing.
    private static let shellWords: Set<String> = ["test", "[", "cd", "exec", "nice", "ionice", "nohup", "sudo", "env"]

    private static func isNameScalar(_ scalar: Unicode.Scalar) -> Bool {
        scalar.isASCII
            && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar) || "._-".unicodeScalars.contains(scalar))
    }

    /// Six hexadecimal digits that belong to a text.
    static func digits(of text: String) -> String {
        String(Digest.hexadecimal(Digest.sha256(Array(text.utf8))).prefix(6))
    }
}
