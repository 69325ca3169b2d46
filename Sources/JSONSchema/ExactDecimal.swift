/// A number of JSON, exactly as it was written: `digits × 10^exponent`. No rounding, whatever its length.
struct ExactDecimal: Hashable, Sendable {
    let isNegative: Bool
    /// 0 to 9, the highest first, without zeros at either end; empty for 0.
    let digits: [UInt8]
    /// Of the last digit; 0 for 0. Held within ±2^41.
    let exponent: Int

    /// - Parameter text: a well-formed JSON number.
    init(_ text: some Collection<UInt8>) {
        var digits: [UInt8] = []
        var exponent = 0
        var isNegative = false
        var isInFraction = false
        var rest = text[...]
        scan: while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "-"): isNegative = true
            case UInt8(ascii: "."): isInFraction = true
            case UInt8(ascii: "e"), UInt8(ascii: "E"):
                exponent += Self.saturating(rest)
                break scan
            default:
                if isInFraction { exponent -= 1 }
                if byte != UInt8(ascii: "0") || !digits.isEmpty { digits.append(byte - UInt8(ascii: "0")) }
            }
        }
        while digits.last == 0 {
            digits.removeLast()
            exponent += 1
        }
        self.isNegative = isNegative && !digits.isEmpty
        self.digits = digits
        self.exponent = digits.isEmpty ? 0 : exponent
    }

    /// An exponent's number, held within ±2^40: further than any text has digits, and safe to add to.
    private static func saturating(_ text: some Collection<UInt8>) -> Int {
        var value = 0
        for byte in text where byte >= UInt8(ascii: "0") {
            value = min(value * 10 + Int(byte - UInt8(ascii: "0")), 1 << 40)
        }
        return text.first == UInt8(ascii: "-") ? -value : value
    }

    /// Whole numbers however they are written: `1`, `1.0`, `10e-1`.
    var isWhole: Bool { exponent >= 0 }
    var isZero: Bool { digits.isEmpty }
}

extension ExactDecimal: Comparable {
    static func < (left: ExactDecimal, right: ExactDecimal) -> Bool {
        if left.isNegative != right.isNegative { return left.isNegative }
        return left.isNegative ? right.isSmaller(than: left) : left.isSmaller(than: right)
    }

    /// Without the signs.
    private func isSmaller(than other: ExactDecimal) -> Bool {
        if isZero || other.isZero { return isZero && !other.isZero }
        let (length, otherLength) = (digits.count + exponent, other.digits.count + other.exponent)
        if length != otherLength { return length < otherLength }
        // As neither ends in zeros, a number that begins another one is the smaller.
        return digits.lexicographicallyPrecedes(other.digits)
    }
}

extension ExactDecimal {
    /// As many significant digits a divisor may have: then all arithmetic fits 64 bits.
    static let mostDivisorDigits = 18

    /// Whether this is a whole multiple of `divisor`, which is above 0 and has at most ``mostDivisorDigits`` digits.
    ///
    /// `a × 10^m` is a multiple of `b × 10^n` where `b` divides `a × 10^(m−n)`. For `m < n` it never is: `a` does not
    /// end in a zero. Else the remainder is folded digit by digit, and 10^(m−n) is taken modulo `b` by squaring.
    func isMultiple(of divisor: ExactDecimal) -> Bool {
        if isZero { return true }
        let shift = exponent - divisor.exponent
        guard shift >= 0 else { return false }
        let modulus = divisor.digits.reduce(UInt64(0)) { $0 * 10 + UInt64($1) }
        guard modulus > 1 else { return true }
        let remainder = digits.reduce(UInt64(0)) { ($0 * 10 + UInt64($1)) % modulus }
        return Self.product(remainder, Self.power(of: 10, shift, modulo: modulus), modulo: modulus) == 0
    }

    private static func product(_ left: UInt64, _ right: UInt64, modulo modulus: UInt64) -> UInt64 {
        // Both are below the modulus, so the high half is as well, and the quotient fits.
        modulus.dividingFullWidth(left.multipliedFullWidth(by: right)).remainder
    }

    private static func power(of base: UInt64, _ exponent: Int, modulo modulus: UInt64) -> UInt64 {
        var (result, square, rest) = (1 % modulus, base % modulus, exponent)
        while rest > 0 {
            if rest & 1 == 1 { result = product(result, square, modulo: modulus) }
            square = product(square, square, modulo: modulus)
            rest >>= 1
        }
        return result
    }
}
