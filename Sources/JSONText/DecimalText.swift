/// A JSON number's text, read exactly.
struct DecimalText {
    private let text: ArraySlice<UInt8>

    /// - Parameter text: a well-formed JSON number.
    init(_ text: ArraySlice<UInt8>) {
        self.text = text
    }

    /// The number if it is whole and fits, without passing through floating point.
    ///
    /// The value is `magnitude × 10^exponent`: digits are folded into the magnitude, zeros are only counted until a
    /// digit follows that makes them matter, so that `100…0e-9` of any length is read in one pass.
    var int64: Int64? {
        var magnitude: UInt64 = 0
        var pendingZeros = 0
        var fractionDigits = 0
        var inFraction = false
        var exponent = 0
        var isNegative = false
        var position = text.startIndex
        if text[position] == UInt8(ascii: "-") {
            isNegative = true
            position += 1
        }
        scan: while position < text.endIndex {
            switch text[position] {
            case UInt8(ascii: "."):
                inFraction = true
            case UInt8(ascii: "e"), UInt8(ascii: "E"):
                exponent = Self.saturatingExponent(text[(position + 1)...])
                break scan
            case let byte:
                if inFraction { fractionDigits += 1 }
                if byte == UInt8(ascii: "0") {
                    pendingZeros += 1
                } else {
                    guard let shifted = Self.scaled(magnitude, by: pendingZeros + 1) else { return nil }
                    let (sum, overflow) = shifted.addingReportingOverflow(UInt64(byte - UInt8(ascii: "0")))
                    if overflow { return nil }
                    (magnitude, pendingZeros) = (sum, 0)
                }
            }
            position += 1
        }
        if magnitude == 0 { return 0 }
        let zeros = exponent - fractionDigits + pendingZeros
        guard zeros >= 0, let whole = Self.scaled(magnitude, by: zeros) else { return nil }
        if isNegative { return whole <= Int64.min.magnitude ? Int64(truncatingIfNeeded: 0 &- whole) : nil }
        return Int64(exactly: whole)
    }

    /// `value × 10^zeros`, or `nil` beyond 64 bits.
    private static func scaled(_ value: UInt64, by zeros: Int) -> UInt64? {
        if value == 0 { return 0 }
        guard zeros < 20 else { return nil }
        var value = value
        for _ in 0..<zeros {
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            if overflow { return nil }
            value = product
        }
        return value
    }

    /// The exponent, held within ±2^40: far beyond any text's number of digits, and safe to add to one.
    private static func saturatingExponent(_ text: ArraySlice<UInt8>) -> Int {
        var value = 0
        for byte in text where byte >= UInt8(ascii: "0") {
            value = min(value * 10 + Int(byte - UInt8(ascii: "0")), 1 << 40)
        }
        return text.first == UInt8(ascii: "-") ? -value : value
    }
}
