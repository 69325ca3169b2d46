import JSONText
package import SchedulerCore

/// A worker's report, read (semantics.md §6).
///
/// Subject and fence decide; the rest of the body is information. So a report whose fence can be read counts, whatever
/// else is wrong with it: to refuse it would let an attempt time out, and be made again, that has long ended. What could
/// not be taken stands in ``flaws``, for whoever tells of it.
package struct WorkerReport: Sendable {
    package static let mostResultBytes = 4096
    package static let mostProgressBytes = 1024
    /// Characters of ``error``; what is longer is cut.
    package static let mostErrorCharacters = 1024
    /// A year.
    private static let longestSeconds = 31_622_400.0
    private static let limits = JSONLimits(maxDepth: 32, maxBytes: 1 << 20)

    package let subject: ReportSubject
    /// `Scheduler-Fence` of the message that the worker got: names the attempt.
    package let fence: Int64
    /// How far it is: any JSON of at most ``mostProgressBytes`` bytes, as it was written.
    package let progress: [UInt8]?
    /// What came of it: any JSON of at most ``mostResultBytes`` bytes, as it was written. Of a success only.
    package let result: [UInt8]?
    /// Why it failed, in the worker's words.
    package let error: String?
    /// No further attempt can help.
    package let isFatal: Bool
    /// When the worker wants the next attempt.
    package let retryAfterMilliseconds: Int64?
    /// What of the body was left out; empty for a report that is as it should be.
    package let flaws: [WireError.Problem]

    /// - Parameters:
    ///   - fence: the header `Scheduler-Fence` of the report; the body's `fence` does as well.
    ///   - body: JSON, or nothing.
    /// - Throws: where the fence cannot be read: then nobody knows which attempt is meant.
    package init(_ subject: ReportSubject, fence header: String?, body bytes: [UInt8]) throws(WireError) {
        self.subject = subject
        var flaws: [WireError.Problem] = []
        let body = Self.object(bytes, &flaws)
        fence = try Self.fence(header, body, flaws)
        var reader = BodyReader(body)
        _ = reader.member("fence")
        progress = Self.json("progress", most: Self.mostProgressBytes, &reader)
        if subject.kind == .succeeded {
            result = Self.json("result", most: Self.mostResultBytes, &reader)
        } else {
            result = nil
            if reader.value("result") != nil {
                reader.report("result", "belongs to 'succeeded' only", as: .conflictingFields)
            }
        }
        error = Self.words(&reader)
        isFatal = reader.bool("fatal") ?? false
        retryAfterMilliseconds = reader.number("retry_after_seconds", in: 0...Self.longestSeconds).map {
            Int64(($0 * 1000).rounded())
        }
        // Names what is no field; what counts is read.
        try? reader.finish()
        self.flaws = flaws + reader.problems
    }

    /// What its failure is for the execution.
    package var failure: AttemptFailure {
        AttemptFailure(
            reason: error ?? "the worker said that it failed, and not why", isFatal: isFatal,
            retryAfter: retryAfterMilliseconds)
    }

    /// What the machine is asked with it.
    package var event: LifeEvent {
        switch subject.kind {
        case .started: .started(fence: fence)
        case .heartbeat: .heartbeat(fence: fence)
        case .succeeded: .succeeded(fence: fence)
        case .failed: .failed(fence: fence, failure)
        }
    }
}

// MARK: - Reading

extension WorkerReport {
    private static func object(_ bytes: [UInt8], _ flaws: inout [WireError.Problem]) -> JSONValue? {
        guard !bytes.allSatisfy({ $0 == 0x20 || (0x09...0x0D).contains($0) }) else { return nil }
        let body: JSONValue
        do { body = try JSONValue.parse(bytes, limits: limits) } catch {
            let error = WireError(error)
            flaws.append(WireError.Problem(error.code, .root, error.description))
            return nil
        }
        guard body.kind == .object || body.isNull else {
            flaws.append(
                WireError.Problem(.notAnObject, .root, "expected an object, got \(BodyReader.name(of: body))"))
            return nil
        }
        return body
    }

    /// The header's or the body's; where both are there they must say the same.
    private static func fence(
        _ header: String?, _ body: JSONValue?, _ flaws: [WireError.Problem]
    ) throws(WireError) -> Int64 {
        var found: [Int64] = []
        if let header {
            guard let fence = Int64(header), fence > 0 else {
                throw WireError(
                    .invalidValue,
                    "the header Scheduler-Fence: expected a whole number above 0, got '\(header.prefix(64))'")
            }
            found.append(fence)
        }
        if let value = body?["fence"], !value.isNull {
            // The message brings it as a text: who hands that on as it is means the same.
            guard let fence = value.int64 ?? value.string.flatMap({ Int64($0) }), fence > 0 else {
                let shown = String(decoding: value.bytes.prefix(64), as: UTF8.self)
                throw Self.refusal(.invalidValue, "expected a whole number above 0, got \(shown)")
            }
            found.append(fence)
        }
        guard let fence = found.first else {
            // Of a body that cannot be read nobody knows whether it had one.
            if let error = WireError(flaws) { throw error }
            throw Self.refusal(
                .missingField, "is required, here or as the header Scheduler-Fence: the one of the message that came")
        }
        guard found.allSatisfy({ $0 == fence }) else {
            throw Self.refusal(.conflictingFields, "is \(found[1]), and the header Scheduler-Fence is \(fence)")
        }
        return fence
    }

    private static func refusal(_ code: ErrorCode, _ message: String) -> WireError {
        WireError(code, "/fence: \(message)", details: [WireError.Detail(.root.appending("fence"), message)])
    }

    private static func json(_ name: String, most bytes: Int, _ reader: inout BodyReader) -> [UInt8]? {
        guard let value = reader.value(name) else { return nil }
        guard value.bytes.count <= bytes else {
            reader.report(name, "expected at most \(bytes) bytes of JSON, got \(value.bytes.count): it was left out")
            return nil
        }
        return Array(value.bytes)
    }

    /// A text, or any other JSON as it is written. PostgreSQL's text has no NUL.
    private static func words(_ reader: inout BodyReader) -> String? {
        guard let value = reader.value("error") else { return nil }
        let text = value.string ?? String(decoding: value.bytes.prefix(4 * mostErrorCharacters), as: UTF8.self)
        let words = text.replacing("\0", with: " ")
        return words.isEmpty ? nil : String(words.prefix(mostErrorCharacters))
    }
}
