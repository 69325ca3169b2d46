import Crypto

/// SHA-256, the one hash of the product: identities, payload digests, spreads.
package enum Digest {
    /// The 32 bytes of the hash.
    package static func sha256(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        var hasher = SHA256()
        let hashed: Void? = bytes.withContiguousStorageIfAvailable { buffer in
            hasher.update(bufferPointer: UnsafeRawBufferPointer(buffer))
        }
        if hashed == nil { hasher.update(data: Array(bytes)) }
        return Array(hasher.finalize())
    }

    /// A stable number for a key: the first 8 bytes of its SHA-256, big-endian.
    package static func stableNumber(of key: String) -> UInt64 {
        var hasher = SHA256()
        hasher.update(data: Array(key.utf8))
        return hasher.finalize().leadingWords.0
    }

    /// The stable number of a key modulo `bound`; 0 for a bound of 0.
    package static func stableNumber(of key: String, below bound: UInt64) -> UInt64 {
        bound > 0 ? stableNumber(of: key) % bound : 0
    }

    /// A UUIDv8 made of the hash of `parts`, each with its length, so that no two lists share a text.
    package static func identity(_ parts: String...) -> UUIDValue {
        var hasher = SHA256()
        for part in parts {
            var length = UInt64(part.utf8.count).bigEndian
            withUnsafeBytes(of: &length) { hasher.update(bufferPointer: $0) }
            var part = part
            part.withUTF8 { hasher.update(bufferPointer: UnsafeRawBufferPointer($0)) }
        }
        let (first, second) = hasher.finalize().leadingWords
        return UUIDValue(
            high: (first & 0xFFFF_FFFF_FFFF_0FFF) | 0x8000, low: (second & (UInt64.max >> 2)) | (1 << 63))
    }

    /// The bytes that an even number of hexadecimal digits, of either case, stand for; anything else is nil.
    package static func bytes(hexadecimal text: some StringProtocol) -> [UInt8]? {
        let digits = text.utf8.map { Character(UnicodeScalar($0)).hexDigitValue }
        guard digits.count.isMultiple(of: 2) else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(digits.count / 2)
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = digits[index], let low = digits[index + 1] else { return nil }
            bytes.append(UInt8(high << 4 | low))
        }
        return bytes
    }

    package static func hexadecimal(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(unsafeUninitializedCapacity: bytes.count * 2) { buffer in
            for (index, byte) in bytes.enumerated() {
                buffer[2 * index] = digits[Int(byte >> 4)]
                buffer[2 * index + 1] = digits[Int(byte & 15)]
            }
            return bytes.count * 2
        }
    }
}
