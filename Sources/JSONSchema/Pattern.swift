import CPCRE2

/// A regular expression, compiled by PCRE2 to mean what ECMA 262 means by it, as far as the two agree: in UTF mode, `$`
/// at the very end only, `[]` and `[^]`, `\uXXXX`. `\d` and `\w` are ASCII's.
///
/// Work is counted: PCRE2 calls back before each item that it tries, wherever in the subject and in whatever attempt, so
/// a match ends after a number of steps that its caller chose, however hostile pattern and subject are together.
///
/// `@unchecked`: a compiled pattern is read only, and PCRE2 allows any number of threads to match with it.
final class Pattern: @unchecked Sendable {
    enum Outcome: Hashable {
        case match
        case noMatch
        /// It would take more steps, depth or memory than it may.
        case limit
    }

    /// The longest subject in bytes. What PCRE2 does between two items is linear in it, and done for each of its places.
    static let longestSubject = 65_536
    /// The longest pattern in bytes.
    static let longestPattern = 4096
    /// Of backtracking, of nested backtracking, and of memory for it in KiB: second guards behind the counted steps.
    private static let mostMatches: UInt32 = 5_000_000
    private static let mostDepth: UInt32 = 100_000
    private static let mostHeap: UInt32 = 16_384

    let text: String
    private let code: OpaquePointer
    private let context: OpaquePointer

    /// Why a text is no pattern.
    struct Refusal: Error {
        let description: String
    }

    init(_ text: String) throws(Refusal) {
        guard text.utf8.count <= Self.longestPattern else {
            throw Refusal(description: "expected a pattern of at most \(Self.longestPattern) bytes")
        }
        guard let settings = pcre2_compile_context_create_8(nil), let context = pcre2_match_context_create_8(nil)
        else { throw Refusal(description: "there is no memory for a pattern") }
        defer { pcre2_compile_context_free_8(settings) }
        // \u{...} beside \uXXXX.
        pcre2_set_compile_extra_options_8(settings, PCRE2_EXTRA_ALT_BSUX)
        let options =
            PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_ALLOW_EMPTY_CLASS | PCRE2_ALT_BSUX | PCRE2_MATCH_UNSET_BACKREF
            | PCRE2_NEVER_BACKSLASH_C | PCRE2_AUTO_CALLOUT
        var fault: CInt = 0
        var offset = 0
        let bytes = Array(text.utf8)
        guard let code = pcre2_compile_8(bytes, bytes.count, options, &fault, &offset, settings) else {
            pcre2_match_context_free_8(context)
            throw Refusal(description: "expected a regular expression: \(Self.words(for: fault)) at byte \(offset)")
        }
        pcre2_set_match_limit_8(context, Self.mostMatches)
        pcre2_set_depth_limit_8(context, Self.mostDepth)
        pcre2_set_heap_limit_8(context, Self.mostHeap)
        self.text = text
        self.code = code
        self.context = context
    }

    deinit {
        pcre2_match_context_free_8(context)
        pcre2_code_free_8(code)
    }

    /// Looks for the pattern anywhere in `subject`.
    /// - Parameter steps: how many may be taken; counted down.
    func match(_ subject: String, steps: inout Int) -> Outcome {
        var subject = subject
        return subject.withUTF8 { bytes in
            guard bytes.count <= Self.longestSubject, let context = pcre2_match_context_copy_8(context),
                let data = pcre2_match_data_create_8(1, nil)
            else { return .limit }
            defer {
                pcre2_match_data_free_8(data)
                pcre2_match_context_free_8(context)
            }
            let outcome = withUnsafeMutablePointer(to: &steps) { steps in
                pcre2_set_callout_8(context, countStep, steps)
                // A String's bytes are valid UTF-8; PCRE2 need not look again.
                return pcre2_match_8(code, bytes.baseAddress, bytes.count, 0, PCRE2_NO_UTF_CHECK, data, context)
            }
            if outcome >= 0 { return .match }
            return outcome == PCRE2_ERROR_NOMATCH ? .noMatch : .limit
        }
    }

    private static func words(for fault: CInt) -> String {
        var buffer = [UInt8](repeating: 0, count: 256)
        let count = pcre2_get_error_message_8(fault, &buffer, buffer.count)
        return count > 0 ? String(decoding: buffer.prefix(Int(count)), as: UTF8.self) : "error \(fault)"
    }
}

/// PCRE2's callout: takes one step, and ends the match where none is left.
private func countStep(
    _ block: UnsafeMutablePointer<pcre2_callout_block_8>?, _ steps: UnsafeMutableRawPointer?
) -> CInt {
    guard let steps = steps?.assumingMemoryBound(to: Int.self) else { return PCRE2_ERROR_CALLOUT }
    steps.pointee -= 1
    return steps.pointee >= 0 ? 0 : PCRE2_ERROR_CALLOUT
}
