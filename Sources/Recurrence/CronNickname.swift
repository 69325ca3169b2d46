/// The texts that begin with `@`.
enum CronNickname {
    private static let patterns: [(name: String, fields: String)] = [
        ("@yearly", "0 0 1 1 *"), ("@annually", "0 0 1 1 *"), ("@monthly", "0 0 1 * *"), ("@weekly", "0 0 * * 0"),
        ("@daily", "0 0 * * *"), ("@midnight", "0 0 * * *"), ("@hourly", "0 * * * *"),
    ]

    /// The shortest interval of `@every`.
    static let shortestPeriodMilliseconds: Int64 = 100

    /// `words` begins with a word that begins with `@`. Nicknames are case-sensitive, as in OCPS 1.1.
    static func form(of words: [CronWord]) throws(CronError) -> CronExpression.Form {
        let name = words[0].text
        if name == "@every" { return .every(milliseconds: try period(words)) }
        guard let fields = patterns.first(where: { $0.name == name })?.fields else { throw unknown(words[0]) }
        if words.count > 1 {
            throw CronError(
                code: .syntax, field: nil, offset: words[1].offset, expected: "nothing after \(name)",
                found: "`\(words[1].text)`", suggestion: name)
        }
        return .pattern(try CronPattern.parse(CronWord.split(Array(fields.utf8)), hash: nil).pattern)
    }

    private static func unknown(_ word: CronWord) -> CronError {
        let lowercased = word.text.lowercased()
        let known = patterns.map(\.name) + ["@every"]
        return CronError(
            code: lowercased == "@reboot" ? .unsupported : .unknownNickname, field: nil, offset: word.offset,
            expected: "one of " + known.joined(separator: ", "), found: "`\(word.text)`",
            suggestion: known.first { $0 == lowercased })
    }

    private static func period(_ words: [CronWord]) throws(CronError) -> Int64 {
        let expected = "@every with one duration of at least \(shortestPeriodMilliseconds) ms, such as 1h30m"
        guard words.count == 2 else {
            throw CronError(
                code: .duration, field: nil, offset: words.count < 2 ? words[0].bytes.endIndex : words[2].offset,
                expected: expected, found: words.count < 2 ? "none" : "`\(words[2].text)`",
                suggestion: words.count < 2 ? "@every 1h" : nil)
        }
        let word = words[1]
        func error(_ expected: String, _ suggestion: String?) -> CronError {
            CronError(
                code: .duration, field: nil, offset: word.offset, expected: expected, found: "`\(word.text)`",
                suggestion: suggestion)
        }
        guard let nanoseconds = goDurationNanoseconds(word.bytes) else {
            let isNumber = !word.bytes.isEmpty && word.bytes.allSatisfy { decimalDigit($0) != nil }
            throw error(expected, isNumber ? "@every \(word.text)s" : nil)
        }
        guard nanoseconds % 1_000_000 == 0 else { throw error("a whole number of milliseconds", nil) }
        guard nanoseconds / 1_000_000 >= shortestPeriodMilliseconds else { throw error(expected, "@every 100ms") }
        return nanoseconds / 1_000_000
    }
}

/// Reads a duration as Go writes it: numbers with a unit of `h m s ms us µs ns`, one after the other, such as
/// `1h30m` or `1.5s`. In nanoseconds; nil for another spelling, a sign, a fraction of a nanosecond or more
/// than 292 years.
func goDurationNanoseconds(_ bytes: ArraySlice<UInt8>) -> Int64? {
    var rest = bytes
    var total: Int64 = 0
    guard !rest.isEmpty else { return nil }
    while !rest.isEmpty {
        let whole = rest.prefix { decimalDigit($0) != nil }
        rest = rest.dropFirst(whole.count)
        var fraction = rest[rest.startIndex..<rest.startIndex]
        if rest.first == UInt8(ascii: ".") {
            rest = rest.dropFirst()
            fraction = rest.prefix { decimalDigit($0) != nil }
            rest = rest.dropFirst(fraction.count)
        }
        guard whole.count + fraction.count > 0 else { return nil }
        let name = rest.prefix { decimalDigit($0) == nil && $0 != UInt8(ascii: ".") }
        rest = rest.dropFirst(name.count)
        guard let unit = goUnitNanoseconds(name), let value = decimal(whole, fraction, times: unit) else { return nil }
        let (sum, overflow) = total.addingReportingOverflow(value)
        if overflow { return nil }
        total = sum
    }
    return total
}

private func goUnitNanoseconds(_ name: ArraySlice<UInt8>) -> Int64? {
    switch String(decoding: name, as: UTF8.self) {
    case "h": 3_600_000_000_000
    case "m": 60_000_000_000
    case "s": 1_000_000_000
    case "ms": 1_000_000
    case "us", "\u{B5}s", "\u{3BC}s": 1000
    case "ns": 1
    default: nil
    }
}

/// `whole.fraction × unit`, exactly; nil where it is no whole number, or beyond `Int64`.
private func decimal(_ whole: ArraySlice<UInt8>, _ fraction: ArraySlice<UInt8>, times unit: Int64) -> Int64? {
    // With 18 digits a side and units below 10^13 no product exceeds 10^31, well within 128 bits.
    guard whole.count <= 18, fraction.count <= 18 else { return nil }
    func number(_ digits: ArraySlice<UInt8>) -> Int128 {
        digits.reduce(0) { $0 * 10 + Int128($1 - UInt8(ascii: "0")) }
    }
    let scale = fraction.reduce(Int128(1)) { scale, _ in scale * 10 }
    let (quotient, remainder) = (number(fraction) * Int128(unit)).quotientAndRemainder(dividingBy: scale)
    guard remainder == 0 else { return nil }
    return Int64(exactly: number(whole) * Int128(unit) + quotient)
}
