import Glibc
import LocalServers
import Recurrence
import Testing

@testable import carillon

/// `docs/time.md`, line by line: its tables against the parser, its examples against the program.
@Suite struct TimePageTests {
    private static let page = Filesystem.tail("docs/time.md", bytes: 1 << 20).split(
        separator: "\n", omittingEmptySubsequences: false)

    /// The rows of two columns whose first is one piece of code, below a heading row that begins with `heading`.
    private static func table(_ heading: String) -> [(code: String, text: String)] {
        page.drop { !$0.hasPrefix(heading) }.dropFirst(2).prefix { $0.hasPrefix("|") }.map { row in
            let cells = row.dropFirst(2).dropLast(2)
            let end = cells.dropFirst().firstIndex(of: "`") ?? cells.endIndex
            return (String(cells[..<end].dropFirst()), String(cells[end...].dropFirst(4)))
        }
    }

    @Test func whatAnExpressionSays() throws {
        let rows = Self.table("| expression | what it says")
        #expect(rows.count > 15)
        for (expression, sentence) in rows {
            let recurrence = Recurrence(try CronExpression(parsing: expression), zone: .utc, anchor: .earliest)
            #expect(recurrence.sentence == sentence + ", in UTC", "\(expression)")
        }
    }

    @Test func whatIsRefused() throws {
        let rows = Self.table("| expression | answer")
        #expect(rows.count > 8)
        for (expression, answer) in rows {
            let error = #expect(throws: CronError.self) { try CronExpression(parsing: expression) }
            #expect(error?.description == answer)
        }
    }

    @Test(.timeLimit(.minutes(1))) func theExamples() async throws {
        let folder = try Filesystem.makeTemporaryFolder()
        defer { Filesystem.remove(folder) }
        var commands: [(line: String, output: String)] = []
        var isConsole = false
        for line in Self.page {
            if line.hasPrefix("```") {
                isConsole = line == "```console"
            } else if isConsole, line.hasPrefix("$ carillon ") {
                commands.append((String(line.dropFirst(11)), ""))
            } else if isConsole, !commands.isEmpty {
                commands[commands.count - 1].output += line + "\n"
            }
        }
        #expect(commands.count > 3)
        for (number, command) in commands.enumerated() {
            let log = "\(folder)/\(number).log"
            let process = try ChildProcess(
                ["/bin/sh", "-c", "exec '\(TestProgram.path)' \(command.line)"], logPath: log)
            #expect(await process.waitForEnd(.seconds(20)))
            #expect(Filesystem.tail(log, bytes: 1 << 16) == command.output, "\(command.line)")
        }
    }
}
