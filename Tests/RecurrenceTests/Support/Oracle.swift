import Foundation
import TestSupport
import ZoneData

/// Runs a script of `Tests/Oracles` with Python and exchanges files with it.
struct Oracle {
    let script: String

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    func ask<Question: Encodable, Answer: Decodable>(
        _ questions: [Question], as type: Answer.Type = Answer.self
    ) async throws -> [Answer] {
        try JSONDecoder().decode([Answer].self, from: await answer(to: JSONEncoder().encode(questions)))
    }

    /// What the script writes when it reads `question`.
    func answer(to question: Data) async throws -> Data {
        let folder = FileManager.default.temporaryDirectory.appending(path: "oracle-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let questionFile = folder.appending(path: "question")
        let answerFile = folder.appending(path: "answer")
        try question.write(to: questionFile)
        try await run(arguments: [questionFile.path, answerFile.path])
        return try Data(contentsOf: answerFile)
    }

    private func run(arguments: [String]) async throws {
        let python = Tool.python
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [python, scriptPath] + arguments
        process.environment = ProcessInfo.processInfo.environment.merging(["PYTHONTZPATH": zones.root]) { $1 }
        let status = try await withCheckedThrowingContinuation { continuation in
            process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
            do { try process.run() } catch { continuation.resume(throwing: error) }
        }
        switch status {
        case 0: return
        case 3:
            throw Failure(
                description:
                    "\(python) lacks what `Tests/Oracles` asks: `make bootstrap` installs it, and CARILLON_TEST_PYTHON names "
                    + "the Python that has it.")
        default: throw Failure(description: "\(python) \(script) ended with status \(status).")
        }
    }

    /// `Tests/Oracles` stands beside this module's tests.
    private var scriptPath: String {
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Oracles/\(script)").path
    }
}
