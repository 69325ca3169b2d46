/// Every command that there is. A test holds it and the handlers together; `schemas/` has two files for each.
package enum CommandCatalogue {
    /// In the order in which help lists them: each noun's in the order of their use.
    package static let all: [CommandPage] = [
        schedules,
        surface,
        calendars,
        executions,
        ledger,
        targets,
        rules,
        administration,
    ].flatMap { $0 }

    /// - Parameter name: `schedule.create`, `admin.system.status`.
    package static func page(_ name: String) -> CommandPage? { all.first { $0.name == name } }

    package static func page(_ kind: CommandPage.Kind, noun: String, verb: String) -> CommandPage? {
        all.first { $0.kind == kind && $0.noun == noun && $0.verb == verb }
    }

    /// What to answer to a command that there is not.
    /// - Parameter name: as ``page(_:)`` takes it.
    package static func unknown(_ name: String) -> WireError {
        let near = names(near: name)
        let hint = near.isEmpty ? "`help` lists all" : "the nearest: \(near.joined(separator: ", "))"
        return WireError(.unknownCommand, "there is no command '\(name)'; \(hint)")
    }

    /// The names that look most like `name`: at most five, nearest first; none where nothing does.
    package static func names(near name: String) -> [String] {
        let wanted = Array(name.lowercased().utf8.prefix(64))
        guard !wanted.isEmpty else { return [] }
        let ranked = all.map { page -> (name: String, distance: Int) in
            // What was left out at either end (`create`, `schedule`) is nearer than what is spelled otherwise.
            let isPart = page.name.utf8.count > wanted.count && page.name.contains(name.lowercased())
            let texts = [page.name, "\(page.noun).\(page.verb)"]
            return (page.name, isPart ? 1 : texts.map { distance(wanted, Array($0.utf8)) }.min() ?? Int.max)
        }
        let near = ranked.filter { $0.distance <= max(2, wanted.count / 3) }
        return near.sorted { ($0.distance, $0.name) < ($1.distance, $1.name) }.prefix(5).map(\.name)
    }

    /// Letters to put in, take out or exchange (Levenshtein).
    private static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var row = Array(0...right.count)
        for (index, byte) in left.enumerated() {
            var diagonal = row[0]
            row[0] = index + 1
            for (column, other) in right.enumerated() {
                let exchanged = diagonal + (byte == other ? 0 : 1)
                diagonal = row[column + 1]
                row[column + 1] = min(exchanged, diagonal + 1, row[column] + 1)
            }
        }
        return row[right.count]
    }
}
