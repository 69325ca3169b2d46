package import JSONText

/// A failure as a requester sees it.
package struct WireError: Error, Sendable, Equatable, CustomStringConvertible {
    /// One problem of a body and its place.
    package struct Detail: Sendable, Equatable {
        package let pointer: JSONPointer
        package let message: String

        package init(_ pointer: JSONPointer, _ message: String) {
            self.pointer = pointer
            self.message = message
        }
    }

    /// One problem together with its kind, as a reader of bodies collects them.
    package struct Problem: Sendable, Equatable {
        package let code: ErrorCode
        package let detail: Detail

        package init(_ code: ErrorCode, _ pointer: JSONPointer, _ message: String) {
            self.code = code
            detail = Detail(pointer, message)
        }
    }

    /// A reply lists so many details at most, so that a hostile body cannot ask for a reply larger than itself.
    static let mostDetails = 100

    package let code: ErrorCode
    /// A sentence for people; no program may depend on it.
    package let description: String
    package let details: [Detail]
    /// When asking again may help, in seconds; nil where nobody can say.
    package var retryAfterSeconds: Double?

    package init(_ code: ErrorCode, _ description: String, details: [Detail] = []) {
        self.code = code
        self.description = description
        self.details = details
    }

    /// All problems of one body. Their common code, where they have one, else `invalidRequest`.
    ///
    /// - Returns: `nil` where there is no problem.
    package init?(_ problems: [Problem]) {
        guard let first = problems.first else { return nil }
        let isOneKind = problems.allSatisfy { $0.code == first.code }
        let more = problems.count == 1 ? "" : " (and \(problems.count - 1) more, see details)"
        let place = first.detail.pointer == .root ? "" : "\(first.detail.pointer): "
        self.init(
            isOneKind ? first.code : .invalidRequest,
            place + first.detail.message + more,
            details: problems.map(\.detail)
        )
    }

    /// A body that is no JSON.
    package init(_ error: JSONError) {
        let code: ErrorCode =
            switch error.code {
            case .tooLarge: .requestTooLarge
            case .tooDeep: .tooDeep
            default: .badJSON
            }
        let pointer = JSONPointer(error.pointer) ?? .root
        self.init(code, "\(error)", details: [Detail(pointer, "\(error.message) at byte \(error.offset)")])
    }

    /// Writes the value of `error` in a reply.
    package func write(into writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("code", code.httpStatus)
            writer.member("err_code", code.errCode)
            writer.member("description", description)
            writer.member("retry_after_seconds", ifPresent: retryAfterSeconds)
            if !details.isEmpty { writer.array("details") { writeDetails(into: &$0) } }
        }
    }

    private func writeDetails(into writer: inout JSONWriter) {
        for detail in details.prefix(Self.mostDetails) {
            writer.object { writer in
                writer.member("pointer", detail.pointer.description)
                writer.member("message", detail.message)
            }
        }
        guard details.count > Self.mostDetails else { return }
        writer.object { writer in
            writer.member("pointer", "")
            writer.member("message", "and \(details.count - Self.mostDetails) more problems")
        }
    }
}
