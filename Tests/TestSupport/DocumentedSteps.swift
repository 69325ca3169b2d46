import LocalServers

/// The table of steps in docs/executions.md: what the core's machine and the database are held to.
package struct DocumentedSteps {
    package struct Step: Hashable, Sendable, CustomStringConvertible {
        package let from: String
        /// As the page says it.
        package let event: String
        package let to: String
        package let tells: [String]

        package init(_ from: String, _ event: String, _ to: String, _ tells: [String]) {
            self.from = from
            self.event = event
            self.to = to
            self.tells = tells
        }

        package var description: String { "\(from) | \(event) | \(to) | \(tells.joined(separator: " "))" }
    }

    /// What no machine decides: whoever holds a claim ends it by itself.
    private static let ofHolders: Set<String> = ["given up by its holder", "refused by the allow-list meanwhile"]

    package let all: [Step]
    /// Those that the machine takes.
    package var ofMachine: [Step] { all.filter { !Self.ofHolders.contains($0.event) } }

    /// - Parameter states: as they are stored.
    package init(states: [String]) {
        let known = Set(states.map { "`\($0)`" })
        let page = Filesystem.tail("docs/executions.md", bytes: 1 << 20)
        all = page.split(separator: "\n").compactMap { line in
            let cells = line.split(separator: "|", omittingEmptySubsequences: false).map(Self.trimmed)
            guard cells.count == 6, known.contains(cells[1]), known.contains(cells[3]) else { return nil }
            return Step(
                Self.plain(cells[1]), cells[2], Self.plain(cells[3]),
                cells[4].split(separator: " ").map { Self.plain(String($0)) })
        }
    }

    private static func plain(_ text: String) -> String { text.filter { $0 != "`" } }

    private static func trimmed(_ text: Substring) -> String {
        var text = text.drop { $0 == " " }
        while text.last == " " { text.removeLast() }
        return String(text)
    }
}
