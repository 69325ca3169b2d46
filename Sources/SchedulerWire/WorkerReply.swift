import JSONText
package import SchedulerCore

/// Reads a worker's reply to a request whose reply is the outcome (semantics.md §6).
///
/// The headers decide; the body is information. A reply always counts, whatever is wrong with its body: nobody reads an
/// answer to it, and to refuse it would let an attempt time out, and be made again, that has long ended.
package enum WorkerReply {
    /// The headers `Nats-Service-Error` and `Nats-Service-Error-Code` (ADR-32): either says that it failed.
    package struct Failure: Sendable {
        /// "" where only the code came.
        package let words: String
        package let code: String?

        package init(words: String, code: String?) {
            self.words = words
            self.code = code
        }
    }

    package static let mostResultBytes = 4096
    package static let mostReasonCharacters = 1024
    /// A year.
    private static let longestSeconds = 31_622_400.0
    private static let limits = JSONLimits(maxDepth: 32, maxBytes: 1 << 16)

    /// - Parameters:
    ///   - failure: nil where the reply has none of the headers: then it is a success.
    ///   - body: nil where it was too long to be kept.
    package static func answer(_ failure: Failure?, body: [UInt8]?) -> WorkerAnswer {
        let json = body.flatMap { try? JSONValue.parse($0, limits: limits) }
        guard let failure else { return .succeeded(result: result(json, of: body ?? [])) }
        return .failed(
            AttemptFailure(
                reason: reason(failure, json), isFatal: json?["fatal"]?.bool ?? false, retryAfter: retryAfter(json)))
    }

    /// The whole body, as it was written; of a body that is no JSON its text, as a string.
    private static func result(_ json: JSONValue?, of body: [UInt8]) -> [UInt8]? {
        guard body.count <= mostResultBytes else { return nil }
        if let json { return Array(json.bytes) }
        guard !body.isEmpty, let text = String(validating: body, as: UTF8.self) else { return nil }
        var writer = JSONWriter(capacity: body.count + 2)
        writer.value(text)
        return writer.bytes.count <= mostResultBytes ? writer.bytes : nil
    }

    /// The header's words; without any, the body's `error`. One line, for logs.
    private static func reason(_ failure: Failure, _ json: JSONValue?) -> String {
        let words = [failure.words, json?["error"]?.string ?? ""].map(line).first { !$0.isEmpty }
        let code = failure.code.map { " (\(line($0)))" } ?? ""
        return String(((words ?? "the worker answered an error") + code).prefix(mostReasonCharacters))
    }

    /// Without control characters: PostgreSQL's text has no NUL.
    private static func line(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7F ? " " : $0 }))
    }

    private static func retryAfter(_ json: JSONValue?) -> Int64? {
        guard let seconds = json?["retry_after_seconds"]?.double, (0...longestSeconds).contains(seconds) else {
            return nil
        }
        return Int64((seconds * 1000).rounded())
    }
}
