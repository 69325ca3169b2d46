// Sets of small numbers as bits of an integer. Indexes run from 0 to the width, inclusive where a bound
// is exclusive: Swift's shifts by the full width give 0, so no case needs care.
extension FixedWidthInteger where Self: UnsignedInteger {
    /// The smallest index whose bit is set. The mask is not empty.
    @inline(__always)
    var lowestBit: Int { trailingZeroBitCount }

    /// The greatest index whose bit is set. The mask is not empty.
    @inline(__always)
    var highestBit: Int { Self.bitWidth - 1 - leadingZeroBitCount }

    @inline(__always)
    func hasBit(_ index: Int) -> Bool {
        (self >> index) & 1 != 0
    }

    /// Only the bits from an index on.
    @inline(__always)
    func bits(atOrAfter index: Int) -> Self {
        self & (~0 << index)
    }

    /// Only the bits below an index.
    @inline(__always)
    func bits(before index: Int) -> Self {
        self & ~(~0 << index)
    }

    @inline(__always)
    func bit(atOrAfter index: Int) -> Int? {
        let rest = bits(atOrAfter: index)
        return rest == 0 ? nil : rest.lowestBit
    }

    @inline(__always)
    func bit(before index: Int) -> Int? {
        let rest = bits(before: index)
        return rest == 0 ? nil : rest.highestBit
    }

    /// The smallest difference of two indexes whose bits are set; nil for fewer than two.
    var smallestBitDistance: Int? {
        guard nonzeroBitCount > 1 else { return nil }
        var distance = 1
        // Two bits are `distance` apart if the mask meets itself moved by so much.
        while self & (self >> distance) == 0 { distance += 1 }
        return distance
    }

    @inline(__always)
    func bitCount(before index: Int) -> Int {
        bits(before: index).nonzeroBitCount
    }
}
