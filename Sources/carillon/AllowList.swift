import SchedulerCore
import SchedulerEngine
import Synchronization

/// `TARGETS_FILE` as this process reads it: once before it starts, then again and again while it runs.
final class AllowList: Sendable {
    private let path: String?
    private let ownPrefix: String
    /// What holds besides, whatever the file says.
    private let always: [TargetRule]
    private let alwaysHeard: [SourceRule]
    /// What was looked at last.
    private let last: Mutex<Look>
    /// What the file said at the start.
    let rules: TargetRules

    private struct Look: Equatable {
        /// Nil where none could be read.
        var text: String?
        /// Of the schemas that it names.
        var schemas: [String: String?] = [:]
    }

    /// - Throws: one line for each problem; a start must not go on without what its file means to allow.
    init(_ settings: Settings, always: [TargetRule] = [], alwaysHeard: [SourceRule] = []) throws {
        self.alwaysHeard = alwaysHeard
        path = settings.targetsFile
        ownPrefix = settings.subjectPrefix
        self.always = always
        guard let path else {
            last = Mutex(Look())
            rules = TargetRules(rules: always, sources: alwaysHeard, ownPrefix: ownPrefix)
            return
        }
        let text = CommandLineEnvironment.contents(of: path)
        let file = Self.read(text, path, ownPrefix)
        if !file.problems.isEmpty {
            throw CommandLineEnvironment.refusal(file.problems.map { "TARGETS_FILE: \($0)" })
        }
        last = Mutex(Look(text: text, schemas: file.schemas))
        rules = TargetRules(
            rules: always + file.rules.rules, sources: alwaysHeard + file.rules.sources, ownPrefix: ownPrefix)
    }

    private static func read(_ text: String?, _ path: String, _ ownPrefix: String) -> TargetsFile.Reading {
        guard let text else {
            return TargetsFile.Reading(
                rules: TargetRules(rules: [], ownPrefix: ownPrefix),
                problems: ["expected a readable file of UTF-8 text, got '\(path)'"])
        }
        return TargetsFile.read(text, at: path, ownPrefix: ownPrefix)
    }

    /// Looks at the file again, and at the schemas that it names. By their content: a mount may put another file in its
    /// place without changing its times.
    func look() -> TargetsWatch.Reading {
        guard let path else { return .unchanged }
        let before = last.withLock { $0 }
        let now = Look(
            text: CommandLineEnvironment.contents(of: path),
            schemas: Dictionary(
                uniqueKeysWithValues: before.schemas.keys.map { ($0, CommandLineEnvironment.contents(of: $0)) }))
        if now.text != nil, now == before { return .unchanged }
        let file = Self.read(now.text, path, ownPrefix)
        last.withLock { $0 = Look(text: now.text, schemas: file.schemas) }
        guard file.problems.isEmpty else { return .fault(file.problems.joined(separator: "; ")) }
        return .rules(
            TargetRules(
                rules: always + file.rules.rules, sources: alwaysHeard + file.rules.sources, ownPrefix: ownPrefix))
    }
}
