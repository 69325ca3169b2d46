import JSONText
import SchedulerCore

/// Reads a crontab, as Debian's cron does, into definitions.
///
/// Each entry becomes a cron schedule whose payload holds the command line, what cron would write to its standard input,
/// the variables set above it, and the user: whoever consumes the target runs it.
package struct Crontab {
    private let options: ConversionOptions
    private let file: String
    /// A user's name stands between time and command, as in /etc/crontab.
    private let hasUsers: Bool
    private var conversion = Conversion()
    private var variables: [(name: String, value: String)] = []
    private var zone: String?
    private var comments: [String] = []
    /// How often a command came, so that each entry has a name of its own.
    private var seen: [String: Int] = [:]

    package static func read(
        _ text: String, file: String, hasUsers: Bool = false, _ options: ConversionOptions
    ) -> Conversion {
        var crontab = Crontab(options: options, file: file, hasUsers: hasUsers)
        for (index, line) in text.split(
            omittingEmptySubsequences: false, whereSeparator: { $0 == "\n" || $0 == "\r\n" }
        )
        .enumerated() {
            crontab.read(line, number: index + 1)
        }
        return crontab.ended()
    }

    private init(options: ConversionOptions, file: String, hasUsers: Bool) {
        self.options = options
        self.file = file
        self.hasUsers = hasUsers
        zone = options.timezone
    }

    private func ended() -> Conversion {
        var conversion = conversion
        guard !conversion.schedules.isEmpty else { return conversion }
        conversion.note(
            "cron makes up for nothing that it missed: misfire_policy is 'skip'; leave it out to have one run.")
        if conversion.schedules.contains(where: { $0["timezone"] == nil }) {
            conversion.note("cron reads times in the machine's zone; without --timezone or CRON_TZ they are UTC here.")
        }
        return conversion
    }

    private mutating func refuse(_ line: Int, _ message: String) {
        conversion.problems.append(FileProblem(file: file, line: line, message))
    }

    private mutating func read(_ raw: Substring, number: Int) {
        let line = raw.drop { $0 == " " || $0 == "\t" }
        if line.isEmpty {
            comments = []
        } else if line.first == "#" {
            comments.append(String(line.drop { $0 == "#" }.drop { $0 == " " || $0 == "\t" }))
        } else if let (name, value) = Self.assignment(line) {
            assign(name, value, number)
            comments = []
        } else {
            entry(line, number)
            comments = []
        }
    }

    // MARK: Variables

    /// `NAME = value`, either of them perhaps in quotes, as cron reads it; nil where the line is an entry.
    private static func assignment(_ line: Substring) -> (name: String, value: String)? {
        guard let equals = line.firstIndex(of: "=") else { return nil }
        let name = unquoted(line[..<equals])
        guard let first = name.unicodeScalars.first, first == "_" || first.properties.isAlphabetic,
            name.unicodeScalars.allSatisfy({
                $0.isASCII && ($0 == "_" || $0.properties.isAlphabetic || ("0"..."9").contains($0))
            })
        else { return nil }
        return (name, unquoted(line[line.index(after: equals)...]))
    }

    private static func unquoted(_ text: Substring) -> String {
        var text = text.drop { $0 == " " || $0 == "\t" }
        while let last = text.last, last == " " || last == "\t" || last == "\r" { text.removeLast() }
        for quote in ["\"", "'"] where text.count >= 2 && text.hasPrefix(quote) && text.hasSuffix(quote) {
            return String(text.dropFirst().dropLast())
        }
        return String(text)
    }

    private mutating func assign(_ name: String, _ value: String, _ line: Int) {
        switch name {
        case "MAILTO", "MAILFROM":
            conversion.note("\(name) is left out: nobody mails what a command writes; its worker has it.")
        case "CRON_TZ":
            zone = value.isEmpty ? options.timezone : value
            if options.timezone != nil, zone != options.timezone {
                conversion.note("CRON_TZ in line \(line) stands for the lines below it, in place of --timezone.")
            }
        case "RANDOM_DELAY":
            conversion.note("RANDOM_DELAY is left out: spread_seconds delays each schedule by a fixed part of it.")
        default:
            variables.removeAll { $0.name == name }
            variables.append((name, value))
        }
    }

    // MARK: Entries

    private mutating func entry(_ line: Substring, _ number: Int) {
        var rest = line
        let expression: String
        if line.first == "@" {
            let nickname = String(Self.word(&rest))
            guard nickname != "@reboot" else {
                return refuse(
                    number, "@reboot is left out: the scheduler starts with no machine; a systemd unit does that")
            }
            expression = nickname
        } else {
            let fields = (0..<5).map { _ in String(Self.word(&rest)) }
            guard fields.allSatisfy({ !$0.isEmpty }) else {
                return refuse(number, "expected five fields and a command, or NAME=value")
            }
            expression = fields.joined(separator: " ")
        }
        let user = hasUsers ? String(Self.word(&rest)) : nil
        let (command, input) = Self.split(rest.drop { $0 == " " || $0 == "\t" })
        guard !command.isEmpty else {
            return refuse(number, "expected a command after the time\(hasUsers ? " and the user" : "")")
        }
        add(Entry(expression: expression, user: user, command: command, input: input), number)
    }

    private struct Entry {
        var expression: String
        let user: String?
        let command: String
        let input: String?
    }

    private static func word(_ rest: inout Substring) -> Substring {
        rest = rest.drop { $0 == " " || $0 == "\t" }
        let word = rest.prefix { $0 != " " && $0 != "\t" }
        rest = rest[word.endIndex...]
        return word
    }

    /// An unescaped `%` ends the command; what follows is its standard input, each further `%` a new line.
    private static func split(_ text: Substring) -> (command: String, input: String?) {
        var parts = [""]
        var afterBackslash = false
        for character in text where character != "\r" {
            switch character {
            case "%" where afterBackslash:
                parts[parts.count - 1].removeLast()
                parts[parts.count - 1].append("%")
            case "%": parts.append("")
            default: parts[parts.count - 1].append(character)
            }
            afterBackslash = character == "\\"
        }
        return (parts[0], parts.count > 1 ? parts.dropFirst().joined(separator: "\n") + "\n" : nil)
    }

    private mutating func add(_ entry: Entry, _ number: Int) {
        let key = "\(entry.user ?? "")\n\(entry.command)\n\(entry.input ?? "")"
        let count = seen[key, default: 0] + 1
        seen[key] = count
        let name =
            options.prefix + DerivedName.program(of: entry.command) + "-" + DerivedName.digits(of: key)
            + (count > 1 ? "-\(count)" : "")
        let (expression, note) = Self.joined(entry.expression)
        let fields: [(String, JSONValue?)] = [
            (
                "description",
                comments.isEmpty ? nil : FieldValue.text(String(comments.joined(separator: "\n").prefix(1024)))
            ),
            ("schedule_type", FieldValue.text("cron")), ("cron_expression", FieldValue.text(expression)),
            ("timezone", zone.flatMap { FieldValue.text($0) }), ("misfire_policy", FieldValue.text("skip")),
            ("target_command", FieldValue.text(options.target)), ("command_payload", payload(of: entry)),
        ]
        conversion.schedules.append(
            ConvertedSchedule(
                name: name, namespace: options.namespace?.description, line: number,
                fields: fields.compactMap { name, value in value.map { (name, $0) } },
                notes: note.map { [$0] } ?? []))
    }

    private func payload(of entry: Entry) -> JSONValue? {
        FieldValue.value { writer in
            writer.object { writer in
                writer.member("command", entry.command)
                writer.member("stdin", ifPresent: entry.input)
                writer.member("user", ifPresent: entry.user)
                guard !variables.isEmpty else { return }
                writer.name("environment")
                writer.object { writer in
                    for variable in variables {
                        writer.name(dynamic: variable.name)
                        writer.value(variable.value)
                    }
                }
            }
        }
    }

    /// cron joins the two day fields by AND as soon as one of them begins with `*`, `*/2` too; here only a plain `*` says
    /// nothing, and `+` in front of the weekday is AND.
    private static func joined(_ expression: String) -> (expression: String, note: String?) {
        var fields = expression.split(separator: " ").map(String.init)
        guard fields.count == 5, fields[2] != "*", fields[4] != "*",
            fields[2].hasPrefix("*") || fields[4].hasPrefix("*")
        else { return (expression, nil) }
        fields[4] = "+" + fields[4]
        return (
            fields.joined(separator: " "),
            "'\(expression)': cron wants both the day of the month and the weekday to match, for one begins with *: '+'."
        )
    }
}
