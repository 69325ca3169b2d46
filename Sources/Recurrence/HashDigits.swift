/// The choices that `H` makes: digits of one number in a mixed radix, taken from the lowest on.
///
/// The first `H` of an expression is the number modulo its count of values; what is left of the division
/// serves the next one. Several fields so share the number as hour and minute share a time of day: each
/// combination is as likely as another, where the same remainder in each field would tie them together.
struct HashDigits {
    private var rest: UInt64

    init(_ number: UInt64) { rest = number }

    /// A number in `0..<count`; `count` is at least 1.
    mutating func draw(below count: Int) -> Int {
        let (quotient, digit) = rest.quotientAndRemainder(dividingBy: UInt64(count))
        rest = quotient
        return Int(digit)
    }
}
